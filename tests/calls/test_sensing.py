"""Contacts, sensors and faults of the panel: what they do, what is told, and what is kept."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls.effects import PlaySound, PulseRelay, Sound
from appliance.calls.inputs import (
    ButtonStuck,
    DeviceFailed,
    FaultCleared,
    FaultReported,
    InputSwitched,
    LinkChanged,
    LinkState,
)
from appliance.calls.situation import fault_counts, situation
from appliance.commands import SetDoNotDisturb
from appliance.events import Error, InputChanged
from appliance.model import DeviceException, Situation
from tests.parts.play import HOUSE, Play

SENSING = replace(HOUSE, exits={"hall": "door", "yard": "shed"}, left_open_s={"front": 60.0})


def switches(play: Play, name: str, kind: str, on: bool) -> None:
    play.happens(InputSwitched(name, kind, on))


def test_an_exit_button_opens_the_door_each_time_that_it_is_pressed() -> None:
    play = Play(SENSING)
    switches(play, "hall", "exit", True)
    assert play.outputs[0].event == InputChanged("hall", "exit", True)  # type: ignore[attr-defined]
    assert play.done(PulseRelay) == [PulseRelay("door")]
    switches(play, "hall", "exit", False)
    assert play.done(PulseRelay) == []


def test_an_exit_button_may_open_nothing_or_what_is_not_there() -> None:
    play = Play(SENSING)
    switches(play, "other", "exit", True)
    assert (play.done(PulseRelay), play.events) == ([], ["input_changed"])
    switches(play, "yard", "exit", True)
    assert play.event(Error).code == "unknown_relay"
    assert play.event(Error).where == "inputs.yard"


def test_a_door_that_stands_open_is_told_once_and_forgotten_when_it_is_closed() -> None:
    play = Play(SENSING)
    switches(play, "front", "door_contact", True)
    play.wait(59)
    assert play.outputs == []
    play.wait(1)
    error = play.event(Error)
    assert (error.code, error.where) == ("left_open", "inputs.front")
    assert error.message == "the door has been open for 60 s"
    assert play.done(PlaySound) == [PlaySound(Sound.ALARM)]
    assert situation(play.state) is Situation.ERROR
    assert play.wait(600) == []
    switches(play, "front", "door_contact", False)
    assert situation(play.state) is Situation.IDLE
    switches(play, "front", "door_contact", True)
    switches(play, "front", "door_contact", False)
    assert play.wait(600) == [], "it was closed in time"


def test_the_alarm_of_a_door_that_stands_open_sounds_under_do_not_disturb() -> None:
    play = Play(SENSING)
    play.orders(SetDoNotDisturb())
    switches(play, "front", "door_contact", True)
    play.wait(60)
    assert play.done(PlaySound) == [PlaySound(Sound.ALARM)]


def test_a_case_that_was_opened_stays_told() -> None:
    play = Play(SENSING)
    switches(play, "case", "tamper", True)
    assert play.event(Error).code == "tamper"
    switches(play, "case", "tamper", False)
    assert play.state.faults == {"inputs.case": "tamper"}
    switches(play, "case", "tamper", True)
    assert play.find(Error) == [], "once"


def test_somebody_moves() -> None:
    play = Play(SENSING)
    switches(play, "porch", "motion", True)
    assert play.events == ["input_changed"]


def test_a_stuck_button_is_told_until_it_is_let_go() -> None:
    play = Play()
    play.happens(ButtonStuck("call", stuck=True))
    assert (play.event(Error).code, play.event(Error).where) == ("stuck_button", "buttons.call")
    assert situation(play.state) is Situation.ERROR
    play.happens(ButtonStuck("call", stuck=False))
    assert play.outputs == []
    assert situation(play.state) is Situation.IDLE


def test_a_pin_that_fails_is_a_fault_until_it_works() -> None:
    play = Play()
    play.happens(FaultReported("pin_unavailable", "leds.status: no.", "leds.status"))
    assert play.state.faults == {"leds.status": "pin_unavailable"}
    play.happens(FaultReported("malformed", "no JSON", "topic"))
    assert play.state.faults == {"leds.status": "pin_unavailable"}, "what passes is told alone"
    play.happens(FaultCleared("leds.status"), FaultCleared("leds.other"))
    assert play.state.faults == {}


def test_an_led_counts_what_is_wrong() -> None:
    play = Play()
    assert fault_counts(play.state) == ()
    play.happens(LinkChanged(LinkState.OFFLINE))
    assert fault_counts(play.state) == (1,)
    play.happens(DeviceFailed("microphone", DeviceException.DEVICE_UNPLUGGED))
    play.happens(DeviceFailed("camera", DeviceException.DEVICE_UNPLUGGED))
    play.happens(FaultReported("pin_unavailable", "no.", "leds.a"))
    play.happens(FaultReported("relay_failed", "no.", "relays.b"))
    play.happens(ButtonStuck("call", stuck=True))
    switches(play, "case", "tamper", True)
    assert fault_counts(play.state) == (1, 2, 3, 5, 6, 8)
