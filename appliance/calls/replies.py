"""What each callee makes of an invite: it rings, accepts, rejects, or is busy."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls import inviting, outgoing, peers, telling
from appliance.calls.call import Invitee, LiveCall, Way
from appliance.calls.effects import SettleMessage, StopTimer
from appliance.calls.inputs import Timer
from appliance.calls.turn import Turn
from appliance.errors import Refused
from appliance.events import (
    OutgoingCallAccepted,
    OutgoingCallRejected,
)
from appliance.messages import Accept, Address, Cancel, End, Invite, Reject, Ringing
from appliance.model import (
    CalleeState,
    CallState,
    CancelReason,
    RejectReason,
    Right,
    SessionStateReason,
)


def rang(turn: Turn, call: LiveCall, sender: Address, message: Ringing) -> None:
    """One endpoint of a callee rings."""
    invitee = inviting.invited(call, sender)
    invitee = inviting.with_leg(invitee, sender, CalleeState.RINGING)
    if invitee.state in (CalleeState.INVITING, CalleeState.OFFLINE):
        invitee = replace(invitee, state=CalleeState.RINGING)
    inviting.put_invitee(turn, call, invitee)
    telling.rang(turn, call)


def rang_late(turn: Turn, call: LiveCall, sender: Address, message: Ringing) -> None:
    """A callee rings after the call was answered: where all may come in, it still may."""
    invitee = inviting.invited(call, sender)
    if invitee.open:
        rang(turn, call, sender, message)


def accepted(turn: Turn, call: LiveCall, sender: Address, message: Accept) -> None:
    """A callee takes the call; with policy `first`, the others are told."""
    invitee = inviting.invited(call, sender)
    if message.offer is None:
        raise Refused("no_offer", f"{sender.uid} accepted without an offer to answer")
    if not invitee.open:
        raise Refused("not_invited", f"{sender.uid} accepted after it was {invitee.state}")
    if not turn.policy.may(sender.uid, Right.ANSWER):  # which was taken away while it rang
        raise Refused("not_allowed", f"{sender.uid} has no right to answer")
    first = call.answered_s is None
    takes_it = call.first_takes_it and first
    others = call.still_rung if takes_it else invitee.addresses
    if first:
        telling.rings_no_more(turn, call)
        call = turn.put(
            call,
            state=CallState.CONNECTING,
            answered_at=turn.now.utc,
            answered_s=turn.now.monotonic_s,
            answered_by=sender.uid,
        )
    settled = (_accepted_or_cancelled(one, sender.uid, takes_it) for one in call.invitees)
    call = turn.put(
        call,
        invitees=tuple(
            replace(one, custom_data=message.custom_data) if one.uid == sender.uid else one
            for one in settled
        ),
    )
    if not call.still_rung:
        turn.do(StopTimer(Timer("ring", call.call_id)))
    cancel = Cancel(CancelReason.ANSWERED_ELSEWHERE, by=sender)
    for address in others:
        if address != sender:
            turn.send(address, call, cancel)
    inviting.tell_states(turn, call)
    callee = next(one.public() for one in call.invitees if one.uid == sender.uid)
    turn.emit(OutgoingCallAccepted(call.public(turn.now), callee), call)
    if first:
        turn.session_state(call, SessionStateReason.LOGGING_IN)
    peers.open_towards(turn, call, sender, message.offer, Way.ANSWERING)


def _accepted_or_cancelled(invitee: Invitee, winner: str, first_takes_it: bool) -> Invitee:
    if invitee.uid == winner:
        return replace(invitee, state=CalleeState.ACCEPTED)
    if first_takes_it and invitee.open:
        return replace(invitee, state=CalleeState.CANCELLED)
    return invitee


def accepted_late(turn: Turn, call: LiveCall, sender: Address, message: Accept) -> None:
    """An accept after somebody else took the call; the same endpoint's own is a repeat."""
    if call.member(sender) is not None:
        return
    invitee = inviting.invited(call, sender)
    if invitee.open and (invitee.further or not call.first_takes_it):
        accepted(turn, call, sender, message)
        return
    winner = call.members[0].address if call.members else None
    about = turn.envelope or call.call_id
    turn.send(sender, about, Cancel(CancelReason.ANSWERED_ELSEWHERE, by=winner))


def came_by_token(turn: Turn, call: LiveCall, sender: Address) -> LiveCall:
    """Who is rung comes in by another way: that is an answer, and nothing of it rings any more."""
    invitee = call.invitee(sender.uid)
    if invitee is None or not invitee.open:
        return call
    turn.do(SettleMessage(sender, call.call_id, Invite.TYPE))
    cancel = Cancel(CancelReason.ANSWERED_ELSEWHERE, by=sender)
    for address in invitee.addresses:
        turn.send(address, call, cancel)
    return inviting.put_invitee(turn, call, replace(invitee, state=CalleeState.ACCEPTED))


def accepted_too_late(turn: Turn, call_id: str, sender: Address, message: Accept) -> None:
    """An accept after the end: the callee is told that it is over."""
    turn.send(sender, call_id, End("hang_up"))


def rejected(turn: Turn, call: LiveCall, sender: Address, message: Reject) -> None:
    """`rejected` from one endpoint is the uid's answer; `busy` is, only from all of them."""
    invitee = inviting.invited(call, sender)
    if not invitee.open:
        return
    if message.reason is RejectReason.BUSY:
        invitee = inviting.with_leg(invitee, sender, CalleeState.BUSY)
        if any(leg.state is not CalleeState.BUSY for leg in invitee.legs):
            inviting.put_invitee(turn, call, invitee)
            return
    else:
        cancel = Cancel(CancelReason.REJECTED_ELSEWHERE, by=sender)
        for address in invitee.addresses:
            if address != sender:
                turn.send(address, call, cancel)
    said = CalleeState(message.reason)
    invitee = replace(invitee, state=said, custom_data=message.custom_data)
    call = inviting.put_invitee(turn, call, invitee)
    turn.emit(
        OutgoingCallRejected(
            call.public(turn.now), invitee.public(), message.reason, message.custom_data
        ),
        call,
    )
    outgoing.end_if_nobody_comes(turn, call)
