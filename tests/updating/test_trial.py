"""What an update is judged by, and what becomes of it then."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from appliance.commands import EndCall
from appliance.model import Gesture
from appliance.updating import installing, quiet, rauc, slots, trial, wellness
from tests.parts.house import config_for, house
from tests.parts.mosquitto import free_port
from tests.updating.bundles import UPDATE
from tests.updating.conftest import Device

WELL: Mapping[str, str] = {}
NO_CAMERA = {"camera": "is unplugged"}
NO_BROKER = {"broker": "the broker is offline"}
GONE = {wellness.NOT_READY: "no appliance is running here"}


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def judged(before: Mapping[str, str], looks: Iterator[Mapping[str, str]]) -> tuple[set[str], float]:
    time = Time()
    wrong = trial.judge(before, lambda: next(looks), time.clock, time.sleep)
    return set(wrong), time.now


def test_twice_well_is_good() -> None:
    assert judged(WELL, iter([WELL, WELL])) == (set(), trial.LOOK_S)


def test_once_well_is_not() -> None:
    looks = itertools.chain([WELL, GONE], itertools.repeat(WELL, 2))
    assert judged(WELL, looks) == (set(), 3 * trial.LOOK_S)


def test_what_comes_late_is_waited_for() -> None:
    looks = itertools.chain(
        itertools.repeat(GONE, 5), itertools.repeat(NO_BROKER, 20), [WELL, WELL]
    )
    assert judged(WELL, looks) == (set(), 26 * trial.LOOK_S)


@pytest.mark.parametrize("wrong", [GONE, NO_CAMERA, NO_BROKER])
def test_what_does_not_come_is_not_waited_for_without_end(wrong: Mapping[str, str]) -> None:
    assert judged(WELL, itertools.repeat(wrong)) == (set(wrong), trial.LIMIT_S)


def test_what_did_not_work_before_need_not_work_now() -> None:
    """No update fails for a camera that is unplugged, or a broker that is away; other things must work."""
    assert judged({**NO_CAMERA, **NO_BROKER}, itertools.repeat(NO_CAMERA))[0] == set()
    assert judged(NO_CAMERA, itertools.repeat({**NO_CAMERA, **NO_BROKER}))[0] == {"broker"}


def test_what_does_not_run_is_never_good() -> None:
    assert judged(GONE, itertools.repeat(GONE))[0] == {wellness.NOT_READY}


def noted(troubles: Mapping[str, str]) -> None:
    before = installing.Before("9.0", troubles)
    (installing.DATA / installing.BEFORE).write_bytes(msgspec.json.encode(before))


def test_what_is_good_is_the_default_from_then_on(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "LOOK_S", 0)
    noted(NO_CAMERA)
    device.pi.has("A", "tried")
    device.pi.runs("B")
    said: list[str] = []
    assert trial.undergo(said.append, lambda: NO_CAMERA)
    assert said == ["it is good: it is booted from now on"]
    assert device.pi.boots() == "B"
    assert device.pi.status()["other"] == "good"


def test_what_was_marked_is_good_though_whoever_marks_it_fails_behind_that(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be undone, with no word of why, and installed again the next night."""
    monkeypatch.setattr(trial, "LOOK_S", 0)
    mark = rauc.mark_good

    def marks_and_fails() -> None:
        mark()
        raise rauc.CannotUpdate("the bus is busy")

    monkeypatch.setattr(rauc, "mark_good", marks_and_fails)
    device.pi.has("A", "tried")
    device.pi.runs("B")
    assert trial.undergo(lambda _: None, lambda: WELL)
    assert device.pi.boots() == "B"
    assert device.pi.status()["other"] == "good"


@pytest.fixture
def left(device: Device, monkeypatch: pytest.MonkeyPatch) -> Device:
    """What runs is being tried, and a look at it is enough to know."""
    monkeypatch.setattr(trial, "judge", lambda before, look, limit_s: trial.worse(look(), before))
    monkeypatch.setattr(quiet, "LOOK_S", 0.01)
    device.pi.has("A", "tried")
    device.pi.runs("B")
    return device


def test_what_is_not_is_left(left: Device, caplog: pytest.LogCaptureFixture) -> None:
    """A warning, which outlives the restart, and a line that the other slot tells then."""
    noted(NO_CAMERA)
    assert not trial.undergo(lambda _: None, lambda: {**NO_CAMERA, **GONE, "broker": "is\n away"})
    warned = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert warned[0] == "worse than before: appliance: no appliance is running here"
    assert left.pi.boots() == "A"
    found = slots.status()
    why = "appliance: no appliance is running here; broker: is away"
    assert (found.other, found.why) == ("failed", why)


def test_without_a_note_everything_has_to_work(left: Device) -> None:
    assert not trial.undergo(lambda _: None, lambda: NO_CAMERA)


def test_why_it_is_left_has_no_password_and_an_end(left: Device) -> None:
    assert not trial.undergo(lambda _: None, lambda: {"broker": "mqtt://a:secret@b " + "x" * 5000})
    left.pi.boots()
    assert slots.status().why == ("broker: mqtt://a:***@b " + "x" * trial.MOST)[: trial.MOST]


def test_a_judge_that_fails_itself_leaves_what_runs(left: Device) -> None:
    """As any other reason does, call and all: systemd would restart the machine at once."""

    def fails() -> Mapping[str, str]:
        raise KeyError("no such thing")

    assert not trial.undergo(lambda _: None, fails)
    (left.pi.folder / "fails").write_text("the handler has failed")
    assert not trial.undergo(lambda _: None, lambda: WELL)
    left.pi.boots()
    assert slots.status().why == "judge: what runs cannot be marked good: the handler has failed"


def test_a_partition_that_cannot_be_written_is_left_all_the_same(
    left: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installing, "DATA", left.pi.folder / "none")
    assert not trial.undergo(lambda _: None, lambda: GONE)
    assert left.pi.boots() == "A"
    assert slots.status().why == "it came to no end: it hung, or power was lost"


async def test_a_call_is_not_ended_by_what_is_left(
    left: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why is written down by then, whatever becomes of the call; and one that hangs is not waited for."""
    monkeypatch.setenv("APPLIANCE_SOCKET", str(tmp_path / "appliance.sock"))
    note = installing.DATA / installing.LEFT
    told: list[str] = []
    loop = asyncio.get_running_loop()
    async with house(config_for(free_port()), tmp_path, connected=False) as door:
        await door.appliance.board.press("call", Gesture.PRESS)
        await door.until("outgoing_call_started")
        waiting = loop.run_in_executor(None, trial.undergo, told.append, lambda: NO_CAMERA)
        await door.until_true(lambda: bool(told))
        assert told == ["waiting: a call is on (outgoing)"]
        assert note.read_text() == "camera: is unplugged\n"
        monkeypatch.setattr(trial, "CALL_S", 0.0)
        assert not await loop.run_in_executor(None, trial.undergo, told.append, lambda: GONE)
        assert not waiting.done()
        await door.appliance.session.command(EndCall())
        assert not await waiting


def test_its_unit_gives_it_the_time_that_it_takes() -> None:
    """Its end is the machine's, in whatever call; and that of whatever hangs comes after it."""
    units = UPDATE / "units"
    [unit] = re.findall(
        r"(?m)^TimeoutStartSec=(\d+)min$", (units / "appliance-update-trial.service").read_text()
    )
    [end] = re.findall(
        r"(?m)^OnBootSec=(\d+)min$", (units / "appliance-update-limit.timer").read_text()
    )
    marks = 2 * rauc.MARKS * 25
    assert trial.LIMIT_S + wellness.LOOK_S + marks + trial.CALL_S < 60 * int(unit)
    assert int(unit) < int(end)
