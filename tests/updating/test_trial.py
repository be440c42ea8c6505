"""What an update is judged by, and what becomes of it then."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import msgspec
import pytest

from appliance.updating import installing, trial, wellness
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


def test_what_is_not_is_left(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "judge", lambda before, look, limit_s: trial.worse(look(), before))
    noted(NO_CAMERA)
    device.pi.has("A", "tried")
    device.pi.runs("B")
    said: list[str] = []
    assert not trial.undergo(said.append, lambda: {**NO_CAMERA, **GONE})
    assert said[0] == "worse than before: appliance: no appliance is running here"
    assert device.pi.boots() == "A"
    assert device.pi.status()["other"] == "failed"


def test_without_a_note_everything_has_to_work(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "judge", lambda before, look, limit_s: trial.worse(look(), before))
    device.pi.has("A", "tried")
    device.pi.runs("B")
    assert not trial.undergo(lambda _: None, lambda: NO_CAMERA)
