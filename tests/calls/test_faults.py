"""Plays of what does not work: told, shown while nobody calls, and never the end of a call."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.calls.effects import LimitFramerate, RenewCapture
from appliance.calls.faults import PRESSED_FRAMERATE, exceptions
from appliance.calls.inputs import (
    DeviceFailed,
    FaultCleared,
    FaultReported,
    PressureChanged,
    Resumed,
)
from appliance.calls.situation import situation
from appliance.commands import EndCall
from appliance.events import Error, LocalCameraException, LocalMicrophoneException
from appliance.messages import Address
from appliance.model import CallState, DeviceException, Situation
from tests.parts.play import HOUSE, RICH, Play

ALICE = Address("alice", "phone")
HOT = "the processor is at 84 °C"
UNPLUGGED = DeviceException.DEVICE_UNPLUGGED
PRESSURE = DeviceException.BY_SYSTEM_PRESSURE


@pytest.fixture
def play() -> Play:
    """In a call with alice, on a device with cameras."""
    play = Play(RICH, online={"alice": ["phone"]})
    play.is_in_call_with(ALICE)
    return play


def test_heat_slows_the_camera_down_and_is_told(play: Play) -> None:
    play.happens(PressureChanged(HOT))
    assert play.done(LimitFramerate)[-1].fps == PRESSED_FRAMERATE
    assert play.event(LocalCameraException) == LocalCameraException(PRESSURE, HOT)
    assert play.message("state").changes == {"camera_exception": PRESSURE}
    assert play.call.state is CallState.CONNECTED
    assert play.happens(PressureChanged("hotter still")) == []
    play.happens(PressureChanged(None))
    assert play.done(LimitFramerate)[-1].fps is None
    assert play.event(LocalCameraException).type is None
    assert exceptions(play.state) == {}


def test_a_camera_that_fails_is_worse_than_one_that_is_slow(play: Play) -> None:
    play.happens(PressureChanged(HOT))
    play.happens(DeviceFailed("camera", UNPLUGGED, "it is gone"))
    assert exceptions(play.state) == {"camera": UNPLUGGED}
    play.happens(DeviceFailed("camera", None))
    assert play.event(LocalCameraException) == LocalCameraException(PRESSURE, HOT)
    play.happens(DeviceFailed("camera", UNPLUGGED, "it is gone"))
    told = play.happens(PressureChanged(None))
    assert told == [LimitFramerate(None)], "the failure is still the news"
    assert exceptions(play.state) == {"camera": UNPLUGGED}


def test_heat_of_a_device_without_a_camera_is_an_error() -> None:
    play = Play(replace(HOUSE, cameras=frozenset()))
    play.happens(PressureChanged(HOT))
    assert play.done(LimitFramerate) == []
    assert play.event(Error) == Error("by_system_pressure", HOT, "system", 1)
    assert situation(play.state) is Situation.ERROR
    play.happens(PressureChanged(None))
    assert situation(play.state) is Situation.IDLE


def test_who_joins_is_told_what_does_not_work() -> None:
    play = Play(RICH, online={"alice": ["phone"]})
    play.happens(PressureChanged(HOT), DeviceFailed("microphone", DeviceException.ZERO_CAPTURE_FPS))
    play.is_in_call_with(ALICE)
    assert play.message("state").changes == {
        "camera_exception": PRESSURE,
        "microphone_exception": DeviceException.ZERO_CAPTURE_FPS,
    }


def test_after_a_sleep_what_was_open_is_opened_anew(play: Play) -> None:
    play.happens(Resumed(3600.4))
    assert play.done(RenewCapture)[-1].reason == "the device was suspended for 3600 s"
    play.orders(EndCall())
    assert play.happens(Resumed(5)) == []


def test_a_broken_part_is_told_once_and_shown_while_nobody_calls(play: Play) -> None:
    fault = FaultReported("pin_unavailable", "it is busy", "leds.status", lasts=True)
    play.happens(fault, DeviceFailed("microphone", UNPLUGGED))
    assert play.state.faults == {"leds.status": "pin_unavailable"}
    assert exceptions(play.state) == {"microphone": UNPLUGGED}
    assert situation(play.state) is Situation.IN_CALL, "the visitor is to see that somebody answers"
    play.orders(EndCall())
    assert situation(play.state) is Situation.ERROR
    play.happens(DeviceFailed("microphone", None))
    assert play.event(LocalMicrophoneException).type is None
    assert situation(play.state) is Situation.ERROR
    play.happens(FaultCleared("leds.status"))
    assert situation(play.state) is Situation.IDLE


def test_what_happened_once_is_over_with_its_telling() -> None:
    play = Play(HOUSE)
    play.happens(FaultReported("malformed", "no JSON", "a/topic"))
    assert play.state.faults == {}
    assert situation(play.state) is Situation.IDLE
