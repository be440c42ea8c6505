"""`appliance erase`: all that is kept of people, no more; asked first, and beside no running one."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.erasing import erase
from appliance.errors import ApplianceError
from appliance.media.shelf import Shelf
from appliance.reporting.ledger import Ledger
from appliance.service.memory import Kept, Memory
from appliance.socket_path import only_one
from appliance.trust.authority import Authority
from appliance.trust.contacts import Contacts
from appliance.trust.keys import DeviceKey
from appliance.whole_file import NEW


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    variables = {
        "APPLIANCE_SOCKET": str(tmp_path / "run" / "appliance.sock"),
        "STATE_DIRECTORY": str(tmp_path / "state"),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
async def state(environ: dict[str, str]) -> Path:
    """A device that was used; each file by what writes it."""
    folder = Path(environ["STATE_DIRECTORY"])
    DeviceKey.load_or_make(folder, {})
    Authority.load_or_make(folder / "tls", "door", "pi")
    await Contacts({}, folder / "contacts.toml").add("al", "Al", DeviceKey.make().public, ())
    calls = Ledger(folder / "calls")
    await asyncio.to_thread(calls.rewrite, [b"{}"])
    calls.keep_picture("b-1.jpg", b"JPEG")
    shelf = Shelf(folder / "recordings", 100)
    _, file = shelf.open("c1", datetime(2026, 11, 28, tzinfo=UTC))
    os.close(file)
    async with Memory(folder / "memory.json", lambda _: None) as memory:
        memory.keep(Kept(do_not_disturb=True))
    (folder / "recordings" / "holiday.mp4").write_bytes(b"somebody else's")
    (folder / "outputs.json").write_text("{}")
    (folder / f"contacts.toml{NEW}").write_text("what a kill has left")
    return folder


def files(folder: Path) -> set[str]:
    return {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}


KEYS = {"device.key", "tls/ca.crt", "tls/ca.key"}
OTHERS = {"recordings/holiday.mp4", "outputs.json"}


async def test_all_of_people_is_deleted_and_the_keys_on_wish(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(files(state)) == len(KEYS) + len(OTHERS) + 6
    assert main(["erase", "--yes"]) == 0
    assert files(state) == KEYS | OTHERS
    told = capsys.readouterr().out
    assert "the call log: 1 file in" in told
    assert main(["erase", "--yes", "--keys"]) == 0
    assert files(state) == OTHERS
    assert main(["erase", "--yes", "--keys"]) == 0
    assert "Nothing of people" in capsys.readouterr().out


async def test_it_asks_and_only_yes_is_yes(
    state: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(state)
    with pytest.raises(ApplianceError, match="nobody is here to be asked"):
        erase(None, environ)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for said in ("no", "", "y"):
        monkeypatch.setattr("builtins.input", lambda _, said=said: said)
        with pytest.raises(ApplianceError, match="nothing was deleted"):
            erase(None, environ)
    assert files(state) == before
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    assert erase(None, environ) == 0
    assert files(state) == KEYS | OTHERS


async def test_not_beside_a_running_appliance(
    state: Path, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(state)
    with only_one(Path(environ["APPLIANCE_SOCKET"])):
        assert main(["erase", "--yes"]) == 1
    assert "another appliance is running" in capsys.readouterr().err
    assert files(state) == before


async def test_of_the_daemon_that_systemd_starts(
    state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its folder is in no environment of who types: root has none of its own, and others may not look."""
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("appliance.owner.places.SYSTEM_FOLDER", state)
    before = files(state)
    with monkeypatch.context() as others:
        others.setattr(os, "access", lambda *_: False)
        assert main(["erase", "--yes"]) == 1
    assert "sudo appliance erase" in capsys.readouterr().err
    assert files(state) == before
    assert main(["erase", "--yes"]) == 0
    assert files(state) == KEYS | OTHERS


async def test_where_things_lie_elsewhere(
    state: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    """And a configuration with faults says it all the same."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (state / "calls").rename(elsewhere / "calls")
    file = tmp_path / "appliance.toml"
    file.write_text(f'nonsense = 1\n[call_log]\ndirectory = "{elsewhere / "calls"}"\n')
    assert erase(file, environ, yes=True) == 0
    assert files(elsewhere) == set()


async def test_a_link_is_not_followed(state: Path, environ: dict[str, str], tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (state / "calls" / "pictures" / "x.jpg").symlink_to(precious)
    assert erase(None, environ, yes=True) == 0
    assert precious.read_text() == "kept"
