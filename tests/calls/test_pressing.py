"""Presses by hands, and by a vandal: what is too much does nothing, and is told once."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.actions import parse_action
from appliance.calls.effects import PlaySound, Sound
from appliance.calls.inputs import ButtonGestured, ButtonPressed, HookSwitched
from appliance.calls.pressing import CALM_S, MAX_RINGS
from appliance.calls.situation import situation
from appliance.commands import EndCall
from appliance.events import Error, OutgoingCallStarted
from appliance.messages import Address, Reject
from appliance.model import Gesture, RejectReason, Situation
from tests.parts.play import HOUSE, Play

ALICE = Address("alice", "phone")


def presses(play: Play, button: str, times: int, every_s: float = 0.2) -> list[object]:
    """Somebody presses a button so often; everything that came of it."""
    told: list[object] = []
    for _ in range(times):
        told += play.happens(ButtonPressed(button), ButtonGestured(button, Gesture.PRESS))
        told += play.wait(every_s)
    play.outputs = list(told)  # type: ignore[arg-type]
    return told


def test_a_flood_rings_once_and_is_told_once() -> None:
    play = Play(online={"alice": ["phone"]})
    presses(play, "call", 200)
    assert len(play.find(OutgoingCallStarted)) == 1
    [told] = [error for error in play.find(Error) if error.code == "too_many_presses"]
    assert told.where == "buttons.call"
    assert play.state.passed_over == {"call": 180}, "20 within ten seconds, and no more"
    chimes = [one for one in play.done(PlaySound) if one.sound is Sound.CHIME]
    assert 1 <= len(chimes) <= 4, "again each second, for the twenty presses that counted"


def test_who_hammers_rings_nobody_even_after_the_call() -> None:
    play = Play(online={"alice": ["phone"]})
    presses(play, "call", 30)
    play.hears(ALICE, Reject(RejectReason.REJECTED))
    play.orders(EndCall())
    assert play.state.active is None
    presses(play, "call", 50)
    assert play.find(OutgoingCallStarted) == []
    play.wait(CALM_S)
    assert play.state.passed_over == {}
    presses(play, "call", 1)
    assert len(play.find(OutgoingCallStarted)) == 1, "who left it alone is served again"


def test_the_others_work_while_one_is_hammered() -> None:
    play = Play(online={"alice": ["phone"]})
    presses(play, "call", 40)
    presses(play, "red", 1)
    assert play.state.active is None, "the call is taken back"


def test_all_together_have_a_limit_of_their_own() -> None:
    play = Play()
    names = [f"key.{number}" for number in range(50)]
    for _ in range(2):
        for name in names:
            play.happens(ButtonPressed(name))
    assert play.state.passed_over == {"*": 20}
    play.happens(ButtonPressed("call"), ButtonGestured("call", Gesture.PRESS))
    assert play.outputs == play.outputs[:1], "not even a chime"
    assert play.state.active is None
    play.wait(CALM_S)
    presses(play, "call", 1)
    assert play.state.active is not None


def test_no_limit_where_none_is_wanted() -> None:
    play = Play(replace(HOUSE, max_presses=0))
    presses(play, "mute", 500, every_s=0.01)
    assert play.state.passed_over == {}
    assert play.state.presses == {}


def test_slow_presses_are_never_too_many() -> None:
    play = Play()
    presses(play, "mute", 300, every_s=0.6)
    assert play.find(Error) == [error for error in play.find(Error) if error.code == "no_call"]
    assert situation(play.state) is Situation.IDLE


def test_a_handset_that_is_lifted_again_and_again_is_passed_over_too() -> None:
    house = replace(HOUSE, buttons={**HOUSE.buttons, ("hook", Gesture.PRESS): parse_action("call")})
    play = Play(house, online={"alice": ["phone"]})
    rung = 0
    for _ in range(50):
        play.happens(HookSwitched("hook", lifted=True))
        rung += len(play.find(OutgoingCallStarted))
        assert play.state.handset_lifted is True
        play.happens(HookSwitched("hook", lifted=False))
        assert not play.state.calls, "putting it back always ends the call"
    assert rung == MAX_RINGS
    assert play.state.passed_over == {"hook": 50 - MAX_RINGS}


def test_nobody_is_rung_again_and_again_by_who_takes_it_back() -> None:
    play = Play(online={"alice": ["phone"]})
    rung = 0
    for _ in range(11):
        presses(play, "call", 1)
        rung += len(play.find(OutgoingCallStarted))
        if play.state.active is not None:
            presses(play, "red", 1)
    assert rung == MAX_RINGS
    play.wait(CALM_S)
    presses(play, "call", 1)
    assert len(play.find(OutgoingCallStarted)) == 1
