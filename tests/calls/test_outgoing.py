"""The door calls the house."""

from __future__ import annotations

import pytest

from appliance.calls.effects import (
    ClosePeer,
    OpenPeer,
    PlaySound,
    Reply,
    Send,
    Sound,
    StartCapture,
    StopCapture,
)
from appliance.calls.inputs import (
    ENDPOINTS_OF_EACH,
    ButtonGestured,
    ButtonPressed,
    LinkChanged,
    LinkState,
    PeerConnected,
    PeerFailed,
)
from appliance.commands import EndCall, InitiateCall, LeaveSession, RejectCall
from appliance.events import (
    CallEnded,
    Error,
    OutgoingCallRejected,
    OutgoingCallTimeout,
    SessionLeft,
)
from appliance.messages import Accept, Address, Answer, Cancel, End, Invite, Reject, Ringing
from appliance.model import (
    CalleeState,
    CallEndReason,
    CallState,
    CancelReason,
    Gesture,
    ReceiverType,
    RejectReason,
)
from tests.parts.play import ANSWER, OFFER, Play

ALICE, ALICES_TABLET = Address("alice", "phone"), Address("alice", "tablet")
BOB, CAROL = Address("bob", "phone"), Address("carol", "phone")
HOME = {"alice": ["phone", "tablet"], "bob": ["phone"]}


def states(play: Play) -> dict[str, CalleeState]:
    return {invitee.uid: invitee.state for invitee in play.call.invitees}


def test_a_press_is_heard_at_once_and_then_rings_everyone_at_home() -> None:
    play = Play(online=HOME)
    play.happens(ButtonPressed("call"))
    assert play.outputs == [PlaySound(Sound.CHIME)]
    play.happens(ButtonGestured("call", Gesture.PRESS))
    assert play.events == [
        "call_button_clicked",
        "outgoing_call_started",
        "audio_session_toggled",
    ]
    assert play.sent == [
        ("alice", "phone", "invite"),
        ("alice", "tablet", "invite"),
        ("bob", "phone", "invite"),
        ("carol", None, "invite"),
    ]
    assert play.done(StartCapture) == [StartCapture(video=True)]
    assert not play.done(PlaySound), "the chime was heard at the first edge"
    assert states(play) == {"alice": "inviting", "bob": "inviting", "carol": "offline"}


def test_the_first_accept_takes_it_and_the_others_are_told() -> None:
    play = Play(online=HOME)
    play.orders(InitiateCall())
    play.hears(ALICE, Ringing())
    play.hears(BOB, Ringing())
    play.hears(BOB, Accept(offer=OFFER))
    assert play.events == [
        "invitation_user_state_changed",
        "outgoing_call_accepted",
        "session_state_changed",
    ]
    told = [(send.to, send.message) for send in play.done(Send)]
    elsewhere = Cancel(CancelReason.ANSWERED_ELSEWHERE, by=BOB)
    assert told == [
        (ALICES_TABLET, elsewhere),
        (ALICE, elsewhere),
        (Address("carol", None), elsewhere),
    ]
    assert states(play) == {"alice": "cancelled", "bob": "accepted", "carol": "cancelled"}
    assert [open_.offer for open_ in play.done(OpenPeer)] == [OFFER]
    assert play.call.state is CallState.CONNECTING
    assert {timer.kind for timer in play.timers} == {"setup"}, "it rings no more"


def test_when_media_flows_the_device_is_in_the_session() -> None:
    play = Play(online=HOME)
    play.orders(InitiateCall())
    play.hears(BOB, Accept(offer=OFFER))
    play.connects(BOB)
    assert play.events == [
        "session_state_changed",
        "session_joined",
        "participant_joined",
        "participant_list_changed",
    ]
    assert ("bob", "phone", "answer") in play.sent
    assert play.message("answer") == Answer(ANSWER, 1)
    listed = play.message("participants").participants
    assert [one.uid for one in listed] == ["front-door", "bob"]
    assert play.call.answered_by == "bob"


def test_hanging_up_here_ends_it_for_both() -> None:
    play = Play(online=HOME)
    play.is_in_call_with(ALICE)
    play.now_s += 12.5
    play.orders(EndCall())
    assert play.sent == [("alice", "phone", "end")]
    assert play.events == [
        "audio_session_toggled",
        "session_state_changed",
        "session_left",
        "call_ended",
    ]
    ended = play.event(CallEnded)
    assert ended.reason is CallEndReason.LOCAL_HANG_UP
    assert ended.duration_s == 12.5
    assert play.done(ClosePeer)
    assert play.done(StopCapture)


def test_hanging_up_there_ends_it_for_both() -> None:
    play = Play(online=HOME)
    play.is_in_call_with(ALICE)
    play.hears(ALICE, End("hang_up"))
    assert play.events == [
        "participant_left",
        "participant_list_changed",
        "invitation_user_state_changed",
        "audio_session_toggled",
        "session_state_changed",
        "session_left",
        "call_ended",
    ]
    assert play.event(SessionLeft).reason is CallEndReason.REMOTE_HANG_UP
    assert play.event(CallEnded).reason is CallEndReason.REMOTE_HANG_UP


def test_rejected_from_one_endpoint_is_the_answer_of_the_uid() -> None:
    play = Play(online={"alice": ["phone", "tablet"]})
    play.orders(InitiateCall(receiver="alice"))
    play.hears(ALICE, Reject(RejectReason.REJECTED, custom_data={"why": "asleep"}))
    told = [(send.to, send.message) for send in play.done(Send)]
    assert told == [(ALICES_TABLET, Cancel(CancelReason.REJECTED_ELSEWHERE, by=ALICE))]
    assert play.event(OutgoingCallRejected).custom_data == {"why": "asleep"}
    assert play.event(CallEnded).reason is CallEndReason.REJECTED


def test_busy_counts_only_from_all_endpoints() -> None:
    play = Play(online={"alice": ["phone", "tablet"]})
    play.orders(InitiateCall(receiver="alice"))
    play.hears(ALICE, Reject(RejectReason.BUSY))
    assert play.events == []
    play.hears(ALICES_TABLET, Reject(RejectReason.BUSY))
    assert play.event(OutgoingCallRejected).reason is RejectReason.BUSY
    assert play.event(CallEnded).reason is CallEndReason.BUSY


def test_one_no_does_not_end_it_while_others_may_still_answer() -> None:
    play = Play(online=HOME)
    play.orders(InitiateCall())
    play.hears(ALICE, Reject(RejectReason.REJECTED))
    assert play.call.state == "outgoing"
    play.hears(BOB, Accept(offer=OFFER))
    assert play.call.state == "connecting"


def test_nobody_answers() -> None:
    play = Play(online=HOME)
    play.orders(InitiateCall())
    play.hears(ALICE, Ringing())
    play.hears(BOB, Reject(RejectReason.REJECTED))
    play.wait(29)
    assert play.outputs == []
    play.wait(2)
    cancelled = [send.to.uid for send in play.done(Send)]
    assert cancelled == ["alice", "alice", "carol"]
    silent = [callee.uid for callee in play.event(OutgoingCallTimeout).callees]
    assert silent == ["alice", "carol"]
    assert play.event(CallEnded).reason is CallEndReason.TIMED_OUT


def test_without_a_broker_it_waits_until_it_is_too_old_and_fails() -> None:
    play = Play(online=HOME)
    play.happens(LinkChanged(LinkState.OFFLINE))
    play.happens(ButtonPressed("call"))
    assert play.outputs == [PlaySound(Sound.CHIME)], "the visitor hears it all the same"
    play.happens(ButtonGestured("call", Gesture.PRESS))
    assert play.sent == [(uid, None, "invite") for uid in ("alice", "bob", "carol")]
    play.wait(31)
    assert play.events == ["error", "audio_session_toggled", "call_ended"]
    assert play.event(Error).code == "broker_unreachable"
    assert play.event(CallEnded).reason is CallEndReason.FAILED


def test_who_comes_online_while_it_rings_is_invited_with_what_is_left() -> None:
    play = Play()
    play.orders(InitiateCall(receiver="alice"))
    play.wait(10)
    play.comes("alice")
    [send] = play.done(Send)
    assert isinstance(send.message, Invite)
    assert (send.to, send.message.timeout_s) == (ALICE, 20)
    assert states(play) == {"alice": "inviting"}
    play.comes("alice")
    assert play.outputs == [], "the same connection is not invited twice"


def test_as_many_endpoints_of_one_are_rung_as_the_edge_takes_for_online() -> None:
    """The first of them too; and what is more rings nobody out."""
    play = Play()
    there = [f"phone-{number}" for number in range(ENDPOINTS_OF_EACH)]
    for endpoint in there:
        play.comes("alice", endpoint)
    play.comes("alice", "one-more")
    play.orders(InitiateCall(receiver="alice"))
    assert [to for _, to, kind in play.sent if kind == "invite"] == there
    play.comes("alice", "another")
    assert play.sent == []
    play.goes("alice", there[0])
    play.comes("alice", "another")
    assert [to for _, to, kind in play.sent if kind == "invite"] == ["another"]


def test_who_goes_while_it_rings_is_offline_again() -> None:
    play = Play(online={"alice": ["phone"]})
    play.orders(InitiateCall(receiver="alice"))
    play.hears(ALICE, Ringing())
    play.goes("alice")
    assert states(play) == {"alice": "offline"}


@pytest.mark.parametrize("command", [EndCall(), LeaveSession(), RejectCall(reason="cancelled")])
def test_taking_it_back_before_anybody_answered(command: EndCall) -> None:
    play = Play(online=HOME)
    play.orders(InitiateCall())
    play.orders(command)
    assert {type_ for _, _, type_ in play.sent} == {"cancel"}
    assert play.event(CallEnded).reason is CallEndReason.CANCELLED


def test_the_red_button_takes_it_back() -> None:
    play = Play(online=HOME)
    play.orders(InitiateCall())
    play.happens(ButtonGestured("red", Gesture.PRESS))
    assert play.events[0] == "outgoing_call_cancel_button_pressed"
    assert play.event(CallEnded).reason is CallEndReason.CANCELLED


def test_a_second_accept_comes_too_late() -> None:
    play = Play(online=HOME)
    play.orders(InitiateCall())
    play.hears(BOB, Accept(offer=OFFER))
    play.hears(ALICE, Accept(offer=OFFER))
    [send] = play.done(Send)
    assert (send.to, send.message) == (ALICE, Cancel(CancelReason.ANSWERED_ELSEWHERE, by=BOB))
    play.hears(BOB, Accept(offer=OFFER))
    assert play.outputs == [], "the winner's own accept may come twice"
    call_id = play.call.call_id
    play.orders(EndCall())
    play.hears(ALICE, Accept(offer=OFFER), call_id)
    [send] = play.done(Send)
    assert (send.to, send.message) == (ALICE, End("hang_up"))


def test_pressing_again_while_it_rings_chimes_and_makes_no_second_call() -> None:
    play = Play(online=HOME)
    play.orders(InitiateCall())
    call_id = play.call.call_id
    play.happens(ButtonPressed("call"), ButtonGestured("call", Gesture.PRESS))
    assert play.done(PlaySound) == [PlaySound(Sound.CHIME)]
    assert play.events == ["call_button_clicked"]
    assert [call.call_id for call in play.state.calls] == [call_id]


def test_a_hold_that_calls_chimes_when_it_is_complete() -> None:
    play = Play(online=HOME)
    play.happens(ButtonPressed("long"))
    assert play.outputs == []
    play.happens(ButtonGestured("long", Gesture.HOLD))
    assert play.done(PlaySound) == [PlaySound(Sound.CHIME)]


def test_a_bell_of_its_own_for_each_flat() -> None:
    play = Play(online=HOME)
    play.happens(ButtonGestured("bell_bob", Gesture.PRESS))
    assert play.sent == [("bob", "phone", "invite")]
    assert play.call.receiver.id == "bob"


def test_answered_but_never_connected() -> None:
    play = Play(online=HOME)
    play.orders(InitiateCall())
    play.hears(BOB, Accept(offer=OFFER))
    play.wait(11)
    assert play.event(Error).code == "setup_timed_out"
    assert play.event(CallEnded).reason is CallEndReason.FAILED
    assert ("bob", "phone", "end") in play.sent


def test_the_connection_fails_in_the_making() -> None:
    play = Play(online=HOME)
    play.orders(InitiateCall())
    play.hears(BOB, Accept(offer=OFFER))
    play.happens(PeerFailed(play.peer(BOB), "no_common_codec", "the offer has no H.264"))
    assert play.events == [
        "error",
        "audio_session_toggled",
        "session_state_changed",
        "call_ended",
    ]
    assert play.event(CallEnded).reason is CallEndReason.FAILED


def test_where_all_may_come_in_each_accept_opens_a_connection() -> None:
    play = Play(online=HOME)
    play.orders(InitiateCall(receiver="party", receiver_type=ReceiverType.GROUP))
    play.hears(ALICE, Accept(offer=OFFER))
    play.connects(ALICE)
    play.hears(BOB, Accept(offer=OFFER))
    assert "outgoing_call_accepted" in play.events
    play.connects(BOB)
    assert [one.uid for one in play.call.participants] == ["alice", "bob"]
    play.hears(ALICE, End("hang_up"))
    assert play.call.state is CallState.CONNECTED
    play.hears(BOB, End("hang_up"))
    assert play.event(CallEnded).reason is CallEndReason.REMOTE_HANG_UP


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (InitiateCall(receiver="alcie"), "unknown_receiver"),
        (InitiateCall(receiver="guest"), "nobody_to_call"),
        (InitiateCall(receiver="nobodies", receiver_type=ReceiverType.GROUP), "nobody_to_call"),
    ],
)
def test_whom_the_door_cannot_call(command: InitiateCall, code: str) -> None:
    play = Play(online=HOME)
    play.orders(command)
    [reply] = play.done(Reply)
    assert reply.code == code
    assert play.event(Error).code == code
    assert play.state.calls == ()


def test_a_misspelt_receiver_is_told_the_nearest_name() -> None:
    play = Play()
    play.orders(InitiateCall(receiver="alcie"))
    [reply] = play.done(Reply)
    assert reply.message == "no user is called alcie; did you mean alice?"


def test_who_was_not_invited_cannot_accept() -> None:
    play = Play(online=HOME)
    play.orders(InitiateCall(receiver="bob"))
    play.hears(ALICE, Accept(offer=OFFER))
    assert play.event(Error).code == "not_invited"
    assert play.call.state is CallState.OUTGOING


def test_an_accept_without_an_offer_changes_nothing() -> None:
    play = Play(online=HOME)
    play.orders(InitiateCall(receiver="bob"))
    play.hears(BOB, Accept())
    assert play.event(Error).code == "no_offer"
    assert play.call.state is CallState.OUTGOING


def test_a_report_of_a_connection_that_is_gone_means_nothing() -> None:
    play = Play(online=HOME)
    play.is_in_call_with(ALICE)
    peer = play.peer(ALICE)
    play.orders(EndCall())
    play.happens(PeerConnected(peer), PeerFailed(peer, "closed", "closed"))
    assert play.outputs == []


def test_two_calls_are_not_placed_at_once() -> None:
    play = Play(online=HOME)
    play.orders(InitiateCall(receiver="alice"))
    play.orders(InitiateCall(receiver="bob"))
    [reply] = play.done(Reply)
    assert reply.code == "busy"
