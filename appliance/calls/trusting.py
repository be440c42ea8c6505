"""Contacts that are believed no more: their calls end, and they are put out of those of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from appliance.calls import ending, inviting, roster
from appliance.calls.call import LiveCall
from appliance.calls.effects import FollowList
from appliance.calls.inputs import ContactsChanged
from appliance.calls.turn import Turn
from appliance.messages import Address, Cancel, End
from appliance.model import (
    CalleeState,
    CallEndReason,
    CancelReason,
    Participant,
    ParticipantLeftReason,
    Right,
)

Lost = Callable[[Address], bool]
"""Whether an endpoint is trusted no more."""


def lost_by(turn: Turn, changed: ContactsChanged) -> Lost:
    """Who is trusted no more: whose key was withdrawn, and who was a contact and is none."""
    before = turn.policy.contacts
    gone = frozenset(uid for uid in before if uid not in changed.contacts)

    def lost(address: Address) -> bool:
        withdrawn = changed.withdrawn
        return address.uid in gone or address in withdrawn or Address(address.uid) in withdrawn

    return lost


def ringing_in(turn: Turn, call: LiveCall, lost: Lost) -> None:
    """Who calls is nobody any more: it rings no longer."""
    if lost(call.inviter):
        ending.end(turn, call, CallEndReason.UNTRUSTED)


def ringing_out(turn: Turn, call: LiveCall, lost: Lost) -> None:
    """Who is rung is nobody any more: it is rung no longer, and nobody may be left to take it."""
    _ring_no_more(turn, call, lost)
    call = turn.now_of(call)
    if not any(invitee.open for invitee in call.invitees):
        ending.end(turn, call, CallEndReason.UNTRUSTED)


def answered(turn: Turn, call: LiveCall, lost: Lost) -> None:
    """Who takes part is nobody any more: a host puts it out, and a guest leaves."""
    if not turn.hosts(call):
        if lost(call.host) or any(lost(member.address) for member in call.members):
            ending.hang_up(turn, call, CallEndReason.UNTRUSTED)
        return
    _ring_no_more(turn, call, lost)
    last_word = End("kicked_out", kicked_by=turn.policy.uid)
    call, met = turn.now_of(call), False
    for admitted in call.admitted:
        if lost(admitted.address):
            turn.send(admitted.address, call, last_word)
            call, met = roster.let_go(turn, call, admitted.address), True
    for member in call.members:
        if lost(member.address):
            turn.send(member.address, call, last_word)
            call, met = roster.drop(turn, call, member, ParticipantLeftReason.KICKED_OUT), True
    if met:
        roster.go_on_without(turn, call, CallEndReason.UNTRUSTED)


def _ring_no_more(turn: Turn, call: LiveCall, lost: Lost) -> None:
    for invitee in call.invitees:
        gone = [one for one in invitee.addresses if lost(one)] if invitee.open else []
        if not gone:
            continue
        for address in gone:
            turn.send(address, call, Cancel(CancelReason.CANCELLED))
        left = tuple(leg for leg in invitee.legs if not lost(Address(invitee.uid, leg.endpoint)))
        state = invitee.state if left else CalleeState.CANCELLED
        inviting.put_invitee(turn, call, replace(invitee, legs=left, state=state))


# -------------------- whom a host brings in


def brought(turn: Turn, call: LiveCall, listed: Iterable[Participant]) -> tuple[Participant, ...]:
    """Of a host's list those with whom this device connects, and itself.

    Any contact that may call names its endpoint as it likes, and is the host of a call by that alone. So
    to be the host brings in nobody: whom this device may be in a call with by their own right comes in, and
    anybody else where the host has the right to invite further users here.
    """
    policy = turn.policy
    if policy.may(call.host.uid, Right.MODERATE):
        return tuple(listed)
    return tuple(
        one
        for one in listed
        if one.uid in (policy.uid, call.host.uid)
        or policy.may(one.uid, Right.CALL)
        or policy.may(one.uid, Right.ANSWER)
    )


def follow_host(turn: Turn, call: LiveCall) -> None:
    """As the guest of a host who may bring in strangers: what it will list counts for signaling."""
    if not turn.hosts(call) and turn.policy.may(call.host.uid, Right.MODERATE):
        turn.do(FollowList(call.call_id, call.host))


def follow(turn: Turn, call: LiveCall) -> None:
    """As a guest: where the host's list names somebody who is no contact, it counts for signaling."""
    known = {*turn.policy.contacts, turn.policy.uid}
    if any(one.uid not in known for one in call.listed):
        turn.do(FollowList(turn.envelope or call.call_id, call.host))
