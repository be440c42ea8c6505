"""Programs with one key, or one folder, have one mark, and nobody else has it."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.signaling.marks import FILE, mark_of
from appliance.trust.keys import DeviceKey


def test_it_is_the_keys_wherever_the_program_runs(tmp_path: Path) -> None:
    key, other = DeviceKey.make(), DeviceKey.make()
    mark = mark_of(key, tmp_path / "one")
    assert re.fullmatch("[0-9a-f]{32}", mark)
    assert mark_of(DeviceKey.from_pem(key.pem(), "a copy"), tmp_path / "two") == mark
    assert mark_of(other, tmp_path / "one") != mark
    assert not list(tmp_path.iterdir()), "nothing has to be kept for it"


def test_it_tells_nothing_of_the_key_and_is_no_other_secret_of_it() -> None:
    key = DeviceKey.make()
    mark = mark_of(key, Path("nowhere"))
    assert mark not in key.public_key.raw.hex()
    assert key.secret_for("client id").hex().startswith(mark)
    assert key.secret_for("something else") != key.secret_for("client id")
    assert len(key.secret_for("something else")) == 32


def test_without_a_key_it_is_kept_for_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    mark = mark_of(None, folder)
    assert re.fullmatch("[0-9a-f]{32}", mark)
    assert mark_of(None, folder) == mark
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert mark_of(None, tmp_path / "other") != mark
    (folder / FILE).write_bytes(b"\xff rubbish")
    (folder / FILE).chmod(0o600)
    assert re.fullmatch("[0-9a-f]{32}", mark_of(None, folder))


def test_where_nothing_can_be_kept_it_is_another_one_each_time(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the folder's place")
    first, second = (mark_of(None, tmp_path / "state") for _ in range(2))
    assert first != second
