"""The short form: a few kills at any instant, and each time it is ready again with its state whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.trust import book
from appliance.trust.keys import DeviceKey
from tests.chaos.kills import RELAY_PIN, Killed, Small, kills, released


@pytest.mark.timeout(600)
async def test_after_every_kill_it_is_ready_again_and_nothing_is_torn(tmp_path: Path) -> None:
    found = await kills(tmp_path, 5, seed=3)
    assert found.faults == []
    assert found.calls > 0
    assert found.left_open > 0
    assert len(found.ready_s) > 1


def test_a_relay_that_stays_energized_is_seen(tmp_path: Path) -> None:
    (tmp_path / f"GPIO{RELAY_PIN}").write_text("1")
    found = Killed()
    released(tmp_path, lambda: 0, found, "kill 1")
    assert found.left_open == 1
    assert found.faults == ["the door's relay is energized after kill 1"]
    released(tmp_path, lambda: 1, found, "kill 2")
    assert "release after kill 2 ended with 1" in found.faults


def test_small_files_that_are_torn_changed_or_gone_are_seen(tmp_path: Path) -> None:
    def look(before: Small | None = None) -> list[str]:
        faults: list[str] = []
        (before or kept).look(tmp_path, "kill 1", faults)
        return faults

    kept = Small()
    assert look() == []
    DeviceKey.load_or_make(tmp_path, {})
    (tmp_path / "sequence").write_text("7\n")
    book.write(tmp_path / "contacts.toml", book.Book())
    assert look() == look() == []
    (tmp_path / "sequence").write_text("6\n")
    assert look() == ["sequence after kill 1: it fell"]
    for name, torn in (("sequence", b""), ("contacts.toml", b"[contacts."), ("device.key", b"--")):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(torn)
        assert [fault.split(":")[0] for fault in look()] == [f"{name} after kill 1"]
        (tmp_path / name).unlink()
        assert look() == [f"{name} is gone after kill 1"]
        (tmp_path / name).write_bytes(whole)
    (tmp_path / "device.key").unlink()
    DeviceKey.load_or_make(tmp_path, {})
    assert look() == ["device.key after kill 1: another key"]
