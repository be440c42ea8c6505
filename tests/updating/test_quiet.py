"""When nobody is disturbed: by a whole appliance, and by what a Pi's firmware says of its supply."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest

from appliance.commands import EndCall
from appliance.model import Gesture
from appliance.updating import quiet
from tests.parts.firmware_files import firmware
from tests.parts.house import config_for, house
from tests.parts.mosquitto import free_port


def supply(folder: Path, flags: str) -> Path:
    firmware(folder, flags)
    return folder


async def test_not_while_a_call_is_on_nor_while_it_rings(tmp_path: Path) -> None:
    environ = {"APPLIANCE_SOCKET": str(tmp_path / "appliance.sock")}
    told: list[str] = []
    async with house(config_for(free_port()), tmp_path, connected=False) as door:
        assert await asyncio.to_thread(quiet.disturbed, environ, tmp_path) is None
        await door.appliance.board.press("call", Gesture.PRESS)
        await door.until("outgoing_call_started")

        def look() -> str | None:
            return quiet.disturbed(environ, tmp_path)

        def nap(_: float) -> None:
            time.sleep(0.05)

        waiting = asyncio.get_running_loop().run_in_executor(
            None, quiet.until_quiet, told.append, look, nap
        )
        await door.until_true(lambda: bool(told))
        assert not waiting.done()
        assert told == ["waiting: a call is on (outgoing)"]
        await door.appliance.session.command(EndCall())
        await waiting


def test_where_no_appliance_runs_nobody_is_in_a_call(tmp_path: Path) -> None:
    environ = {"APPLIANCE_SOCKET": str(tmp_path / "none.sock")}
    assert quiet.disturbed(environ, tmp_path) is None


def test_one_that_does_not_answer_may_be_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "PATIENCE_S", 0.05)
    path = tmp_path / "hangs.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        said = quiet.disturbed({"APPLIANCE_SOCKET": str(path)}, tmp_path)
    assert said == "the appliance does not answer"


@pytest.mark.parametrize(
    ("flags", "weak"),
    [("0x0", False), ("0x1", True), ("0x50005", True), ("0x50000", False), ("?", False)],
)
def test_not_while_the_supply_is_too_weak(tmp_path: Path, flags: str, weak: bool) -> None:
    environ = {"APPLIANCE_SOCKET": str(tmp_path / "none.sock")}
    found = quiet.disturbed(environ, supply(tmp_path, flags))
    assert found == ("the supply is too weak" if weak else None)


def test_two_looks_in_a_row_are_quiet_and_each_reason_is_told_once() -> None:
    looks = iter(["a call", "a call", None, "a call", "weak", None, None, "never looked at"])
    told: list[str] = []
    slept: list[float] = []
    quiet.until_quiet(told.append, lambda: next(looks), slept.append)
    assert told == ["waiting: a call", "waiting: weak"]
    assert next(looks) == "never looked at"
    assert slept == [quiet.LOOK_S] * 6


def test_a_call_without_end_is_not_waited_for_where_there_is_a_limit() -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    quiet.until_quiet(lambda _: None, lambda: "a call", sleep, 300, lambda: now)
    assert now == 300


def test_whoever_says_nothing_is_not_known_to_talk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is to be left may hang, and the house is without its bell until it is."""
    monkeypatch.setattr(quiet, "PATIENCE_S", 0.05)
    path = tmp_path / "hangs.sock"
    environ = {"APPLIANCE_SOCKET": str(path)}
    assert quiet.talking(environ) is None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        assert quiet.talking(environ) is None
