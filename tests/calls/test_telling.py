"""What a visitor is told, in sounds and in notices: a press, a phone that rings, nobody, the open door."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.calls.effects import PlaySound, Sound, StartCapture, StopCapture, StopSound
from appliance.calls.inputs import (
    ButtonGestured,
    ButtonPressed,
    LinkChanged,
    LinkState,
    PeerFailed,
    RelayChanged,
)
from appliance.calls.telling import NOTICE_S, notice_of
from appliance.commands import EndCall, HoldCall, InitiateCall, Invite, SetDoNotDisturb, Unlock
from appliance.events import CallEnded, Error
from appliance.messages import Accept, Address, End, Reject, Request, Ringing
from appliance.model import CallEndReason, Gesture, Notice, RejectReason, RequestAction
from tests.parts.household import ALICE, BOB, HOME, session_of
from tests.parts.play import HOUSE, OFFER, RICH, Play

ALICES_TABLET = Address("alice", "tablet")


@pytest.fixture
def play() -> Play:
    return Play(online={**HOME, "alice": ["phone", "tablet"]})


def press(play: Play, button: str = "call") -> None:
    play.happens(ButtonPressed(button), ButtonGestured(button, Gesture.PRESS))


def heard(play: Play) -> list[Sound]:
    return [one.sound for one in play.done(PlaySound)]


def seen(play: Play) -> Notice | None:
    return notice_of(play.policy, play.state)


# -------------------- it rings


def test_the_visitor_is_told_when_the_first_phone_rings_and_only_then(play: Play) -> None:
    press(play)
    assert heard(play) == [Sound.CHIME]
    assert seen(play) is None, "nobody's phone rings yet"
    play.hears(ALICE, Ringing())
    assert heard(play) == [Sound.IT_IS_RINGING]
    assert seen(play) is Notice.IT_IS_RINGING
    for other in (ALICE, ALICES_TABLET, BOB):
        play.hears(other, Ringing())
        assert heard(play) == []
    play.wait(20)
    assert seen(play) is Notice.IT_IS_RINGING, "for as long as it does"


def test_who_answers_is_not_talked_over(play: Play) -> None:
    press(play)
    play.hears(ALICE, Ringing())
    play.hears(ALICE, Accept(offer=OFFER))
    assert play.done(StopSound) == [StopSound(Sound.IT_IS_RINGING)]
    assert heard(play) == []
    assert seen(play) is None


def test_who_takes_the_call_back_knows_what_became_of_it(play: Play) -> None:
    press(play)
    play.hears(ALICE, Ringing())
    play.orders(EndCall())
    assert play.done(StopSound) == [StopSound(Sound.IT_IS_RINGING)]
    assert heard(play) == []
    assert seen(play) is None


def test_who_is_rung_into_a_session_is_nobody_of_whom_the_visitor_is_told() -> None:
    play = session_of(ALICE)
    play.orders(Invite(receiver="bob"))
    play.hears(BOB, Ringing())
    assert heard(play) == []
    assert seen(play) is None


# -------------------- nobody comes


def test_nobody_answers(play: Play) -> None:
    press(play)
    play.hears(ALICE, Ringing())
    play.wait(30.1)
    assert heard(play) == [Sound.NO_ANSWER]
    assert StopSound(Sound.IT_IS_RINGING) in play.done(StopSound)
    assert seen(play) is Notice.NO_ANSWER
    play.wait(NOTICE_S)
    assert seen(play) is None


@pytest.mark.parametrize("reason", RejectReason)
def test_everybody_says_no_or_is_busy(reason: RejectReason) -> None:
    play = Play(online=HOME)
    press(play, "bell_bob")
    play.hears(BOB, Reject(reason))
    assert heard(play) == [Sound.NOT_NOW]
    assert seen(play) is Notice.NOT_NOW


def test_the_broker_was_never_reached() -> None:
    play = Play()
    play.happens(LinkChanged(LinkState.OFFLINE))
    press(play)
    play.wait(31)
    assert heard(play) == [Sound.NOT_NOW]


def test_who_answered_cannot_be_connected_with() -> None:
    play = Play(online=HOME)
    press(play, "bell_bob")
    play.hears(BOB, Accept(offer=OFFER))
    play.happens(PeerFailed(play.peer(BOB), "failed", "no way was found"))
    assert heard(play) == [Sound.NOT_NOW]


def test_after_a_conversation_nothing_is_said() -> None:
    play = session_of(ALICE)
    play.happens(PeerFailed(play.peer(ALICE), "failed", "consent was lost"))
    play.wait(120)
    assert not play.state.calls
    assert not {one.sound for one in play.all if isinstance(one, PlaySound)} - {Sound.CHIME}


def test_a_conversation_that_the_other_side_breaks_off_is_no_call_in_vain() -> None:
    play = session_of(ALICE)
    play.hears(ALICE, End("failed"))
    assert not play.state.calls
    assert heard(play) == []
    assert seen(play) is None


def test_a_bell_that_rings_nobody_says_so() -> None:
    play = Play(replace(HOUSE, contacts={}))
    press(play)
    assert heard(play) == [Sound.CHIME, Sound.NOT_NOW]
    assert seen(play) is Notice.NOT_NOW
    assert not play.state.calls


@pytest.mark.parametrize(
    ("button", "code", "rung"),
    [("call", "nobody_to_call", "residents"), ("bell_bob", "unknown_receiver", "bob")],
)
def test_a_press_that_rings_nobody_is_a_call_all_the_same(
    button: str, code: str, rung: str
) -> None:
    """So it is in the call log, with a picture; whom the bell is for may be paired no more."""
    play = Play(replace(HOUSE, contacts={}))
    press(play, button)
    assert [name for name in play.events if name != "camera_opened"] == [
        "call_button_clicked",
        "outgoing_call_started",
        "error",
        "call_ended",
    ]
    assert play.event(Error).code == code
    ended = play.event(CallEnded)
    assert (ended.reason, ended.call.receiver.id) == (CallEndReason.FAILED, rung)
    assert play.done(StartCapture) == [StartCapture(video=True, audio=False)]
    play.wait(10)
    assert play.done(StopCapture)


def test_a_second_bell_that_rings_nobody_gives_the_held_call_back() -> None:
    play = Play(
        replace(RICH, contacts={"alice": HOUSE.contacts["alice"]}), online={"alice": ["phone"]}
    )
    play.is_in_call_with(ALICE)
    play.orders(HoldCall(on_hold=True))
    press(play, "bell_bob")
    assert play.event(CallEnded).reason is CallEndReason.FAILED
    assert play.call.answered
    assert len(play.state.calls) == 1


def test_a_command_to_ring_nobody_is_refused_and_makes_no_call() -> None:
    play = Play(replace(HOUSE, contacts={}))
    play.orders(InitiateCall())
    assert play.events == ["error"]


def test_who_presses_again_is_told_of_the_new_call_alone(play: Play) -> None:
    press(play)
    play.wait(30.1)
    press(play)
    assert seen(play) is None
    assert play.done(StopSound) == [StopSound(Sound.NO_ANSWER)]
    play.wait(NOTICE_S)
    play.hears(ALICE, Ringing())
    assert seen(play) is Notice.IT_IS_RINGING


# -------------------- the door


def test_the_door_is_open_when_the_relay_says_so_and_for_as_long(play: Play) -> None:
    play.orders(Unlock(relay="door"))
    assert heard(play) == []
    play.happens(RelayChanged("door", True))
    assert heard(play) == [Sound.DOOR_OPEN]
    play.wait(NOTICE_S + 10)
    assert seen(play) is Notice.DOOR_OPEN
    play.happens(RelayChanged("door", False))
    assert seen(play) is None


def test_a_short_pulse_can_be_read_all_the_same(play: Play) -> None:
    play.happens(RelayChanged("door", True), RelayChanged("door", False))
    assert seen(play) is Notice.DOOR_OPEN
    play.wait(NOTICE_S)
    assert seen(play) is None


def test_a_gong_opens_nothing(play: Play) -> None:
    play.happens(RelayChanged("gong", True))
    assert heard(play) == []
    assert seen(play) is None


def test_in_a_call_too() -> None:
    play = session_of(ALICE)
    play.hears(ALICE, Request("r-1", RequestAction.UNLOCK))
    play.happens(RelayChanged("door", True), RelayChanged("door", True))
    assert heard(play) == [Sound.DOOR_OPEN], "once"
    assert seen(play) is Notice.DOOR_OPEN


# -------------------- silence


def test_do_not_disturb_silences_all_of_it_and_hides_nothing(play: Play) -> None:
    press(play)
    play.orders(SetDoNotDisturb())
    play.hears(ALICE, Ringing())
    assert seen(play) is Notice.IT_IS_RINGING
    play.wait(31)
    assert seen(play) is Notice.NO_ANSWER
    press(play)
    assert seen(play) is Notice.NOT_NOW
    play.happens(RelayChanged("door", True))
    assert seen(play) is Notice.DOOR_OPEN
    sounds = [one.sound for one in play.all if isinstance(one, PlaySound)]
    assert sounds == [Sound.CHIME], "that of the first press, before it was switched on"
