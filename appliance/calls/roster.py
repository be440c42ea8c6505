"""Who is in a session: the host's list, told and believed, and taking somebody off it."""

from __future__ import annotations

from msgspec.structs import replace

from appliance import messages
from appliance.calls import ending, outage, requests
from appliance.calls.call import LiveCall, Member
from appliance.calls.effects import ClosePeer, StartTimer, StopTimer
from appliance.calls.inputs import Timer
from appliance.calls.turn import Turn
from appliance.errors import Refused
from appliance.events import (
    InvitationUserStateChanged,
    ParticipantLeft,
    ParticipantListChanged,
    SessionTimedOut,
)
from appliance.messages import Address
from appliance.model import (
    CalleeState,
    CallEndReason,
    CallState,
    Participant,
    ParticipantLeftReason,
    ParticipantState,
)

LIST_EVERY_S = 10.0
"""How often the host sends the list again, for who missed one."""
TOGETHER_S = 0.5
"""Who comes back to the broker seldom comes alone: one list tells of all that do within so long."""
GONE_KEPT = 16
ADMITTED_S = 30.0
"""Who was let in has so long to open a connection."""


def changed(turn: Turn, call: LiveCall) -> None:
    """Tell of the whole list, after whatever changed in it."""
    turn.emit(ParticipantListChanged(call.participants), call)


# -------------------- as host


def announce_changes(turn: Turn) -> None:
    """As the host, send the list wherever it is another than the one that was sent last.

    It is looked at behind every turn, so that nothing that changes in it remains untold.
    """
    for call in turn.state.calls:
        several = len(call.members) + len(call.admitted) > 1
        if not turn.hosts(call) or not (call.joined or (call.answered and several)):
            continue
        present = tuple(_as_told(one) for one in everyone(turn, call))
        if present != call.told:
            version = turn.state.list_version + 1
            turn.set(list_version=version)
            told = turn.put(call, told=present, told_is_old=False, list_version=version)
            _send(turn, told)


def _as_told(one: Participant) -> Participant:
    """How well it is connected with the host is not what the others need to know."""
    return replace(one, state=ParticipantState.CONNECTED)


def tell_anew(turn: Turn, call: LiveCall, address: Address | None) -> LiveCall:
    """As the host: that endpoint, or this device (None), is at the broker under another epoch.

    Without it the others would write to nobody, and of two lists only the later one counts.
    """
    concerned = turn.hosts(call) and (address is None or is_in(call, address))
    if not concerned or not call.told or call.told_is_old:
        return call
    turn.do(StartTimer(Timer("participants", call.call_id), TOGETHER_S))
    return turn.put(call, told_is_old=True)


def send_list(turn: Turn, call: LiveCall) -> None:
    """Send the list once more, for who missed it; without those who were let in and do not come.

    What is other than before is sent behind the turn, as a later list.
    """
    if not turn.hosts(call):
        return
    now_s = turn.now.monotonic_s
    late = [one.address for one in call.admitted if now_s - one.since_s >= ADMITTED_S]
    for address in late:
        call = let_go(turn, call, address)
    if call.told_is_old:
        turn.put(call, told=())
    elif not late:
        _send(turn, call)


def let_go(turn: Turn, call: LiveCall, address: Address) -> LiveCall:
    """Who was let in does not come."""
    admitted = tuple(one for one in call.admitted if one.address != address)
    return turn.put(call, admitted=admitted, gone=gone_with(call, address))


def gone_with(call: LiveCall, address: Address) -> tuple[Address, ...]:
    """Who was here lately, and one more."""
    return (*(one for one in call.gone if one != address), address)[-GONE_KEPT:]


def _send(turn: Turn, call: LiveCall) -> None:
    there = everyone(turn, call)
    addresses = [one.address for one in call.members] + [one.address for one in call.admitted]
    for address in addresses:
        contact = turn.policy.contacts.get(address.uid)
        may = tuple(sorted(contact.may)) if contact else ()
        listing = messages.Participants(call.session_id, call.list_version, there, may)
        turn.send(address, call, listing)
    turn.do(StartTimer(Timer("participants", call.call_id), LIST_EVERY_S))


def everyone(turn: Turn, call: LiveCall) -> tuple[Participant, ...]:
    """The host first, then the others in the order in which they were let in."""
    there = _let_in(call)
    return (turn.myself(call), *(there[one] for one in call.order if one in there))


def is_in(call: LiveCall, address: Address) -> bool:
    """Whether the host has let it in."""
    return address in _let_in(call)


def order_with(call: LiveCall, newcomer: Address) -> tuple[Address, ...]:
    """The order in which the others were let in, of those who are there, and the newcomer."""
    there = _let_in(call)
    order = tuple(one for one in call.order if one in there)
    return order if newcomer in order else (*order, newcomer)


def _let_in(call: LiveCall) -> dict[Address, Participant]:
    admitted = {one.address: one.participant for one in call.admitted}
    return admitted | {one.address: one.participant for one in call.members}


# -------------------- somebody leaves


def drop(turn: Turn, call: LiveCall, member: Member, reason: ParticipantLeftReason) -> LiveCall:
    """Take one member off the session, which goes on."""
    call = disconnect(turn, call, member, reason)
    call = _invitee_left(turn, call, member.peer.uid)
    return _end_grouped(turn, call, member.peer.call_id, reason)


def disconnect(
    turn: Turn, call: LiveCall, member: Member, reason: ParticipantLeftReason
) -> LiveCall:
    """Close one member's connection."""
    turn.do(ClosePeer(member.peer))
    if member.next is not None:
        turn.do(ClosePeer(member.next))
    gone = member.address
    requests.left(turn, call, gone)
    call = turn.put(
        call,
        members=tuple(one for one in call.members if one.address != gone),
        gone=gone_with(call, gone),
        speaker=None if call.speaker == member.peer else call.speaker,
        muted_by={who: by for who, by in call.muted_by.items() if who != gone},
        digits={who: pressed for who, pressed in call.digits.items() if who != gone},
    )
    if member.joined:
        turn.emit(ParticipantLeft(member.participant, reason), call)
        changed(turn, call)
    return call


def _invitee_left(turn: Turn, call: LiveCall, uid: str) -> LiveCall:
    invitee = call.invitee(uid)
    if invitee is None or invitee.state is not CalleeState.ACCEPTED or call.members_of(uid):
        return call
    left = replace(invitee, state=CalleeState.LEFT)
    others = tuple(left if one.uid == uid else one for one in call.invitees)
    call = turn.put(call, invitees=others)
    callees = tuple(one.public() for one in call.invitees)
    turn.emit(InvitationUserStateChanged(call.public(turn.now), callees), call)
    return call


def _end_grouped(
    turn: Turn, call: LiveCall, call_id: str, reason: ParticipantLeftReason
) -> LiveCall:
    """A merged call is over when the last of those who came with it has left."""
    if any(member.peer.call_id == call_id for member in call.members):
        return call
    for grouped in call.grouped:
        if grouped.call_id == call_id:
            ending.end_grouped(turn, grouped, _END_REASONS[reason])
    return turn.put(call, grouped=tuple(one for one in call.grouped if one.call_id != call_id))


_END_REASONS = {
    ParticipantLeftReason.LEFT: CallEndReason.REMOTE_HANG_UP,
    ParticipantLeftReason.CONNECTION_LOST: CallEndReason.CONNECTION_CLOSED,
    ParticipantLeftReason.KICKED_OUT: CallEndReason.LOCAL_HANG_UP,
}


def go_on_without(turn: Turn, call: LiveCall, reason: CallEndReason) -> None:
    """Somebody has left: the session goes on, waits for who may still come, or is over."""
    call = turn.now_of(call)
    if not (call.members or call.admitted or call.still_rung or call.direct):
        ending.end(turn, call, reason)
        return
    if call.state is CallState.CONNECTING and not call.members:
        turn.do(StopTimer(Timer("setup", call.call_id)))  # until the next one takes the call
    outage.judge(turn, call)
    watch_alone(turn, call)


def watch_alone(turn: Turn, call: LiveCall) -> None:
    """Nobody's media is connected with this device's: the session is kept for the idle time."""
    call = turn.now_of(call)
    alone = not any(member.joined for member in call.members)
    if alone is call.alone:
        return
    turn.put(call, alone=alone)
    timer = Timer("idle", call.call_id)
    turn.do(StartTimer(timer, call.settings.idle_timeout_s) if alone else StopTimer(timer))


def idle(turn: Turn, call: LiveCall) -> None:
    """Nobody came in all that time."""
    turn.emit(SessionTimedOut(call.session_id, call.settings.idle_timeout_s), call)
    turn.send_all(call, messages.End("idle"))
    ending.end(turn, call, CallEndReason.IDLE)


def sender_of(call: LiveCall, sender: Address) -> Member:
    """The member that sent a message; raises Refused where it is none."""
    member = call.member(sender)
    if member is None:
        raise Refused("not_in_call", f"{sender.uid} ({sender.endpoint}) is not in this call")
    return member
