"""Who may say what: each rule is broken once by somebody who is who it says, and nothing comes of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.calls.effects import (
    ClosePeer,
    Emit,
    FollowList,
    OpenMicrophone,
    OpenPeer,
    PulseRelay,
    Send,
    StartTimer,
)
from appliance.calls.inputs import ContactsChanged, MessageReceived, PeerLost
from appliance.calls.policy import ContactPolicy
from appliance.commands import (
    AcceptCall,
    EndCall,
    GenerateToken,
    HoldCall,
    InitiateCall,
    KickParticipant,
    MergeCalls,
    MuteAudio,
)
from appliance.commands import Invite as InviteMore
from appliance.events import Error
from appliance.messages import (
    Accept,
    Address,
    Answer,
    Cancel,
    Candidate,
    Chat,
    Custom,
    Dtmf,
    End,
    Invite,
    Join,
    Message,
    Offer,
    Participants,
    Reject,
    Request,
    Response,
    Ringing,
    State,
)
from appliance.model import (
    CallState,
    CancelReason,
    Participant,
    RejectReason,
    RequestAction,
    Right,
)
from tests.parts.household import (
    ALICE,
    BOB,
    CAROL,
    DOOR,
    GATE,
    HOME,
    PATIENT,
    guest_in,
    list_of,
    second_call_with,
    session_of,
)
from tests.parts.play import ANSWER, OFFER, Play, invite_from

GUEST = Address("guest", "phone")
UNLOCK = Request("r1", RequestAction.UNLOCK)


def says(play: Play, sender: Address, message: Message, call_id: str | None = None) -> str | None:
    """The code of the error that came of it, None where it was passed over; nothing else may come."""
    before = replace(play.state, errors={})
    play.hears(sender, message, call_id)
    codes = [error.code for error in play.find(Error)]
    assert [name for name in play.events if name != "error"] == []
    assert replace(play.state, errors={}) == before, "nothing else happens"
    assert not play.done(PulseRelay)
    return codes[0] if codes else None


EVERYTHING: tuple[Message, ...] = (
    Cancel(CancelReason.CANCELLED),
    Participants("s", 99, (Participant("bob", None, "phone"),)),
    End("kicked_out", "bob"),
    End("hang_up"),
    Ringing(),
    Accept(offer=OFFER),
    Reject(RejectReason.REJECTED),
    Offer(OFFER, 2),
    Answer(ANSWER),
    Candidate(None),
    Join(token="made-up"),
    Join(offer=OFFER),
    State({"audio_muted": True}),
    UNLOCK,
    Request("r1", RequestAction.KICK, uid="alice"),
    Request("r1", RequestAction.MUTE),
    Request("r1", RequestAction.INVITE, receiver="user:carol"),
    Request("r1", RequestAction.START_RECORDING),
    Request("r1", RequestAction.RENEGOTIATE, reason="reconnect"),
    Request("r1", RequestAction.SWITCH_TO_VIDEO),
    Request("r1", RequestAction.PARTICIPANTS),
    Response("r1", accepted=True),
    Chat("hi"),
    Dtmf("12#"),
    Custom("x"),
)
"""One or more of each type but `invite`, which makes a call of its own."""


def named(message: Message) -> str:
    action = f"-{message.action}" if isinstance(message, Request) else ""
    return f"{message.TYPE}{action}-{getattr(message, 'reason', '')}"


@pytest.mark.parametrize("message", EVERYTHING, ids=named)
def test_a_contact_that_has_nothing_to_do_with_a_call_can_say_nothing_in_it(
    message: Message,
) -> None:
    play = session_of(ALICE)  # of which bob knows the call_id, and who may do everything else
    assert says(play, BOB, message) is not None or isinstance(message, Cancel)


@pytest.mark.parametrize("message", EVERYTHING, ids=named)
def test_nobody_says_anything_about_a_call_that_rings_but_its_caller(message: Message) -> None:
    play = Play()
    play.is_called(ALICE)
    assert says(play, BOB, message) is not None or isinstance(message, Participants)


@pytest.mark.parametrize(
    "message",
    [
        Cancel(CancelReason.ANSWERED_ELSEWHERE),
        Participants("s", 99, (Participant("alice", None, "phone"),)),
        End("kicked_out", "alice"),
    ],
    ids=named,
)
def test_only_the_host_cancels_lists_and_puts_out(message: Message) -> None:
    hosting = session_of(ALICE)
    code = says(hosting, ALICE, message)
    assert code == ("not_the_host" if not isinstance(message, Cancel) else None)
    guest = guest_in(ALICE, DOOR)
    assert says(guest, ALICE, message) == code


@pytest.mark.parametrize(
    "message", [Ringing(), Accept(offer=OFFER), Reject(RejectReason.REJECTED)], ids=named
)
def test_only_who_is_invited_rings_accepts_and_rejects(message: Message) -> None:
    play = Play(online={"alice": ["phone"]})
    play.orders(InitiateCall(receiver="alice"))
    assert says(play, BOB, message) == "not_invited"


# -------------------- rights


def with_rights(uid: str, *rights: Right, play: Play | None = None) -> Play:
    """The house as it is, but for what that contact may."""
    play = play or Play()
    contact = ContactPolicy(uid.title(), frozenset(rights))
    play.happens(ContactsChanged({**play.policy.contacts, uid: contact}))
    return play


OTHERS = {right: tuple(set(Right) - {right}) for right in Right}


def test_call_is_wanted_for_calling_and_nothing_else_will_do() -> None:
    play = with_rights("alice", *OTHERS[Right.CALL])
    assert says(play, ALICE, invite_from("alice", "front-door"), "call-1") == "not_allowed"
    assert says(play, ALICE, Cancel(CancelReason.CANCELLED), "call-2") == "not_allowed"
    assert says(play, ALICE, End("hang_up"), "call-3") == "not_allowed"
    with_rights("alice", Right.CALL, play=play)
    play.is_called(ALICE)
    assert play.call.state is CallState.INCOMING


def test_auto_answer_is_for_who_is_named_and_may_call() -> None:
    butler = Address("butler", "phone")
    play = with_rights("butler", *OTHERS[Right.CALL])
    assert says(play, butler, invite_from("butler", "front-door"), "call-1") == "not_allowed"
    with_rights("butler", Right.CALL, play=play)
    play.is_called(butler)
    assert play.call.state is CallState.CONNECTING
    other = Play(replace(play.policy, auto_answer=frozenset()))
    other.is_called(butler)
    assert other.call.state is CallState.INCOMING


def test_call_is_wanted_for_joining_by_token_too() -> None:
    play = session_of(ALICE)
    play.orders(GenerateToken(session_id=play.call.session_id, uid="bob", expires_s=60))
    token = next(one.result["token"] for one in play.outputs if hasattr(one, "result"))
    with_rights("bob", *OTHERS[Right.CALL], play=play)
    play.hears(BOB, Join(token=token))
    assert play.event(Error).code == "not_allowed"
    assert play.sent == [("bob", "phone", "end")]
    assert not play.call.admitted


def test_answer_is_wanted_for_being_rung_and_for_accepting() -> None:
    play = with_rights("alice", *OTHERS[Right.ANSWER], play=Play(online={"alice": ["phone"]}))
    play.orders(InitiateCall(receiver="alice"))
    assert not play.done(Send)
    with_rights("alice", Right.ANSWER, play=play)
    play.orders(InitiateCall(receiver="alice"))
    assert play.sent == [("alice", "phone", "invite")]
    with_rights("alice", *OTHERS[Right.ANSWER], play=play)  # while it rings
    assert says(play, ALICE, Accept(offer=OFFER)) == "not_allowed"


@pytest.mark.parametrize("digits", [False, True])
def test_unlock_is_wanted_for_opening_the_door(digits: bool) -> None:
    play = session_of(ALICE)
    with_rights("alice", *OTHERS[Right.UNLOCK], play=play)
    message: Message = Dtmf("12#") if digits else UNLOCK
    play.hears(ALICE, message)
    assert not play.done(PulseRelay)
    assert play.event(Error).code == "not_allowed"
    with_rights("alice", Right.UNLOCK, play=play)
    play.hears(ALICE, message)
    assert play.done(PulseRelay) == [PulseRelay("door")]


@pytest.mark.parametrize("message", [UNLOCK, Dtmf("12#")], ids=["request", "digits"])
def test_the_door_is_opened_inside_a_live_call_only(message: Message) -> None:
    play = session_of(ALICE)
    call_id = play.call.call_id
    play.hears(ALICE, End("hang_up"))
    assert says(play, ALICE, message, call_id) is None, "the call is over"
    assert says(play, ALICE, message, "no-call") == "unknown_call"
    play.is_called(ALICE, "call-2")
    assert says(play, ALICE, message) == "out_of_place", "nobody has answered yet"


def test_the_door_is_opened_from_a_call_that_is_held_merged_or_lost_for_a_moment() -> None:
    play = session_of(ALICE)
    for uid in ("alice", "bob"):
        with_rights(uid, Right.CALL, Right.ANSWER, Right.UNLOCK, play=play)
    first = play.call.call_id

    def opens(sender: Address, call_id: str) -> bool:
        play.hears(sender, UNLOCK, call_id)
        return play.done(PulseRelay) == [PulseRelay("door")]

    play.orders(HoldCall())
    assert opens(ALICE, first)
    second = second_call_with(play, BOB).call_id
    assert opens(ALICE, first), "she waits"
    assert opens(BOB, second)
    assert not opens(BOB, first), "of which he is no part"
    assert play.event(Error).code == "not_in_call"
    play.orders(MergeCalls())
    assert opens(ALICE, first)
    assert opens(BOB, second)
    play.happens(PeerLost(play.peer(BOB)))
    assert opens(BOB, second)


def test_who_was_put_out_revoked_or_only_rung_opens_no_door() -> None:
    play = session_of(ALICE, BOB)
    for uid in ("alice", "bob", "carol"):
        with_rights(uid, Right.CALL, Right.ANSWER, Right.UNLOCK, play=play)
    play.orders(InviteMore(receiver="carol"))
    assert says(play, CAROL, UNLOCK) == "not_in_call", "it rings there"
    play.orders(KickParticipant(uid="bob"))
    play.hears(BOB, UNLOCK)
    assert not play.done(PulseRelay)
    assert play.message_of(BOB, End).reason == "failed"
    play.is_revoked(withdrawn=(ALICE,))
    assert says(play, ALICE, UNLOCK) is None


def test_the_door_is_not_opened_by_who_is_no_contact_and_listed_by_a_host() -> None:
    stranger = Address("stranger", "phone")
    play = guest_in()
    play.hears(GATE, list_of(GATE, DOOR, stranger))
    play.hears(stranger, Join(offer=OFFER))
    play.hears(stranger, UNLOCK)
    assert not play.done(PulseRelay)
    assert play.event(Error).code == "not_allowed"


@pytest.mark.parametrize(
    "message",
    [
        Request("r1", RequestAction.KICK, uid="bob"),
        Request("r1", RequestAction.MUTE, uid="bob"),
        Request("r1", RequestAction.UNMUTE, uid="bob"),
        Request("r1", RequestAction.INVITE, receiver="user:carol"),
        Request("r1", RequestAction.START_RECORDING),
        Request("r1", RequestAction.STOP_RECORDING),
    ],
    ids=named,
)
def test_moderate_is_wanted_for_what_is_about_others(message: Request) -> None:
    play = session_of(ALICE, BOB)
    with_rights("alice", *OTHERS[Right.MODERATE], play=play)
    assert says(play, ALICE, message) == "not_allowed"
    assert not play.message("response").accepted


def test_who_may_moderate_moderates_where_this_device_is_the_host_only() -> None:
    play = guest_in(ALICE, DOOR, CAROL)
    request = Request("r1", RequestAction.KICK, uid="carol")
    assert says(play, ALICE, request) in ("not_the_host", "not_in_call")


# -------------------- a host by name: whose endpoint is `main`


MAIN, STRANGER = Address("alice", "main"), Address("mallory", "pc")


def called_from(sender: Address, *rights: Right) -> Play:
    """Somebody with these rights has called, and was answered."""
    play = with_rights("alice", *rights, play=Play(PATIENT, online=HOME))
    play.is_called(sender)
    play.orders(AcceptCall())
    play.connects(sender)
    return play


def brings_in(play: Play, *others: Address, version: int = 1) -> None:
    play.hears(MAIN, list_of(MAIN, DOOR, *others, version=version))


def joins(play: Play, sender: Address) -> None:
    """As the link hands it on of whom the host has listed with its key."""
    join = Join(offer=OFFER)
    play.happens(
        MessageReceived(sender, play.call.call_id, join, vouched_by=frozenset({play.call.host}))
    )


@pytest.mark.parametrize("sender", [ALICE, MAIN], ids=["phone", "main"])
@pytest.mark.parametrize("muted_here", [True, False])
def test_moderate_is_wanted_for_opening_a_microphone_of_whoever_is_the_host(
    sender: Address, muted_here: bool
) -> None:
    play = called_from(sender, *OTHERS[Right.MODERATE])
    if muted_here:
        play.orders(MuteAudio(muted=True))
    else:
        play.hears(sender, Request("r0", RequestAction.MUTE))
        assert play.state.audio_muted is (sender == MAIN), "a host mutes"
        play.wait(2)  # equal errors within a second are one
    muted = play.state.audio_muted
    assert says(play, sender, Request("r1", RequestAction.UNMUTE)) == "not_allowed"
    assert not play.message("response").accepted
    assert not play.done(OpenMicrophone)
    assert play.state.audio_muted is muted


def test_a_host_that_may_moderate_opens_the_microphone() -> None:
    play = called_from(MAIN, Right.CALL, Right.MODERATE)
    play.orders(MuteAudio(muted=True))
    play.hears(MAIN, Request("r1", RequestAction.UNMUTE))
    assert play.done(OpenMicrophone) == [OpenMicrophone(on=True)]


@pytest.mark.parametrize(
    "message",
    [
        UNLOCK,
        Dtmf("12#"),
        Request("r1", RequestAction.KICK, uid="bob"),
        Request("r1", RequestAction.INVITE, receiver="user:carol"),
        Request("r1", RequestAction.START_RECORDING),
        Request("r1", RequestAction.STOP_RECORDING),
    ],
    ids=named,
)
def test_to_be_the_host_by_name_gives_no_right(message: Message) -> None:
    play = called_from(MAIN, Right.CALL)
    play.hears(MAIN, message)
    assert play.event(Error).code in ("not_allowed", "not_the_host")
    effects = [one for one in play.outputs if not isinstance(one, Emit | Send | StartTimer)]
    assert effects == [], "nothing is opened, rung or recorded"


def test_a_host_without_moderate_brings_in_no_stranger() -> None:
    play = called_from(MAIN, Right.CALL)
    assert not play.done(FollowList)
    brings_in(play, STRANGER)
    error = play.event(Error)
    assert (error.code, "mallory" in error.message) == ("not_allowed", True)
    assert not play.done(FollowList), "nor is anything believed or sent by its list"
    joins(play, STRANGER)
    assert not play.done(OpenPeer)
    assert play.event(Error).code == "unknown_sender"
    play.hears(MAIN, list_of(MAIN, STRANGER, DOOR, version=2))
    assert not play.done(OpenPeer), "nor is a stranger connected with who stands before"
    assert [one.uid for one in play.call.listed] == ["alice", "front-door"]
    assert play.call.state is CallState.CONNECTED, "and the call goes on"


def test_a_host_without_moderate_brings_in_who_may_call_or_is_rung_anyway() -> None:
    guest = Address("guest", "phone")
    play = called_from(MAIN, Right.CALL)
    with_rights("bob", Right.CALL, play=play)
    with_rights("carol", Right.ANSWER, play=play)
    play.hears(MAIN, list_of(MAIN, BOB, CAROL, guest, DOOR))
    assert [one.peer.uid for one in play.done(OpenPeer)] == ["bob", "carol"]
    assert "guest" in play.event(Error).message, "of whom nothing is wanted here"
    joins(play, guest)
    assert not play.done(OpenPeer)


def test_a_host_that_may_moderate_brings_in_whom_it_likes_until_it_may_no_more() -> None:
    play = called_from(MAIN, Right.CALL, Right.MODERATE)
    brings_in(play, STRANGER)
    assert play.done(FollowList) == [FollowList(play.call.call_id, MAIN)]
    joins(play, STRANGER)
    assert [one.peer.uid for one in play.done(OpenPeer)] == ["mallory"]
    with_rights("alice", Right.CALL, play=play)
    brings_in(play, STRANGER)  # the same list, as every 10 s
    assert [one.peer.uid for one in play.done(ClosePeer)] == ["mallory"]
    assert play.call.member(MAIN) is not None


def test_a_host_is_followed_from_the_answer_on_where_it_may_bring_in_strangers() -> None:
    play = with_rights("alice", Right.CALL, Right.MODERATE)
    play.is_called(MAIN)
    assert not play.done(FollowList), "nobody has answered"
    play.orders(AcceptCall())
    assert play.done(FollowList) == [FollowList("call-1", MAIN)]


@pytest.mark.parametrize("message", [Cancel(CancelReason.CANCELLED), End("hang_up")], ids=named)
def test_nobody_takes_anothers_call_back_before_it_comes(message: Message) -> None:
    play = Play()
    play.hears(BOB, message, "call-1")
    play.is_called(ALICE, "call-1")
    assert play.call.state is CallState.INCOMING
    own = Play()
    own.hears(ALICE, message, "call-1")
    own.is_called(ALICE, "call-1")
    assert not own.state.calls, "its caller may"


def test_an_invite_is_in_ones_own_name() -> None:
    play = Play()
    message: Invite = invite_from("bob", "front-door")
    assert says(play, ALICE, message, "call-1") == "misaddressed"


# -------------------- an id is its inviter's


def invites(play: Play, sender: Address, call_id: str = "call-1") -> None:
    play.hears(sender, invite_from(sender.uid, play.policy.uid), call_id)


@pytest.mark.parametrize("answered", [False, True])
def test_who_invites_with_the_id_of_anothers_call_finds_the_line_busy(answered: bool) -> None:
    play = Play(online={"alice": ["phone"], "bob": ["phone"]})
    play.is_called(ALICE)
    if answered:
        play.orders(AcceptCall())
        play.connects(ALICE)
    before = play.call
    invites(play, BOB)
    assert [error.code for error in play.find(Error)] == ["call_id_taken"]
    assert play.sent == [("bob", "phone", "reject")]
    assert play.call == before
    play.hears(BOB, Cancel(CancelReason.CANCELLED), "call-1")
    assert play.call.state is before.state, "nor is it his to take back"


def test_who_came_first_with_anothers_id_takes_nothing_but_the_line() -> None:
    """As by any call of his own: he is seen to be the caller; she is told busy, and tries with a new id."""
    play = Play(online={"alice": ["phone"], "bob": ["phone"]})
    play.is_called(BOB)
    assert play.call.caller.uid == "bob"
    invites(play, ALICE)
    assert play.sent == [("alice", "phone", "reject")]
    play.hears(BOB, Cancel(CancelReason.CANCELLED))
    assert play.state.calls == ()
    invites(play, ALICE)
    assert play.sent == [("alice", "phone", "reject")], "his call does not go on behind its end"
    invites(play, BOB)
    assert play.sent == [], "his own invite behind its end is passed over"
    invites(play, ALICE, "call-2")
    assert play.call.caller.uid == "alice"


def test_the_id_of_a_call_that_found_the_line_busy_is_its_callers_too() -> None:
    play = Play(online={"alice": ["phone"], "bob": ["phone"]})
    play.is_in_call_with(CAROL)
    invites(play, BOB, "call-9")
    play.orders(EndCall())
    invites(play, ALICE, "call-9")
    assert [error.code for error in play.find(Error)] == ["call_id_taken"]
    assert play.state.calls == ()


def test_who_has_no_right_to_call_is_told_nothing_and_makes_nothing_forgotten() -> None:
    play = Play(online={"alice": ["phone"]})
    play.hears(ALICE, Cancel(CancelReason.CANCELLED), "call-1")
    invites(play, GUEST)
    assert play.sent == []
    invites(play, ALICE)
    assert play.state.calls == ()


def test_nobody_invites_with_an_id_of_this_devices_own() -> None:
    play = Play(online={"alice": ["phone"], "bob": ["phone"]})
    play.is_in_call_with(ALICE)
    call_id = play.call.call_id
    invites(play, BOB, call_id)
    assert [error.code for error in play.find(Error)] == ["call_id_taken"]
    play.orders(EndCall())
    invites(play, BOB, call_id)
    assert play.sent == [("bob", "phone", "reject")]
    assert play.state.calls == ()
