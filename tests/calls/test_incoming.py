"""Somebody calls the door."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.calls.call import CANDIDATES_KEPT
from appliance.calls.effects import (
    AcceptAnswer,
    AddCandidate,
    OpenPeer,
    PlaySound,
    Reply,
    Send,
    SettleMessage,
    Sound,
    StartCapture,
    StopSound,
)
from appliance.calls.inputs import ButtonGestured, PeerConnected, PeerFailed, PeerOffered
from appliance.commands import AcceptCall, EndCall, InitiateCall, LeaveSession, RejectCall
from appliance.events import (
    CallEnded,
    Error,
    IncomingCallCancelled,
    IncomingCallDeclined,
    IncomingCallReceived,
)
from appliance.messages import (
    Accept,
    Address,
    Answer,
    Cancel,
    Candidate,
    End,
    IceCandidate,
    Reject,
    Ringing,
)
from appliance.model import (
    CallEndReason,
    CallState,
    CancelReason,
    Gesture,
    RejectReason,
)
from tests.parts.play import ANSWER, OFFER, Play, invite_from

ALICE, BOB = Address("alice", "phone"), Address("bob", "phone")


def test_it_rings_until_the_green_button_answers() -> None:
    play = Play()
    play.is_called(ALICE)
    assert play.event(IncomingCallReceived).call.caller.name == "Alice"
    assert play.sent == [("alice", "phone", "ringing")]
    assert play.done(PlaySound) == [PlaySound(Sound.RINGTONE)]
    assert not play.done(StartCapture), "nobody is heard or seen before somebody answers"

    play.happens(ButtonGestured("green", Gesture.PRESS))
    assert play.events == [
        "incoming_call_accept_button_pressed",
        "incoming_call_accepted",
        "session_state_changed",
        "audio_session_toggled",
    ]
    assert play.done(StopSound) == [StopSound(Sound.RINGTONE)]
    assert [open_.offer for open_ in play.done(OpenPeer)] == [OFFER]

    play.connects(ALICE)
    assert play.message("accept") == Accept(answer=ANSWER)
    assert play.done(SettleMessage) == [SettleMessage(ALICE, "call-1", "accept")]
    assert play.call.state is CallState.CONNECTED


def test_an_invite_without_an_offer_is_accepted_with_one() -> None:
    play = Play()
    play.is_called(ALICE, offer=None)
    play.orders(AcceptCall())
    peer = play.peer(ALICE)
    play.happens(PeerOffered(peer, OFFER))
    assert play.message("accept") == Accept(offer=OFFER)
    play.hears(ALICE, Answer(ANSWER))
    assert play.done(AcceptAnswer) == [AcceptAnswer(peer, ANSWER)]
    play.happens(PeerConnected(peer))
    assert play.call.state is CallState.CONNECTED


def test_who_is_named_is_answered_without_ringing() -> None:
    play = Play()
    play.is_called(Address("butler", "phone"))
    assert play.events[:2] == ["incoming_call_received", "incoming_call_accepted"]
    assert not play.done(PlaySound)
    assert play.call.state is CallState.CONNECTING


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (RejectCall(), RejectReason.REJECTED),
        (RejectCall(reason="busy"), RejectReason.BUSY),
        (EndCall(), RejectReason.REJECTED),
    ],
)
def test_declining(command: RejectCall, reason: RejectReason) -> None:
    play = Play()
    play.is_called(ALICE)
    play.orders(command)
    assert play.message("reject").reason is reason
    assert play.event(IncomingCallDeclined).reason is reason
    assert play.event(CallEnded).reason == CallEndReason(reason)


@pytest.mark.parametrize("gesture", [Gesture.PRESS, Gesture.HOLD])
def test_the_red_button_declines_while_it_rings(gesture: Gesture) -> None:
    play = Play()
    play.is_called(ALICE)
    play.happens(ButtonGestured("red", gesture))
    assert play.events[0] == "incoming_call_decline_button_pressed"
    assert play.event(CallEnded).reason is CallEndReason.REJECTED


def test_a_bad_reason_is_refused_and_it_rings_on() -> None:
    play = Play()
    play.is_called(ALICE)
    play.orders(RejectCall(reason="tired"))
    [reply] = play.done(Reply)
    assert reply.code == "bad_reason"
    assert play.call.state is CallState.INCOMING


@pytest.mark.parametrize(
    ("said", "events", "reason", "missed"),
    [
        ("cancelled", ["incoming_call_cancelled"], CallEndReason.CANCELLED, 1),
        (
            "timed_out",
            ["incoming_call_cancelled", "incoming_call_timeout"],
            CallEndReason.TIMED_OUT,
            1,
        ),
        (
            "answered_elsewhere",
            ["incoming_call_cancelled"],
            CallEndReason.ANSWERED_ELSEWHERE,
            0,
        ),
        (
            "rejected_elsewhere",
            ["incoming_call_cancelled"],
            CallEndReason.REJECTED_ELSEWHERE,
            0,
        ),
    ],
)
def test_the_caller_takes_it_back(
    said: str, events: list[str], reason: CallEndReason, missed: int
) -> None:
    play = Play()
    play.is_called(ALICE)
    play.hears(ALICE, Cancel(CancelReason(said), custom_data="sorry"))
    assert play.events == [*events, "call_ended"]
    assert play.event(IncomingCallCancelled).custom_data == "sorry"
    assert play.event(CallEnded).reason is reason
    assert len(play.state.missed) == missed


def test_a_cancel_for_the_others_is_not_for_the_endpoint_in_by() -> None:
    play = Play()
    play.is_called(ALICE)
    me = Address("front-door", "main")
    play.hears(ALICE, Cancel(CancelReason.ANSWERED_ELSEWHERE, by=me))
    assert play.call.state is CallState.INCOMING


def test_a_cancel_crosses_the_accept() -> None:
    play = Play()
    play.is_called(ALICE)
    play.orders(AcceptCall())
    play.hears(ALICE, Cancel(CancelReason.ANSWERED_ELSEWHERE))
    assert play.event(CallEnded).reason is CallEndReason.ANSWERED_ELSEWHERE


def test_an_invite_behind_its_cancel_does_not_ring() -> None:
    play = Play()
    play.hears(ALICE, Cancel(CancelReason.CANCELLED), "call-1")
    play.is_called(ALICE)
    assert play.outputs == []
    play.wait(61)
    play.is_called(ALICE, "call-2")
    play.hears(ALICE, End("hang_up"))
    assert play.event(CallEnded).reason is CallEndReason.CANCELLED


def test_the_caller_is_gone() -> None:
    play = Play(online={"alice": ["phone"]})
    play.is_called(ALICE)
    play.goes("alice")
    assert play.event(CallEnded).reason is CallEndReason.CANCELLED


def test_nobody_is_there_to_answer() -> None:
    play = Play()
    play.is_called(ALICE)
    play.wait(33)
    assert play.events == ["incoming_call_timeout", "call_ended"]
    assert len(play.state.missed) == 1


def test_a_second_caller_hears_busy() -> None:
    play = Play()
    play.is_called(ALICE)
    play.is_called(BOB, "call-2")
    assert play.sent == [("bob", "phone", "reject")]
    assert play.events == ["incoming_call_declined", "call_ended"]
    assert play.event(CallEnded).reason is CallEndReason.BUSY
    assert play.call.call_id == "call-1"


def test_a_repeated_invite_is_no_second_ring() -> None:
    play = Play()
    play.is_called(ALICE)
    play.is_called(ALICE)
    assert play.events == []
    assert play.sent == [("alice", "phone", "ringing")]


@pytest.mark.parametrize("theirs", ["0" * 32, "f" * 32])
def test_two_calls_that_cross_become_one(theirs: str) -> None:
    play = Play(online={"alice": ["phone"]})
    play.orders(InitiateCall(receiver="alice"))
    own = play.call.call_id
    play.is_called(ALICE, theirs)
    if theirs < own:
        assert play.call.call_id == theirs
        assert play.call.state is CallState.CONNECTING, "accepted without ringing"
        assert play.event(CallEnded).reason is CallEndReason.CANCELLED
        assert ("alice", "phone", "cancel") in play.sent
    else:
        assert play.call.call_id == own
        assert play.outputs == []


def test_it_cannot_be_connected() -> None:
    play = Play()
    play.is_called(ALICE)
    play.orders(AcceptCall())
    play.happens(PeerFailed(play.peer(ALICE), "bad_description", "the offer is no SDP"))
    assert play.event(Error).code == "bad_description"
    assert play.event(CallEnded).reason is CallEndReason.FAILED
    assert play.sent == [("alice", "phone", "end")]


def test_candidates_before_the_connection_are_kept_for_it() -> None:
    play = Play()
    play.is_called(ALICE)
    early = IceCandidate("candidate:1 1 udp 1 127.0.0.1 9 typ host", "0", 0)
    play.hears(ALICE, Candidate(early))
    assert play.outputs == []
    play.orders(AcceptCall())
    assert play.done(AddCandidate) == [AddCandidate(play.peer(ALICE), early)]
    play.hears(ALICE, Candidate(None))
    assert play.done(AddCandidate) == [AddCandidate(play.peer(ALICE), None)]


def test_no_more_candidates_are_kept_than_64() -> None:
    play = Play()
    play.is_called(ALICE)
    for _ in range(CANDIDATES_KEPT):
        play.hears(ALICE, Candidate(None))
        assert play.outputs == []
    play.hears(ALICE, Candidate(None))
    assert play.event(Error).code == "too_many_candidates"


@pytest.mark.parametrize(
    ("sender", "code"),
    [(Address("guest", "phone"), "not_allowed"), (Address("mallory", "x"), "unknown_sender")],
)
def test_who_may_not_call(sender: Address, code: str) -> None:
    play = Play()
    play.is_called(sender)
    assert play.event(Error).code == code
    assert not play.done(Send)
    assert not play.state.calls


def test_an_invite_in_somebody_elses_name() -> None:
    play = Play()
    play.hears(ALICE, invite_from("bob", "front-door"), "call-1")
    assert play.event(Error).code == "misaddressed"


def test_an_invite_for_somebody_else() -> None:
    play = Play()
    play.hears(ALICE, invite_from("alice", "back-door"), "call-1")
    assert play.event(Error).code == "misaddressed"


def test_somebody_else_cannot_cancel_it() -> None:
    play = Play()
    play.is_called(ALICE)
    play.hears(BOB, Cancel(CancelReason.CANCELLED))
    assert play.event(Error).code == "not_the_host"
    assert play.call.state is CallState.INCOMING


def test_commands_that_do_not_fit_are_refused_with_a_sentence() -> None:
    play = Play()
    play.orders(AcceptCall())
    assert play.done(Reply)[0].message == "no call rings here"
    play.is_called(ALICE)
    play.orders(AcceptCall(call_id="other"))
    assert play.done(Reply)[0].code == "unknown_call"
    play.orders(LeaveSession())
    assert play.done(Reply)[0].code == "not_joined"
    play.hears(ALICE, Reject(RejectReason.BUSY))
    assert play.event(Error).code == "out_of_place"
    play.hears(ALICE, Ringing())
    assert play.outputs == [], "an equal error within a second is only counted"


def test_who_is_rung_into_a_running_session_is_one_of_its_callees() -> None:
    play = Play()
    message = invite_from("alice", "bob")
    play.hears(ALICE, replace(message, callees=("bob", "front-door")), "call-1")
    assert play.call.state is CallState.INCOMING
