"""Sessions of several: who comes in, who is listed, who connects with whom, who may do what to others."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.calls.effects import (
    AddCandidate,
    ClosePeer,
    OpenMicrophone,
    OpenPeer,
    Reply,
    Send,
    SettleMessage,
)
from appliance.calls.inputs import (
    HangUpAnswered,
    LinkChanged,
    LinkState,
    MessageExpired,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerLost,
    PeerOffered,
    PresenceChanged,
)
from appliance.calls.roster import TOGETHER_S
from appliance.commands import (
    EndCall,
    GenerateToken,
    Invite,
    KickParticipant,
    LeaveSession,
    MuteParticipant,
)
from appliance.events import (
    CallEnded,
    Error,
    InvitationUserStateChanged,
    OutgoingCallTimeout,
    ParticipantAudioMuted,
    ParticipantJoined,
    ParticipantLeft,
    SessionLeft,
    SessionStateChanged,
    SessionTimedOut,
)
from appliance.messages import (
    Accept,
    Address,
    Answer,
    Cancel,
    Candidate,
    Chat,
    End,
    Join,
    Participants,
    Reject,
    Request,
    Response,
    State,
)
from appliance.model import (
    CalleeState,
    CallEndReason,
    CallState,
    ParticipantLeftReason,
    RejectReason,
    RequestAction,
)
from tests.parts.household import (
    ALICE,
    BOB,
    CAROL,
    DOOR,
    GATE,
    PATIENT,
    agreed,
    answers,
    guest_in,
    joins,
    list_of,
    party,
    session_of,
)
from tests.parts.play import ANSWER, OFFER, Play


def lists(play: Play) -> dict[str, list[str]]:
    """To whom a list was sent just now, and whom it names, in order."""
    return {
        send.to.uid: [one.uid for one in send.message.participants]
        for send in play.done(Send)
        if isinstance(send.message, Participants)
    }


# -------------------- the host


def test_of_a_group_in_which_all_may_come_in_each_who_answers_does() -> None:
    play = party("alice", "bob")
    play.hears(ALICE, Accept(offer=OFFER))
    assert ("bob", "phone", "cancel") not in play.sent, "bob may still come"
    play.connects(ALICE)
    play.hears(BOB, Accept(offer=OFFER))
    assert lists(play) == {
        "alice": ["front-door", "alice", "bob"],
        "bob": ["front-door", "alice", "bob"],
    }, "alice knows who is going to join her before he does"
    play.connects(BOB)
    assert play.event(ParticipantJoined).participant.uid == "bob"
    assert [one.uid for one in play.call.participants] == ["alice", "bob"]


def test_a_further_user_is_rung_into_the_running_session() -> None:
    play = session_of(ALICE)
    play.orders(Invite(receiver="bob"))
    assert play.sent == [("bob", "phone", "invite")]
    assert {one.uid: one.state for one in play.event(InvitationUserStateChanged).callees} == {
        "alice": CalleeState.ACCEPTED,
        "bob": CalleeState.INVITING,
    }
    joins(play, BOB)
    assert len(play.call.members) == 2
    play.hears(BOB, End("hang_up"))
    assert play.event(ParticipantLeft).reason is ParticipantLeftReason.LEFT
    assert {one.uid: one.state for one in play.event(InvitationUserStateChanged).callees} == {
        "alice": CalleeState.ACCEPTED,
        "bob": CalleeState.LEFT,
    }
    assert lists(play) == {"alice": ["front-door", "alice"]}
    assert play.done(ClosePeer)


def test_who_has_left_can_be_invited_again_and_who_is_there_cannot() -> None:
    play = session_of(ALICE, BOB)
    play.orders(Invite(receiver="bob"))
    assert play.done(Reply)[0].code == "already_there"
    play.hears(BOB, End("hang_up"))
    play.orders(Invite(receiver="bob"))
    assert play.sent == [("bob", "phone", "invite")]
    play.orders(Invite(receiver="bob"))
    assert play.done(Reply)[0].code == "already_there"


@pytest.mark.parametrize(
    ("receiver", "code"),
    [
        ("user:carole", "unknown_receiver"),
        ("crowd:party", "unknown_receiver"),
        ("group:nobodies", "nobody_to_call"),
    ],
)
def test_who_cannot_be_invited(receiver: str, code: str) -> None:
    play = session_of(ALICE)
    play.orders(Invite(receiver=receiver))
    assert play.done(Reply)[0].code == code


def test_a_further_user_who_does_not_come_is_told_of() -> None:
    play = session_of(ALICE)
    play.orders(Invite(receiver="group:party"))
    play.wait(31)
    assert [one.uid for one in play.event(OutgoingCallTimeout).callees] == ["bob"]
    assert ("bob", "phone", "cancel") in play.sent
    assert play.call.state is CallState.CONNECTED


def test_one_who_was_offline_all_the_time_is_not_invited_later() -> None:
    play = session_of(ALICE, play=Play(PATIENT, online={"alice": ["phone"]}))
    play.orders(Invite(receiver="bob"))
    play.wait(31)
    play.comes("bob")
    assert play.sent == []


def test_when_the_last_leaves_who_is_still_rung_is_waited_for() -> None:
    play = session_of(ALICE)
    play.orders(Invite(receiver="bob"))
    play.hears(ALICE, End("hang_up"))
    assert play.call.state is CallState.CONNECTED
    joins(play, BOB)
    play.wait(120)
    assert [one.uid for one in play.call.participants] == ["bob"]


def test_alone_and_nobody_comes_any_more() -> None:
    play = session_of(ALICE)
    play.orders(Invite(receiver="bob"))
    play.hears(ALICE, End("hang_up"))
    play.hears(BOB, Reject(RejectReason.REJECTED))
    assert play.event(CallEnded).reason is CallEndReason.REMOTE_HANG_UP


def test_whoever_is_let_in_and_never_connects_does_not_keep_the_session_alive() -> None:
    play = session_of(ALICE)
    play.orders(Invite(receiver="bob"))
    play.hears(ALICE, End("hang_up"))
    play.hears(BOB, Accept(offer=OFFER))
    play.wait(61)
    assert play.event(SessionTimedOut).idle_s == 60
    assert play.event(CallEnded).reason is CallEndReason.IDLE
    assert ("bob", "phone", "end") in play.sent


def test_the_host_ends_it_for_all_and_tells_whoever_was_still_to_come() -> None:
    play = session_of(ALICE, BOB)
    play.orders(Invite(receiver="carol"))
    play.orders(EndCall())
    assert [one for one in play.sent if one[2] in ("end", "cancel")] == [
        ("alice", "phone", "end"),
        ("bob", "phone", "end"),
        ("carol", "phone", "cancel"),
    ]
    assert play.event(CallEnded).reason is CallEndReason.LOCAL_HANG_UP
    assert not play.find(ParticipantLeft), "not of those whom this device itself left"


def test_the_list_is_sent_again_every_10_s_for_who_missed_one() -> None:
    play = session_of(ALICE, BOB)
    version = play.call.list_version
    play.wait(10.5)
    assert set(lists(play)) == {"alice", "bob"}
    assert play.message_of(ALICE, Participants).version == version
    play.hears(ALICE, Request("r1", RequestAction.PARTICIPANTS))
    assert [one[2] for one in play.sent] == ["participants", "participants", "response"]


def test_who_is_at_the_broker_anew_is_told_of_at_once_in_a_list_that_counts() -> None:
    play = session_of(ALICE, BOB)
    version = play.call.list_version
    play.happens(PresenceChanged("bob", "phone", online=True, epoch="another"))
    play.happens(PresenceChanged("alice", "phone", online=True, epoch="another"))
    assert lists(play) == {}, "one tells of both"
    play.wait(TOGETHER_S)
    assert set(lists(play)) == {"alice", "bob"}
    assert play.message_of(ALICE, Participants).version == version + 1
    play.happens(PresenceChanged("bob", "phone", online=True, epoch="another"))
    play.happens(PresenceChanged("carol", "phone", online=True, epoch="another"))
    play.wait(TOGETHER_S)
    assert lists(play) == {}, "the one is known, and the other not in it"


def test_who_comes_back_again_and_again_is_told_of_all_the_same() -> None:
    play = session_of(ALICE, BOB)
    told = 0
    for count in range(10):
        play.happens(PresenceChanged("bob", "phone", online=True, epoch=f"epoch-{count}"))
        play.wait(0.9 * TOGETHER_S)
        told += bool(lists(play))
    assert told >= 4


def test_a_host_that_is_at_the_broker_anew_tells_its_own_epoch() -> None:
    play = session_of(ALICE, BOB)
    version = play.call.list_version
    play.happens(LinkChanged(LinkState.CONNECTING))
    play.happens(LinkChanged(LinkState.CONNECTED))
    play.wait(TOGETHER_S)
    assert set(lists(play)) == {"alice", "bob"}
    assert play.message_of(ALICE, Participants).version > version


def test_a_muted_guest_is_shown_muted_to_those_who_come_later() -> None:
    play = session_of(ALICE, BOB)
    play.hears(ALICE, State({"audio_muted": True, "hand_raised": True}))
    alice = play.message_of(BOB, Participants).participants[1]
    assert alice.audio_muted
    assert alice.hand_raised


def test_one_of_two_connections_is_lost_and_comes_back() -> None:
    play = session_of(ALICE, BOB)
    play.happens(PeerLost(play.peer(BOB)))
    assert "connection_lost" not in play.events, "alice is still there"
    play.happens(PeerFailed(play.peer(BOB), "failed", "gone"))
    assert play.event(ParticipantLeft).reason is ParticipantLeftReason.CONNECTION_LOST
    assert ("bob", "phone", "end") in play.sent
    assert play.call.state is CallState.CONNECTED


def test_the_one_whose_media_flows_leaves_and_the_other_is_lost() -> None:
    play = session_of(ALICE, BOB)
    play.happens(PeerLost(play.peer(BOB)))
    play.hears(ALICE, End("hang_up"))
    assert "connection_lost" in play.events
    assert play.call.state is CallState.RECONNECTING


def test_two_peers_that_close_at_once_are_both_given_the_time_to_say_so() -> None:
    play = session_of(ALICE, BOB)
    play.happens(
        PeerFailed(play.peer(ALICE), "connection_closed", "closed"),
        PeerFailed(play.peer(BOB), "connection_closed", "closed"),
    )
    assert play.events == []
    play.hears(ALICE, End("hang_up"))
    play.wait(1.5)
    assert [one.participant.uid for one in play.find(ParticipantLeft)] == []
    assert play.event(CallEnded).reason is CallEndReason.CONNECTION_CLOSED


# -------------------- coming in by token


def with_token(play: Play, uid: str = "bob", expires_s: float = 600) -> str:
    session_id = play.call.session_id
    play.orders(GenerateToken(session_id=session_id, uid=uid, expires_s=expires_s))
    return str(play.done(Reply)[0].result["token"])


def test_a_newcomer_with_a_token_is_listed_before_it_connects() -> None:
    play = session_of(ALICE)
    token = with_token(play)
    play.hears(BOB, Join(token=token))
    assert lists(play) == {
        "alice": ["front-door", "alice", "bob"],
        "bob": ["front-door", "alice", "bob"],
    }
    play.hears(BOB, Join(token=token))
    assert len(play.done(Send)) == 2, "who asks again gets the list again"
    play.hears(BOB, Join(offer=OFFER))
    assert play.done(OpenPeer)
    answers(play, BOB)
    assert play.sent[0] != ("bob", "phone", "accept")
    assert [one.uid for one in play.call.participants] == ["alice", "bob"]


def test_who_is_rung_and_comes_by_token_is_rung_no_more() -> None:
    play = session_of(ALICE)
    play.orders(Invite(receiver="bob"))
    play.hears(BOB, Join(token=with_token(play)))
    assert SettleMessage(BOB, play.call.call_id, "invite") in play.done(SettleMessage)
    assert play.message("cancel").by == BOB, "which it ignores; bob's other programs do not"
    play.hears(BOB, Join(offer=OFFER))
    answers(play, BOB)
    play.wait(40)
    assert play.find(OutgoingCallTimeout) == []
    play.hears(BOB, End("hang_up"))
    assert {one.uid: one.state for one in play.event(InvitationUserStateChanged).callees} == {
        "alice": CalleeState.ACCEPTED,
        "bob": CalleeState.LEFT,
    }


def test_who_comes_in_second_keeps_its_place_though_it_connects_first() -> None:
    play = session_of(ALICE)
    bob, carol = with_token(play, "bob"), with_token(play, "carol")
    play.hears(BOB, Join(token=bob))
    play.hears(CAROL, Join(token=carol))
    play.hears(CAROL, Join(offer=OFFER))
    answers(play, CAROL)
    assert lists(play)["alice"] == ["front-door", "alice", "bob", "carol"], (
        "in each pair the later one offers: that must not change half way"
    )


def test_who_is_let_in_and_never_comes_is_taken_off_the_list_again() -> None:
    play = session_of(ALICE)
    play.hears(BOB, Join(token=with_token(play)))
    version = play.call.list_version
    play.wait(41)
    assert play.call.admitted == ()
    assert play.call.list_version > version, "another list is of another version"


def test_who_joins_without_having_been_let_in_is_not() -> None:
    play = session_of(ALICE)
    play.hears(BOB, Join(offer=OFFER))
    assert play.event(Error).code == "not_listed"
    assert not play.done(OpenPeer)


def test_who_joins_a_second_time_has_lost_its_connection() -> None:
    play = session_of(ALICE, BOB)
    before = [one.address for one in play.call.members]
    play.hears(BOB, Join(offer=OFFER))
    [closed], [opened] = play.done(ClosePeer), play.done(OpenPeer)
    assert closed.peer == opened.peer
    assert play.event(ParticipantLeft).participant.uid == "bob"
    answers(play, BOB)
    assert play.event(ParticipantJoined).participant.uid == "bob"
    assert [one.address for one in play.call.members] == before


def test_a_session_that_is_over_is_told_to_who_joins_it() -> None:
    play = session_of(ALICE)
    call_id, token = play.call.call_id, with_token(play)
    play.orders(EndCall())
    play.hears(BOB, Join(token=token), call_id)
    assert play.message("end").reason == "failed"
    assert play.event(Error).code == "no_session"
    play.hears(BOB, Join(token=token), "e" * 32)
    assert play.message("end").reason == "failed"


# -------------------- as a guest


def test_whoever_stands_before_this_device_is_offered_a_connection() -> None:
    play = guest_in(ALICE, DOOR, BOB)
    assert [one.peer.uid for one in play.done(OpenPeer)] == ["alice"], "bob is to offer to us"
    play.happens(PeerOffered(play.peer(ALICE), OFFER))
    assert play.sent == [("alice", "phone", "join")]
    play.hears(ALICE, Answer(ANSWER))
    play.happens(agreed(play.peer(ALICE)), PeerConnected(play.peer(ALICE)))
    assert play.event(ParticipantJoined).participant.name == "Alice"
    assert "participants" not in [one[2] for one in play.sent], "that is the host's"


def test_whoever_stands_behind_is_answered() -> None:
    play = guest_in(DOOR, BOB)
    play.hears(BOB, Join(offer=OFFER))
    [opened] = play.done(OpenPeer)
    assert opened.offer == OFFER
    answers(play, BOB)
    assert [one.uid for one in play.call.participants] == ["gate", "bob"]


def test_an_early_join_and_its_candidates_are_kept_until_the_list_names_who_sent_it() -> None:
    play = guest_in()
    play.hears(BOB, Join(offer=OFFER), "another-call")
    play.hears(BOB, Candidate(None), "another-call")
    assert play.outputs == []
    play.hears(GATE, list_of(GATE, DOOR, BOB))
    [opened] = play.done(OpenPeer)
    assert (opened.peer.uid, opened.peer.call_id, opened.offer) == ("bob", "another-call", OFFER)
    assert play.done(AddCandidate) == [AddCandidate(opened.peer, None)]
    play.happens(PeerAnswered(opened.peer, ANSWER))
    [answer] = play.done(Send)
    assert answer.call_id == "another-call", "each is written to under the id that it knows"


def test_only_a_higher_version_counts_and_only_the_hosts() -> None:
    play = guest_in(DOOR, BOB, version=5)
    play.hears(GATE, list_of(GATE, ALICE, DOOR, version=4))
    assert play.outputs == []
    play.hears(BOB, list_of(GATE, ALICE, DOOR, version=6))
    assert play.event(Error).code == "not_the_host"
    host = session_of(ALICE)
    host.hears(ALICE, list_of(ALICE, DOOR, version=99))
    assert host.event(Error).code == "not_the_host"


def test_who_has_vanished_from_the_list_is_disconnected() -> None:
    play = guest_in(DOOR, BOB)
    play.hears(BOB, Join(offer=OFFER))
    answers(play, BOB)
    play.hears(GATE, list_of(GATE, DOOR, version=2))
    assert play.event(ParticipantLeft).participant.uid == "bob"
    assert not play.done(Send), "the host has told it"
    assert play.call.state is CallState.CONNECTED


def test_a_connection_that_did_not_succeed_is_tried_again_with_the_next_list() -> None:
    play = guest_in(ALICE, DOOR)
    play.happens(PeerFailed(play.peer(ALICE), "setup_timed_out", "no media within 10 s"))
    assert play.call.state is CallState.CONNECTED
    assert play.sent == [], "who is in the session is the host's to say"
    play.hears(GATE, list_of(GATE, ALICE, DOOR))
    assert [one.peer.uid for one in play.done(OpenPeer)] == ["alice"]
    play.happens(MessageExpired(ALICE, play.call.call_id, Join(offer=OFFER), True))
    assert play.done(ClosePeer), "nobody answered"


def test_what_the_list_says_of_others_counts_for_who_missed_it() -> None:
    play = guest_in(DOOR)
    play.hears(GATE, list_of(GATE, DOOR, version=2, audio_muted=True))
    assert play.event(ParticipantAudioMuted).participant.uid == "gate"


def test_what_the_list_has_wrong_of_this_device_is_said_again() -> None:
    play = guest_in(DOOR)
    named = list_of(GATE, DOOR, version=2)
    gate, door = named.participants
    play.hears(GATE, replace(named, participants=(gate, replace(door, audio_muted=True))))
    assert play.sent == [("gate", "main", "state")]
    assert play.message("state").changes == {"audio_muted": False}


def test_crossing_joins_are_settled_by_the_list() -> None:
    play = guest_in(ALICE, DOOR)
    play.hears(ALICE, Join(offer=OFFER))
    assert play.event(Error).code == "connected", "alice stands before: she is offered to"
    assert not play.done(OpenPeer)


def test_the_host_ends_it_for_this_device_too() -> None:
    play = guest_in(DOOR, BOB)
    play.hears(BOB, Join(offer=OFFER))
    answers(play, BOB)
    play.hears(GATE, End("hang_up"))
    assert play.event(CallEnded).reason is CallEndReason.REMOTE_HANG_UP
    assert play.event(SessionLeft).reason is CallEndReason.REMOTE_HANG_UP


def test_a_guest_leaves_and_tells_everybody() -> None:
    play = guest_in(DOOR, BOB)
    play.hears(BOB, Join(offer=OFFER))
    answers(play, BOB)
    play.orders(EndCall())
    assert play.done(Reply)[0].code == "not_the_host"
    play.orders(LeaveSession())
    assert [one for one in play.sent if one[2] == "end"] == [
        ("gate", "main", "end"),
        ("bob", "phone", "end"),
    ]


def test_what_a_guest_says_reaches_all_and_what_others_say_is_heard() -> None:
    play = guest_in(DOOR, BOB)
    play.hears(BOB, Join(offer=OFFER))
    play.hears(CAROL, Chat("hello"))
    assert play.event(Error).code == "not_in_call"
    play.hears(BOB, Chat("hello"))
    assert "chat_message" in play.events


# -------------------- moderating


def test_the_host_kicks() -> None:
    play = session_of(ALICE, BOB)
    play.orders(KickParticipant(uid="bob"))
    assert (play.message("end").reason, play.message("end").kicked_by) == (
        "kicked_out",
        "front-door",
    )
    assert play.event(ParticipantLeft).reason is ParticipantLeftReason.KICKED_OUT
    assert lists(play) == {"alice": ["front-door", "alice"]}
    play.orders(KickParticipant(uid="alice"))
    assert play.event(CallEnded).reason is CallEndReason.LOCAL_HANG_UP


def test_who_was_put_out_does_not_come_back_by_the_same_token() -> None:
    play = session_of(ALICE, BOB)
    play.orders(GenerateToken(session_id=play.call.session_id, uid="bob", expires_s=600))
    old = play.done(Reply)[0].result["token"]
    play.orders(KickParticipant(uid="bob"))
    play.hears(BOB, Join(token=old))
    assert play.event(Error).code == "kicked_out"
    assert play.message("end").reason == "failed"
    play.orders(GenerateToken(session_id=play.call.session_id, uid="bob", expires_s=600))
    play.hears(BOB, Join(token=play.done(Reply)[0].result["token"]))
    assert [one.participant.uid for one in play.call.admitted] == ["bob"]


def test_who_was_put_out_comes_back_where_it_is_invited_anew() -> None:
    play = session_of(ALICE, BOB)
    play.orders(KickParticipant(uid="bob"))
    play.orders(Invite(receiver="bob"))
    joins(play, BOB)
    assert len(play.call.members) == 2


@pytest.mark.parametrize(("uid", "code"), [("bobby", "not_in_call"), ("front-door", "own_uid")])
def test_whom_one_cannot_kick_or_mute(uid: str, code: str) -> None:
    play = session_of(ALICE, BOB)
    play.orders(KickParticipant(uid=uid))
    assert play.done(Reply)[0].code == code
    play.orders(MuteParticipant(uid=uid))
    assert play.done(Reply)[0].code == code


def test_a_guest_with_the_right_has_another_put_out() -> None:
    play = session_of(ALICE, BOB)
    play.hears(ALICE, Request("r1", RequestAction.KICK, uid="bob"))
    assert play.message("end").kicked_by == "alice"
    assert play.message("response") == Response("r1", accepted=True)


@pytest.mark.parametrize(
    "request_",
    [
        Request("r1", RequestAction.KICK, uid="alice"),
        Request("r1", RequestAction.MUTE, uid="alice"),
        Request("r1", RequestAction.INVITE, receiver="user:carol"),
        Request("r1", RequestAction.START_RECORDING),
    ],
    ids=lambda request: str(request.action),
)
def test_without_the_right_nothing_happens(request_: Request) -> None:
    play = session_of(ALICE, BOB)
    play.hears(BOB, request_)
    assert play.sent == [("bob", "phone", "response")]
    assert not play.message("response").accepted
    assert play.event(Error).code == "not_allowed"
    assert len(play.call.members) == 2


def test_a_guest_with_the_right_has_a_further_user_rung() -> None:
    play = session_of(ALICE, BOB)
    play.hears(ALICE, Request("r1", RequestAction.INVITE, receiver="user:carol"))
    assert play.sent == [("carol", "phone", "invite"), ("alice", "phone", "response")]


def test_the_host_has_somebody_muted_and_says_by_whom() -> None:
    play = session_of(ALICE, BOB)
    play.orders(MuteParticipant(uid="bob"), request=7)
    [ask] = play.done(Send)
    assert isinstance(ask.message, Request)
    assert (ask.to, ask.message.action, ask.message.uid) == (BOB, RequestAction.MUTE, "bob")
    assert not play.done(Reply), "that waits for bob's program"
    play.hears(BOB, Response(ask.message.request_id, accepted=True))
    assert play.done(Reply) == [Reply(7)]
    play.hears(BOB, State({"audio_muted": True}))
    assert play.event(ParticipantAudioMuted).muted_by == "front-door"
    play.hears(BOB, State({"audio_muted": False}))
    play.hears(BOB, State({"audio_muted": True}))
    assert play.event(ParticipantAudioMuted).muted_by == "bob"


def test_a_moderator_mutes_through_the_host() -> None:
    play = session_of(ALICE, BOB)
    play.hears(ALICE, Request("r1", RequestAction.MUTE, uid="bob"))
    assert play.sent == [("bob", "phone", "request"), ("alice", "phone", "response")]
    play.hears(BOB, State({"audio_muted": True}))
    assert play.event(ParticipantAudioMuted).muted_by == "alice"


def test_this_device_obeys_its_host() -> None:
    play = guest_in(DOOR)
    play.hears(GATE, Request("r1", RequestAction.MUTE, uid="front-door"))
    assert play.done(OpenMicrophone) == [OpenMicrophone(on=False)]
    assert play.message("response").accepted
    play.hears(GATE, Request("r2", RequestAction.MUTE, uid="bob"))
    assert play.message("response").error == "bob is not this device"


def test_a_guest_asks_its_host_and_the_command_waits_for_the_answer() -> None:
    play = guest_in(DOOR, BOB)
    play.hears(BOB, Join(offer=OFFER))
    answers(play, BOB)
    for number, command in enumerate(
        (KickParticipant(uid="bob"), MuteParticipant(uid="bob"), Invite(receiver="alice"))
    ):
        play.orders(command, request=number + 1)
        assert play.sent == [("gate", "main", "request")]
        assert not play.done(Reply)
        said = Response(play.message("request").request_id, accepted=False, error="not allowed")
        play.hears(GATE, said)
        assert play.done(Reply) == [Reply(number + 1, code="refused", message="not allowed")]


def test_a_host_that_does_not_answer() -> None:
    play = guest_in(DOOR)
    play.orders(Invite(receiver="alice"), request=3)
    play.wait(11)
    assert play.done(Reply) == [Reply(3, code="refused", message="gate did not answer")]
    play.orders(Invite(receiver="alice"), request=4)
    play.orders(LeaveSession(), request=5)
    assert {reply.request: reply.code for reply in play.done(Reply)} == {4: "refused", 5: None}


def test_who_was_asked_leaves_instead_of_answering() -> None:
    play = session_of(ALICE, BOB)
    play.orders(MuteParticipant(uid="bob"), request=7)
    play.hears(BOB, End("hang_up"))
    assert play.done(Reply) == [Reply(7, code="refused", message="bob has left")]


def test_an_answer_that_nobody_asked_for() -> None:
    play = session_of(ALICE, BOB)
    play.orders(MuteParticipant(uid="bob"), request=7)
    play.hears(ALICE, Response(play.message("request").request_id, accepted=True))
    assert play.event(Error).code == "unexpected_response"
    assert not play.done(Reply)


def test_this_device_is_kicked_and_says_by_whom() -> None:
    play = guest_in(DOOR, BOB)
    play.hears(BOB, End("kicked_out", kicked_by="bob"))
    assert play.event(Error).code == "not_the_host"
    play.hears(GATE, End("kicked_out", kicked_by="bob"))
    ended = play.event(CallEnded)
    assert (ended.reason, ended.kicked_by) == (CallEndReason.KICKED_OUT, "bob")
    reasons = [event.reason for event in play.find(SessionStateChanged)]
    assert reasons == ["kicked_out", "logged_out"]


def test_more_requests_than_anybody_can_answer_are_refused() -> None:
    play = guest_in(DOOR)
    for number in range(20):
        play.orders(Invite(receiver="alice"), request=number)
    assert play.done(Reply)[0].code == "too_many_requests"
    play.happens(PeerLost(play.peer(GATE)))
    assert play.call.state is CallState.RECONNECTING, "what the core itself asks is not refused"


# -------------------- a hang-up that listeners have a say in


def test_a_merged_or_kicked_call_is_over_meanwhile() -> None:
    play = guest_in(DOOR)
    play.confirms = None
    play.orders(LeaveSession(), request=9)
    [waiting] = play.undecided
    play.hears(GATE, End("kicked_out", kicked_by="gate"))
    play.happens(HangUpAnswered(waiting.call_id, waiting.command, "socket", 9, False))
    assert play.done(Reply) == [Reply(9)], "it is over, which was wanted"


def test_a_listener_keeps_the_call() -> None:
    play = guest_in(DOOR)
    play.confirms = False
    play.orders(LeaveSession(), request=9)
    assert play.done(Reply)[0].code == "hang_up_declined"
    assert play.event(Error).code == "hang_up_declined"
    assert play.call.state is CallState.CONNECTED


# -------------------- who may say what


@pytest.mark.parametrize(
    ("sender", "message", "code"),
    [
        (CAROL, State({"audio_muted": True}), "not_in_call"),
        (CAROL, End("hang_up"), "not_in_call"),
        (CAROL, Request("r", RequestAction.UNLOCK), "not_in_call"),
        (Address("alice", "tablet"), Chat("hi"), "not_in_call"),
        (ALICE, Cancel("cancelled"), None),  # type: ignore[arg-type]
        (ALICE, Answer(ANSWER), "unexpected_answer"),
        (ALICE, Join(token="x"), None),
    ],
)
def test_what_is_out_of_place(sender: Address, message: object, code: str | None) -> None:
    play = session_of(ALICE, BOB)
    play.hears(sender, message)  # type: ignore[arg-type]
    assert [error.code for error in play.find(Error)] == ([code] if code else [])
    assert len(play.call.members) == 2
