"""The connections of a call: opened, answered, connected, lost, restored, given up."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls import devices, ending, roster
from appliance.calls.effects import (
    AcceptAnswer,
    AddCandidate,
    OpenPeer,
    SettleMessage,
    StartTimer,
    StopTimer,
)
from appliance.calls.inputs import (
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerKey,
    PeerLost,
    PeerOffered,
    PeerRestored,
    Timer,
)
from appliance.calls.state import CANDIDATES_KEPT, LiveCall, Member
from appliance.calls.turn import Turn
from appliance.errors import Refused
from appliance.events import (
    ConnectionClosed,
    ConnectionLost,
    ConnectionRestored,
    ParticipantJoined,
    SessionJoined,
    SessionStateChanged,
)
from appliance.messages import Accept, Address, Answer, Candidate, End, Offer, SessionDescription
from appliance.model import (
    CallDirection,
    CallEndReason,
    CallState,
    Participant,
    ParticipantLeftReason,
    ParticipantState,
    SessionStateReason,
)

CLOSED_BY_PEER = "connection_closed"
"""The code of a connection that the other side closed."""
SETUP_S = 10.0
"""How long an answered call may take until media flows."""
FAREWELL_S = 1.0
"""A peer that closes its connection says `end` as well, by a longer way: it is waited for."""
RECONNECT_S = 30.0
"""How long a lost session is waited for before it is given up."""


# -------------------- opening


def open_towards(
    turn: Turn, call: LiveCall, address: Address, offer: SessionDescription | None
) -> LiveCall:
    """Open a connection with one endpoint: answer its offer, or make one."""
    peer = PeerKey(call.call_id, address.uid, address.endpoint or "")
    name = turn.policy.name_of(address.uid)
    participant = Participant(address.uid, name, peer.endpoint)
    call = turn.put_member(call, Member(peer, participant))
    if not call.joined:
        turn.do(StartTimer(Timer("setup", call.call_id), SETUP_S))
    turn.do(OpenPeer(peer, call.type, offer))
    mine = [kept for sender, kept in call.candidates if sender == address]
    for candidate in mine:
        turn.do(AddCandidate(peer, candidate))
    rest = tuple(entry for entry in call.candidates if entry[0] != address)
    return turn.put(call, candidates=rest)


def offered(turn: Turn, call: LiveCall, report: PeerOffered) -> None:
    """This device's offer is ready: it goes with the accept."""
    member = _member(call, report.peer)
    turn.send(member.address, call, Accept(offer=report.description))


def answered(turn: Turn, call: LiveCall, report: PeerAnswered) -> None:
    """The answer to a remote offer is ready: with the accept where the invite had the offer."""
    member = _member(call, report.peer)
    if call.direction is CallDirection.INCOMING:
        turn.send(member.address, call, Accept(answer=report.description))
    else:
        turn.send(member.address, call, Answer(report.description, report.peer.generation))


# -------------------- negotiation from the other side


def answer_came(turn: Turn, call: LiveCall, sender: Address, message: Answer) -> None:
    """The answer to what this device offered."""
    member = roster.sender_of(call, sender)
    if message.generation != member.peer.generation:
        return
    if call.direction is not CallDirection.INCOMING or call.offer is not None:
        raise Refused("unexpected_answer", f"{sender.uid} answered where nothing was offered")
    turn.do(AcceptAnswer(member.peer, message.answer))


def candidate_came(turn: Turn, call: LiveCall, sender: Address, message: Candidate) -> None:
    """A candidate: for its connection, or kept until there is one."""
    member = call.member(sender)
    if member is not None:
        if message.generation == member.peer.generation:
            turn.do(AddCandidate(member.peer, message.candidate))
        return
    if call.inviter != sender and call.invitee(sender.uid) is None:
        raise Refused("not_in_call", f"{sender.uid} is not in this call")
    if len(call.candidates) >= CANDIDATES_KEPT:
        raise Refused("too_many_candidates", f"more than {CANDIDATES_KEPT} candidates are waiting")
    turn.put(call, candidates=(*call.candidates, (sender, message.candidate)))


def offer_came(turn: Turn, call: LiveCall, sender: Address, message: Offer) -> None:
    """A renegotiation or replacement of a running connection."""
    roster.sender_of(call, sender)
    raise Refused("renegotiation", "this device keeps the connection that was first agreed")


# -------------------- what becomes of it


def connected(turn: Turn, call: LiveCall, report: PeerConnected) -> None:
    """Media flows with this peer; with the first one the device is in the session."""
    member = _member(call, report.peer)
    participant = replace(
        member.participant, state=ParticipantState.CONNECTED, joined_at=turn.now.utc
    )
    turn.do(SettleMessage(member.address, call.call_id, Accept.TYPE))
    if not call.joined:
        turn.do(StopTimer(Timer("setup", call.call_id)))
        call = turn.put(call, joined=True, state=CallState.CONNECTED)
        _session_state(turn, call, SessionStateReason.LOGGED_IN)
        turn.emit(SessionJoined(call.session_id, call.call_id), call)
    call = turn.put_member(call, replace(member, participant=participant, joined=True))
    devices.tell(turn, call, member.address)
    turn.emit(ParticipantJoined(participant), call)
    roster.changed(turn, call)
    roster.start_list(turn, call)


def lost(turn: Turn, call: LiveCall, report: PeerLost) -> None:
    """Nothing comes from this peer; when nothing comes from any, the connection is lost."""
    call = _participant_state(turn, call, report.peer, ParticipantState.RECONNECTING)
    if any(member.connected for member in call.members):
        return
    call = turn.put(call, state=CallState.RECONNECTING, lost_at_s=turn.now.monotonic_s)
    turn.do(StartTimer(Timer("reconnect", call.call_id), RECONNECT_S))
    turn.emit(ConnectionLost(call.session_id), call)
    _session_state(turn, call, SessionStateReason.RECONNECTING)


def restored(turn: Turn, call: LiveCall, report: PeerRestored) -> None:
    """Media of this peer flows again."""
    call = _participant_state(turn, call, report.peer, ParticipantState.CONNECTED)
    if call.state is not CallState.RECONNECTING:
        return
    outage_s = round(turn.now.monotonic_s - (call.lost_at_s or turn.now.monotonic_s), 3)
    call = turn.put(call, state=CallState.CONNECTED, lost_at_s=None)
    turn.do(StopTimer(Timer("reconnect", call.call_id)))
    turn.emit(ConnectionRestored(call.session_id, outage_s), call)
    _session_state(turn, call, SessionStateReason.RECONNECTED)


def failed_to_open(turn: Turn, call: LiveCall, report: PeerFailed) -> None:
    """A connection that was never made: the call cannot go on without it."""
    member = _member(call, report.peer)
    turn.error(report.code, report.message, report.peer.uid, call.call_id)
    if call.direction is CallDirection.INCOMING or len(call.members) == 1:
        ending.break_off(turn, call, CallEndReason.FAILED)
        return
    turn.send(member.address, call, End("failed"))
    roster.drop(turn, call, member, ParticipantLeftReason.CONNECTION_LOST)


def failed(turn: Turn, call: LiveCall, report: PeerFailed) -> None:
    """A connection is gone: closed by a peer whose `end` is under way, or for good."""
    if report.code == CLOSED_BY_PEER and call.farewell is None:
        turn.put(call, farewell=report)
        turn.do(StartTimer(Timer("farewell", call.call_id), FAREWELL_S))
        return
    gone(turn, call, report)


def no_farewell(turn: Turn, call: LiveCall) -> None:
    """The peer closed its connection and never said `end`."""
    report = call.farewell
    call = turn.put(call, farewell=None)
    if report is not None and call.member_of(report.peer) is not None:
        gone(turn, call, report)


def gone(turn: Turn, call: LiveCall, report: PeerFailed) -> None:
    """A connection is gone for good; with the last one the session is closed."""
    member = _member(call, report.peer)
    turn.error(report.code, report.message, report.peer.uid, call.call_id)
    if len(call.members) > 1:
        turn.send(member.address, call, End("failed"))
        roster.drop(turn, call, member, ParticipantLeftReason.CONNECTION_LOST)
        return
    if call.state is CallState.CONNECTED:
        call = turn.put(call, state=CallState.RECONNECTING)
        turn.emit(ConnectionLost(call.session_id), call)
        _session_state(turn, call, SessionStateReason.RECONNECTING)
    given_up(turn, call)


def given_up(turn: Turn, call: LiveCall) -> None:
    """The lost connection did not come back in time."""
    turn.emit(ConnectionClosed(call.session_id), call)
    _session_state(turn, call, SessionStateReason.RECONNECT_FAILED)
    ending.break_off(turn, call, CallEndReason.CONNECTION_CLOSED)


def setup_timed_out(turn: Turn, call: LiveCall) -> None:
    """The call was answered, but media never flowed."""
    message = f"no media connection within {SETUP_S:.0f} s of the answer"
    turn.error("setup_timed_out", message, call_id=call.call_id)
    ending.break_off(turn, call, CallEndReason.FAILED)


# -------------------- small parts


def _member(call: LiveCall, peer: PeerKey) -> Member:
    member = call.member_of(peer)
    if member is None:
        raise LookupError(peer)
    return member


def _participant_state(
    turn: Turn, call: LiveCall, peer: PeerKey, state: ParticipantState
) -> LiveCall:
    member = _member(call, peer)
    participant = replace(member.participant, state=state)
    call = turn.put_member(call, replace(member, participant=participant))
    roster.changed(turn, call)
    return call


def _session_state(turn: Turn, call: LiveCall, reason: SessionStateReason) -> None:
    turn.emit(SessionStateChanged(reason, 0, {"room_session_id": call.session_id}), call)
