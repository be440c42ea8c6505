"""The connections of a call: opened, answered, connected, lost, restored, given up."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls import devices, ending, holding, recordings, renegotiating, roster, switching
from appliance.calls.effects import (
    AcceptAnswer,
    AddCandidate,
    ClosePeer,
    OpenPeer,
    SettleMessage,
    StartTimer,
    StopTimer,
)
from appliance.calls.inputs import (
    PeerAgreed,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerKey,
    PeerLost,
    PeerOffered,
    PeerRestored,
    Timer,
)
from appliance.calls.state import CANDIDATES_KEPT, LiveCall, Member, Way
from appliance.calls.turn import Turn
from appliance.errors import Refused
from appliance.events import (
    ConnectionClosed,
    ConnectionLost,
    ConnectionRestored,
    ParticipantJoined,
    SessionJoined,
)
from appliance.messages import (
    Accept,
    Address,
    Answer,
    Candidate,
    End,
    Join,
    Offer,
    SessionDescription,
)
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
END_REASONS = {"untrusted": CallEndReason.UNTRUSTED}
"""What a connection's failure means for its call, where it is not just a failure."""
SETUP_S = 10.0
"""How long an answered call may take until media flows."""
FAREWELL_S = 1.0
"""A peer that closes its connection says `end` as well, by a longer way: it is waited for."""
RECONNECT_S = 30.0
"""How long a lost session is waited for before it is given up."""


# -------------------- opening


def open_towards(
    turn: Turn,
    call: LiveCall,
    address: Address,
    offer: SessionDescription | None,
    way: Way,
    call_id: str | None = None,
) -> LiveCall:
    """Open a connection with one endpoint: answer its offer, or make one.

    `call_id` is that under which the other side writes, where it is not the call's own.
    """
    peer = PeerKey(call_id or call.call_id, address.uid, address.endpoint or "")
    participant = _participant_of(turn, call, address)
    member = Member(peer, participant, way, offers=offer is None)
    call = turn.put_member(call, member)
    roster.no_longer_alone(turn, call)
    if not call.joined:
        turn.do(StartTimer(Timer("setup", call.call_id), SETUP_S))
    turn.do(OpenPeer(peer, call.type, offer))
    mine = [kept for sender, kept in call.candidates if sender == address]
    for candidate in mine:
        turn.do(AddCandidate(peer, candidate))
    rest = tuple(entry for entry in call.candidates if entry[0] != address)
    return turn.put(call, candidates=rest)


def _participant_of(turn: Turn, call: LiveCall, address: Address) -> Participant:
    name = turn.policy.name_of(address.uid)
    for listed in call.listed:
        if (listed.uid, listed.endpoint) == (address.uid, address.endpoint):
            name = name or listed.name
    return Participant(address.uid, name, address.endpoint or "")


def offered(turn: Turn, call: LiveCall, report: PeerOffered) -> None:
    """This device's offer is ready: the first one goes with the accept, or with the join."""
    member = _member(call, report.peer)
    first = not member.described and report.peer == member.peer
    call = turn.put_member(call, replace(member, described=True, awaits_answer=True))
    if not first:
        generation, reason = report.peer.generation, member.offering
        turn.send(member.address, call, Offer(report.description, generation, reason))
    elif member.way is Way.JOINING:
        turn.send(member.address, call, Join(offer=report.description))
    else:
        turn.send(member.address, call, Accept(offer=report.description))


def answered(turn: Turn, call: LiveCall, report: PeerAnswered) -> None:
    """The answer to a remote offer is ready: with the accept where the invite had the offer."""
    member = _member(call, report.peer)
    first = not member.described and report.peer == member.peer
    call = turn.put_member(call, replace(member, described=True))
    if first and member.way is Way.ACCEPTING:
        turn.send(member.address, call, Accept(answer=report.description))
    else:
        turn.send(member.address, call, Answer(report.description, report.peer.generation))


def agreed(turn: Turn, call: LiveCall, report: PeerAgreed) -> None:
    """Both descriptions are in force: what this connection carries."""
    member = _member(call, report.peer)
    call = turn.put_member(
        call, replace(member, video=report.video, screen=report.screen, offering=None)
    )
    if report.video and not member.video:
        switching.agreed(turn, call)


# -------------------- negotiation from the other side


def answer_came(turn: Turn, call: LiveCall, sender: Address, message: Answer) -> None:
    """The answer to what this device offered."""
    member = roster.sender_of(call, sender)
    if not member.offers:
        raise Refused("unexpected_answer", f"{sender.uid} answered where nothing was offered")
    peer = member.next or member.peer
    if message.generation != peer.generation or not member.awaits_answer:
        return
    turn.put_member(call, replace(member, awaits_answer=False))
    turn.do(AcceptAnswer(peer, message.answer))


def candidate_came(turn: Turn, call: LiveCall, sender: Address, message: Candidate) -> None:
    """A candidate: for its connection, or kept until there is one."""
    member = call.member(sender)
    if member is not None:
        for peer in (member.peer, member.next):
            if peer is not None and message.generation == peer.generation:
                turn.do(AddCandidate(peer, message.candidate))
        return
    if call.inviter != sender and not call.knows(sender):
        raise Refused("not_in_call", f"{sender.uid} is not in this call")
    if len(call.candidates) >= CANDIDATES_KEPT:
        raise Refused("too_many_candidates", f"more than {CANDIDATES_KEPT} candidates are waiting")
    turn.put(call, candidates=(*call.candidates, (sender, message.candidate)))


def offer_came(turn: Turn, call: LiveCall, sender: Address, message: Offer) -> None:
    """A renegotiation or replacement of a running connection."""
    renegotiating.offer_came(turn, call, roster.sender_of(call, sender), message)


# -------------------- what becomes of it


def connected(turn: Turn, call: LiveCall, report: PeerConnected) -> None:
    """Media flows with this peer; with the first one the device is in the session."""
    member = _member(call, report.peer)
    settled = Offer.TYPE if report.peer == member.next else Accept.TYPE
    turn.do(SettleMessage(member.address, member.peer.call_id, settled))
    if report.peer == member.next:
        member = renegotiating.replaced(turn, call, member)
        _restore(turn, turn.now_of(call), member)
        holding.apply(turn, call, member)
        return
    if member.joined:
        return
    participant = replace(
        member.participant, state=ParticipantState.CONNECTED, joined_at=turn.now.utc
    )
    if not call.joined:
        call = _join_session(turn, call)
    call = turn.put_member(call, replace(member, participant=participant, joined=True))
    devices.tell(turn, call, member.address)
    turn.emit(ParticipantJoined(participant), call)
    roster.changed(turn, call)
    roster.announce(turn, call)
    if call.on_hold:
        holding.apply(turn, call, call.members[-1] if call.members else member)
    missed = tuple(one for one in turn.state.missed if one.caller.uid != member.peer.uid)
    turn.set(missed=missed)
    _start_as_set(turn, turn.now_of(call))


def _join_session(turn: Turn, call: LiveCall) -> LiveCall:
    turn.do(StopTimer(Timer("setup", call.call_id)))
    call = turn.put(call, joined=True, state=CallState.CONNECTED)
    turn.session_state(call, SessionStateReason.LOGGED_IN)
    turn.emit(SessionJoined(call.session_id, call.call_id), call)
    return call


def _start_as_set(turn: Turn, call: LiveCall) -> None:
    """What the settings want begun with the first participant."""
    first = sum(member.joined for member in call.members) == 1
    if first and call.settings.start_recording_on_call_start and turn.state.recording is None:
        recordings.start(turn, call)


def lost(turn: Turn, call: LiveCall, report: PeerLost) -> None:
    """Nothing comes from this peer; when nothing comes from any, the connection is lost."""
    member = _member(call, report.peer)
    if report.peer != member.peer or not member.connected:
        return
    call = _participant_state(turn, call, report.peer, ParticipantState.RECONNECTING)
    if member.offers:
        renegotiating.replace_connection(turn, call, _member(call, report.peer))
    else:
        renegotiating.ask_for(turn, call, member, renegotiating.RECONNECT)
    _lose_all(turn, turn.now_of(call))


def _lose_all(turn: Turn, call: LiveCall) -> None:
    """The connection is lost when no participant's media flows."""
    if call.state is not CallState.CONNECTED or not call.members:
        return
    if any(member.connected for member in call.members):
        return
    call = turn.put(call, state=CallState.RECONNECTING, lost_at_s=turn.now.monotonic_s)
    turn.do(StartTimer(Timer("reconnect", call.call_id), RECONNECT_S))
    turn.emit(ConnectionLost(call.session_id), call)
    turn.session_state(call, SessionStateReason.RECONNECTING)


def restored(turn: Turn, call: LiveCall, report: PeerRestored) -> None:
    """Media of this peer flows again, by the way that it had; a replacement is not needed."""
    member = _member(call, report.peer)
    if report.peer == member.peer:
        _restore(turn, call, member)


def _restore(turn: Turn, call: LiveCall, member: Member) -> None:
    if member.participant.state is ParticipantState.CONNECTED:
        return
    call = _participant_state(turn, call, member.peer, ParticipantState.CONNECTED)
    if call.state is not CallState.RECONNECTING:
        return
    outage_s = round(turn.now.monotonic_s - (call.lost_at_s or turn.now.monotonic_s), 3)
    call = turn.put(call, state=CallState.CONNECTED, lost_at_s=None)
    turn.do(StopTimer(Timer("reconnect", call.call_id)))
    turn.emit(ConnectionRestored(call.session_id, outage_s), call)
    turn.session_state(call, SessionStateReason.RECONNECTED)


def failed_to_open(turn: Turn, call: LiveCall, report: PeerFailed) -> None:
    """A connection that was never made: the call cannot go on without it."""
    member = _member(call, report.peer)
    turn.error(report.code, report.message, report.peer.uid, call.call_id)
    if call.direction is CallDirection.INCOMING or len(call.members) == 1:
        ending.break_off(turn, call, END_REASONS.get(report.code, CallEndReason.FAILED))
        return
    turn.send(member.address, call, End("failed"))
    roster.drop(turn, call, member, ParticipantLeftReason.CONNECTION_LOST)


def failed(turn: Turn, call: LiveCall, report: PeerFailed) -> None:
    """A connection is gone: closed by a peer whose `end` is under way, or for good."""
    member = _member(call, report.peer)
    if report.peer == member.next:
        _give_up_replacement(turn, call, member, report)
        return
    if report.code == CLOSED_BY_PEER and call.farewell is None:
        turn.put(call, farewell=report)
        turn.do(StartTimer(Timer("farewell", call.call_id), FAREWELL_S))
        return
    gone(turn, call, report)


def _give_up_replacement(turn: Turn, call: LiveCall, member: Member, report: PeerFailed) -> None:
    """The replacement failed: the connection that it was to replace may still come back."""
    turn.error(report.code, report.message, report.peer.uid, call.call_id)
    turn.do(ClosePeer(report.peer))
    turn.put_member(call, replace(member, next=None, awaits_answer=False))


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
    if len(call.members) > 1 or not member.joined or call.direct:
        if turn.hosts(call) or not call.listed:
            turn.send(member.address, call, End("failed"))
        call = roster.drop(turn, call, member, ParticipantLeftReason.CONNECTION_LOST)
        roster.go_on_without(turn, call, CallEndReason.CONNECTION_CLOSED)
        if (now := turn.state.call(call.call_id)) is not None:
            _lose_all(turn, now)
        return
    _lose_all(turn, turn.put_member(call, _unreachable(member)))
    given_up(turn, turn.now_of(call), END_REASONS.get(report.code))


def _unreachable(member: Member) -> Member:
    state = ParticipantState.RECONNECTING
    return replace(member, participant=replace(member.participant, state=state))


def reconnect_timed_out(turn: Turn, call: LiveCall) -> None:
    """The lost connection did not come back in time."""
    given_up(turn, call, None)


def given_up(turn: Turn, call: LiveCall, reason: CallEndReason | None) -> None:
    """The lost connection is given up, and the call with it."""
    turn.emit(ConnectionClosed(call.session_id), call)
    turn.session_state(call, SessionStateReason.RECONNECT_FAILED)
    ending.break_off(turn, call, reason or CallEndReason.CONNECTION_CLOSED)


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
