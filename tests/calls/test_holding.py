"""Hold, and the second call: in one is talked, the other waits."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.calls.effects import HoldPeer, PlaySound, Reply, Sound, StopCapture
from appliance.calls.inputs import ButtonGestured, ButtonPressed, PeerConnected, PeerLost
from appliance.commands import (
    AcceptCall,
    Command,
    EndCall,
    HoldCall,
    InitiateCall,
    LeaveSession,
    MuteAudio,
    RejectCall,
)
from appliance.events import CallEnded, HoldToggled, IncomingCallReceived
from appliance.messages import Accept, End, Reject, State
from appliance.model import CallEndReason, CallSettings, CallState, Gesture, RejectReason
from tests.parts.household import ALICE, BOB, CAROL, HOME, PATIENT, second_call_with, session_of
from tests.parts.play import OFFER, Play

NO_WAITING = replace(PATIENT, settings=CallSettings())


@pytest.fixture
def play() -> Play:
    play = Play(PATIENT, online=HOME)
    play.is_in_call_with(ALICE)
    return play


def held(play: Play) -> dict[str, bool]:
    return {call.members[0].peer.uid: call.on_hold for call in play.state.calls}


# -------------------- one call


def test_held_here_and_taken_off(play: Play) -> None:
    peer = play.peer(ALICE)
    play.orders(HoldCall())
    assert play.event(HoldToggled).on_hold
    assert play.done(HoldPeer) == [HoldPeer(peer, here=True, there=False)]
    assert play.message("state").changes == {"on_hold": True}
    play.orders(HoldCall())
    assert play.outputs == [Reply(1)]
    play.orders(HoldCall(on_hold=False))
    assert not play.event(HoldToggled).on_hold
    assert play.done(HoldPeer) == [HoldPeer(peer, here=False, there=False)]


def test_held_by_the_other_side_by_both_and_by_none(play: Play) -> None:
    peer = play.peer(ALICE)
    play.hears(ALICE, State({"on_hold": True}))
    assert play.event(HoldToggled).on_hold
    assert play.done(HoldPeer) == [HoldPeer(peer, here=False, there=True)]
    play.orders(HoldCall())
    assert play.done(HoldPeer) == [HoldPeer(peer, here=True, there=True)]
    play.hears(ALICE, State({"on_hold": False}))
    assert play.done(HoldPeer) == [HoldPeer(peer, here=True, there=False)]
    play.hears(ALICE, State({"on_hold": False}))
    assert play.events == []


def test_who_comes_into_a_held_session_is_held(play: Play) -> None:
    session_of(ALICE, play=play) if not play.state.calls else None
    play.orders(command("invite", receiver="bob"))
    play.orders(HoldCall())
    play.hears(BOB, Accept(offer=OFFER))
    play.connects(BOB)
    assert play.done(HoldPeer) == [HoldPeer(play.peer(BOB), here=True, there=False)]
    assert play.message_of(BOB, State).changes == {"on_hold": True}


def command(name: str, **arguments: object) -> Command:
    from appliance.commands import COMMANDS

    return COMMANDS[name](**arguments)


def test_a_replaced_connection_is_held_like_the_one_before(play: Play) -> None:
    play.is_called(ALICE) if not play.state.calls else None
    play.orders(EndCall())
    play.is_called(ALICE, offer=None)
    play.orders(AcceptCall())
    peer = play.peer(ALICE)
    play.happens(PeerConnected(peer))
    play.orders(HoldCall())
    play.happens(PeerLost(peer))
    following = play.call.members[0].next
    assert following is not None
    play.happens(PeerConnected(following))
    assert play.done(HoldPeer) == [HoldPeer(following, here=True, there=False)]


@pytest.mark.parametrize("state", ["none", "incoming", "outgoing", "connecting"])
def test_there_is_a_time_for_everything(state: str) -> None:
    play = Play(PATIENT, online=HOME)
    if state == "incoming":
        play.is_called(ALICE)
    elif state != "none":
        play.orders(InitiateCall(receiver="alice"))
    if state == "connecting":
        play.hears(ALICE, Accept(offer=OFFER))
    play.orders(HoldCall())
    assert play.done(Reply)[0].code == ("no_call" if state == "none" else "not_connected")


# -------------------- a second call comes in


def test_a_second_call_waits_until_it_is_taken_and_holds_the_first(play: Play) -> None:
    play.is_called(BOB, "second")
    assert play.event(IncomingCallReceived).call.call_id == "second"
    assert play.call.caller.uid == "front-door", "the first is talked in still"
    play.orders(AcceptCall())
    assert play.find(HoldToggled)[0].call.receiver.id == "alice"
    assert play.message_of(ALICE, State).changes == {"on_hold": True}
    assert play.call.call_id == "second"
    play.connects(BOB)
    assert held(play) == {"bob": False, "alice": True}
    play.hears(BOB, End("hang_up"))
    assert [one.on_hold for one in play.find(HoldToggled)] == [False]
    assert held(play) == {"alice": False}
    assert not play.done(StopCapture)


def test_a_second_call_that_is_declined_leaves_the_first_as_it_is(play: Play) -> None:
    play.is_called(BOB, "second")
    play.orders(RejectCall())
    assert play.message("reject").reason is RejectReason.REJECTED
    assert not play.find(HoldToggled)
    assert held(play) == {"alice": False}


def test_the_first_call_ends_while_the_second_rings(play: Play) -> None:
    play.is_called(BOB, "second")
    play.hears(ALICE, End("hang_up"), play.call.call_id)
    assert play.call.call_id == "second"
    play.orders(AcceptCall())
    play.connects(BOB)
    assert held(play) == {"bob": False}


def test_without_call_waiting_who_calls_hears_busy() -> None:
    play = Play(NO_WAITING, online=HOME)
    play.is_in_call_with(ALICE)
    play.is_called(BOB, "second")
    assert play.sent == [("bob", "phone", "reject")]
    assert play.event(CallEnded).reason is CallEndReason.BUSY


def test_while_the_first_is_held_a_second_may_come_without_call_waiting() -> None:
    play = Play(NO_WAITING, online=HOME)
    play.is_in_call_with(ALICE)
    play.orders(HoldCall())
    play.is_called(BOB, "second")
    assert play.sent == [("bob", "phone", "ringing")]
    play.orders(AcceptCall())
    play.connects(BOB)
    play.hears(BOB, End("hang_up"))
    assert held(play) == {"alice": True}, "somebody wanted that, and it was not for the second call"


def test_a_third_call_is_too_much(play: Play) -> None:
    second_call_with(play, BOB)
    play.is_called(CAROL, "third")
    assert play.message("reject") == Reject(RejectReason.BUSY)
    play.orders(InitiateCall(receiver="carol"))
    assert play.done(Reply)[0].code == "busy"


def test_no_second_call_before_the_first_is_connected() -> None:
    play = Play(PATIENT, online=HOME)
    play.orders(InitiateCall(receiver="alice"))
    play.is_called(BOB, "second")
    assert play.message("reject") == Reject(RejectReason.BUSY)


# -------------------- a second call is made


def test_a_second_call_is_made_and_they_change_places(play: Play) -> None:
    second_call_with(play, BOB)
    assert held(play) == {"bob": False, "alice": True}
    play.orders(HoldCall())
    assert held(play) == {"alice": False, "bob": True}
    assert [one.on_hold for one in play.find(HoldToggled)] == [True, False]
    play.orders(HoldCall())
    assert held(play) == {"bob": False, "alice": True}
    play.orders(HoldCall(on_hold=False))
    assert held(play) == {"alice": False, "bob": True}, "whichever is asked for"
    play.orders(LeaveSession())
    assert held(play) == {"bob": False}


def test_a_held_call_is_taken_up_again_while_another_rings(play: Play) -> None:
    play.orders(HoldCall())
    play.is_called(BOB, "second")
    play.orders(HoldCall(on_hold=False))
    assert play.state.calls[0].on_hold is False
    play.orders(AcceptCall())
    play.connects(BOB)
    assert held(play) == {"bob": False, "alice": True}


def test_a_second_call_that_nobody_takes(play: Play) -> None:
    play.orders(InitiateCall(receiver="bob"))
    assert play.state.calls[1].on_hold
    assert play.done(PlaySound) == [PlaySound(Sound.CHIME)]
    play.hears(BOB, Reject(RejectReason.REJECTED))
    assert held(play) == {"alice": False}


def test_while_a_second_rings_out_commands_are_about_it(play: Play) -> None:
    play.orders(InitiateCall(receiver="bob"))
    play.orders(HoldCall(on_hold=False))
    assert play.done(Reply)[0].code == "not_connected"
    play.orders(MuteAudio())
    assert play.done(Reply)[0].code is None
    play.orders(LeaveSession())
    assert play.event(CallEnded).reason is CallEndReason.CANCELLED
    assert held(play) == {"alice": False}


def test_a_bell_rings_another_flat_only_while_the_call_is_held() -> None:
    play = Play(NO_WAITING, online=HOME)
    play.is_in_call_with(ALICE)
    play.happens(ButtonPressed("bell_bob"), ButtonGestured("bell_bob", Gesture.PRESS))
    assert play.events == ["call_button_clicked"]
    assert len(play.state.calls) == 1
    play.orders(HoldCall())
    play.happens(ButtonPressed("bell_bob"), ButtonGestured("bell_bob", Gesture.PRESS))
    assert "outgoing_call_started" in play.events
    assert play.call.receiver.id == "bob"
    assert play.call.state is CallState.OUTGOING


def test_in_two_calls_each_hears_what_concerns_both(play: Play) -> None:
    second_call_with(play, BOB)
    play.orders(MuteAudio())
    assert [one[0] for one in play.sent if one[2] == "state"] == ["bob", "alice"]
