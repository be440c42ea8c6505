"""The connections of a call: opened, answered, connected, lost, restored, given up."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls import (
    devices,
    ending,
    holding,
    outage,
    recordings,
    renegotiating,
    requests,
    roster,
    seeking,
    switching,
)
from appliance.calls.call import CANDIDATES_KEPT, LiveCall, Member, Way
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
    MessageExpired,
    PeerAgreed,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerFound,
    PeerKey,
    PeerLost,
    PeerOffered,
    PeerRestored,
    Timer,
)
from appliance.calls.turn import Turn
from appliance.errors import Refused
from appliance.events import ParticipantJoined, SessionJoined
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
    CallEndReason,
    CallState,
    Participant,
    ParticipantLeftReason,
    ParticipantState,
    RequestAction,
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
    order = roster.order_with(call, address)
    call = turn.put(turn.put_member(call, member), order=order)
    if not call.joined:
        turn.do(StartTimer(Timer("setup", call.call_id), SETUP_S))
    turn.do(OpenPeer(peer, call.type, offer))
    return renegotiating.give_candidates(turn, call, peer)


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


def found(turn: Turn, call: LiveCall, report: PeerFound) -> None:
    """An address that came too late for the description: the other side is told of it by itself."""
    member = _member(call, report.peer)
    turn.send(member.address, call, Candidate(report.candidate, report.peer.generation))


def agreed(turn: Turn, call: LiveCall, report: PeerAgreed) -> None:
    """Both descriptions are in force: what this connection carries."""
    member = _member(call, report.peer)
    call = turn.put_member(
        call, replace(member, video=report.video, screen=report.screen, offering=None)
    )
    if report.video and not member.video:
        switching.agreed(turn, call)
    renegotiating.go_on(turn, turn.now_of(call), _member(call, report.peer))


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
    if member is None and call.inviter != sender and not call.knows(sender):
        raise Refused("not_in_call", f"{sender.uid} is not in this call")
    for peer in (member.peer, member.next) if member is not None else ():
        if peer is not None and message.generation == peer.generation:
            turn.do(AddCandidate(peer, message.candidate))
            return
    if member is not None and message.generation < member.peer.generation:
        return
    if len(call.candidates) >= CANDIDATES_KEPT:
        raise Refused("too_many_candidates", f"more than {CANDIDATES_KEPT} candidates are waiting")
    early = (sender, message.generation, message.candidate)
    turn.put(call, candidates=(*call.candidates, early))


def offer_came(turn: Turn, call: LiveCall, sender: Address, message: Offer) -> None:
    """A renegotiation or replacement of a running connection."""
    renegotiating.offer_came(turn, call, roster.sender_of(call, sender), message)


# -------------------- what becomes of it


def connected(turn: Turn, call: LiveCall, report: PeerConnected) -> None:
    """Media flows with this peer; with the first one the device is in the session."""
    member = _member(call, report.peer)
    replaces = report.peer == member.next
    settled = Offer.TYPE if replaces else Accept.TYPE
    turn.do(SettleMessage(member.address, member.peer.call_id, settled))
    if replaces:
        member = renegotiating.replaced(turn, call, member)
    if not member.joined:
        _come_in(turn, call, member)
    elif replaces:
        _participant_state(turn, call, member, ParticipantState.CONNECTED)
    else:
        return
    call = turn.now_of(call)
    if call.on_hold or member.participant.on_hold:
        holding.apply(turn, call, member)
    outage.judge(turn, call)


def _come_in(turn: Turn, call: LiveCall, member: Member) -> None:
    participant = replace(
        member.participant, state=ParticipantState.CONNECTED, joined_at=turn.now.utc
    )
    if not call.joined:
        call = _join_session(turn, call)
    call = turn.put_member(call, replace(member, participant=participant, joined=True))
    devices.tell(turn, call, member.address)
    turn.emit(ParticipantJoined(participant), call)
    roster.changed(turn, call)
    roster.watch_alone(turn, call)
    missed = tuple(one for one in turn.state.missed if one.caller.uid != member.peer.uid)
    turn.set(missed=missed)
    _start_as_set(turn, turn.now_of(call))
    if turn.state.sharing_screen:
        renegotiating.for_screen(turn, turn.now_of(call), member.address)


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
    call = _participant_state(turn, call, member, ParticipantState.RECONNECTING)
    seeking.begin(turn, call, _member(call, report.peer))
    outage.judge(turn, call)


def restored(turn: Turn, call: LiveCall, report: PeerRestored) -> None:
    """Media of this peer flows again, by the way that it had; a replacement is not needed."""
    member = _member(call, report.peer)
    if report.peer == member.peer and member.joined and not member.connected:
        call = _participant_state(turn, call, member, ParticipantState.CONNECTED)
        outage.judge(turn, call)


def failed_to_open(turn: Turn, call: LiveCall, report: PeerFailed) -> None:
    """A connection that was never made: without the only one, or the caller's, there is no call."""
    member = _member(call, report.peer)
    turn.error(report.code, report.message, report.peer.uid, call.call_id)
    others = len(call.members) > 1 or call.admitted or call.still_rung
    if member.address == call.inviter or not others:
        ending.break_off(turn, call, END_REASONS.get(report.code, CallEndReason.FAILED))
        return
    _drop(turn, call, member, CallEndReason.FAILED)


def _drop(turn: Turn, call: LiveCall, member: Member, reason: CallEndReason) -> None:
    """One connection is gone; the host puts who had it out, guests leave that to the host."""
    if turn.hosts(call) or not call.listed:
        turn.send(member.address, call, End("failed"))
    call = roster.drop(turn, call, member, ParticipantLeftReason.CONNECTION_LOST)
    roster.go_on_without(turn, call, reason)
    if member.address == call.host and turn.state.call(call.call_id) is not None:
        # does it list this device still? its list makes both connect again, or its `end` comes
        requests.ask(turn, call, call.host, RequestAction.PARTICIPANTS)


def failed(turn: Turn, call: LiveCall, report: PeerFailed) -> None:
    """A connection is gone: closed by a peer whose `end` is under way, or for good."""
    member = _member(call, report.peer)
    if report.peer == member.next:
        _give_up_replacement(turn, call, member, report)
    elif member.joined and not member.connected and call.members == (member,):
        return  # it was lost already: the way that it had is gone, and its time decides
    elif report.code == CLOSED_BY_PEER:
        turn.put(call, farewells=(*call.farewells, report))
        turn.do(StartTimer(Timer("farewell", call.call_id), FAREWELL_S))
    else:
        gone(turn, call, report)


def _give_up_replacement(turn: Turn, call: LiveCall, member: Member, report: PeerFailed) -> None:
    """The replacement failed: the connection that it was to replace may still come back."""
    turn.error(report.code, report.message, report.peer.uid, call.call_id)
    turn.do(ClosePeer(report.peer))
    turn.put_member(call, replace(member, next=None, awaits_answer=False, offering=None))


def no_farewell(turn: Turn, call: LiveCall) -> None:
    """Peers closed their connections and never said `end`."""
    reports = call.farewells
    turn.put(call, farewells=())
    for report in reports:
        now = turn.state.call(call.call_id)
        if now is not None and any(one.peer == report.peer for one in now.members):
            gone(turn, now, report)


def gone(turn: Turn, call: LiveCall, report: PeerFailed) -> None:
    """A connection is gone for good; with the last one the session is closed."""
    member = _member(call, report.peer)
    turn.error(report.code, report.message, report.peer.uid, call.call_id)
    reason = END_REASONS.get(report.code, CallEndReason.CONNECTION_CLOSED)
    if len(call.members) > 1 or not member.joined or call.direct or call.still_rung:
        _drop(turn, call, member, reason)
        return
    unreachable = replace(member.participant, state=ParticipantState.RECONNECTING)
    outage.judge(turn, turn.put_member(call, replace(member, participant=unreachable)))
    outage.give_up(turn, turn.now_of(call), reason)


def not_heard(turn: Turn, call: LiveCall, report: MessageExpired) -> None:
    """Nobody answered an offer in all its time: that connection will not be."""
    member = call.member(report.to)
    if member is None or not isinstance(report.message, Join | Offer):
        return
    message = f"{report.to.uid} did not answer the offer of a connection"
    if isinstance(report.message, Join) and not member.joined:
        gone(turn, call, PeerFailed(member.peer, "unanswered", message))
    elif isinstance(report.message, Offer) and member.next is not None:
        _give_up_replacement(turn, call, member, PeerFailed(member.next, "unanswered", message))


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
    turn: Turn, call: LiveCall, member: Member, state: ParticipantState
) -> LiveCall:
    if member.participant.state is state:
        return turn.now_of(call)
    participant = replace(member.participant, state=state)
    call = turn.put_member(call, replace(member, participant=participant))
    roster.changed(turn, call)
    return call
