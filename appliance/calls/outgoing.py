"""Calls that this device places: whom they ring, and what each callee makes of it."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls import devices, ending, holding, peers, telling
from appliance.calls.effects import SettleMessage, StartTimer, StopTimer
from appliance.calls.inputs import LinkState, PresenceChanged, Timer
from appliance.calls.sizes import check_json
from appliance.calls.state import Invitee, Leg, LiveCall, Way
from appliance.calls.turn import Turn
from appliance.commands import InitiateCall
from appliance.errors import Refused, did_you_mean
from appliance.events import (
    InvitationUserStateChanged,
    OutgoingCallAccepted,
    OutgoingCallRejected,
    OutgoingCallStarted,
    OutgoingCallTimeout,
)
from appliance.messages import Accept, Address, Cancel, End, Invite, Reject, Ringing
from appliance.model import (
    CallDirection,
    CalleeState,
    CallEndReason,
    Caller,
    CallState,
    CallType,
    CancelReason,
    Json,
    Receiver,
    ReceiverType,
    RejectReason,
    Right,
    SessionStateReason,
)

RING_S_MAX = 3600.0

# -------------------- placing


def place(turn: Turn, command: InitiateCall, *, bell: bool = False) -> LiveCall:
    """Begin to ring; raises Refused where nobody is there to be rung.

    A visitor at the `bell` under do not disturb is told at once that nobody can be rung.
    """
    policy = turn.policy
    receiver = _receiver(turn, command)
    group = policy.groups.get(receiver.id) if receiver.type is ReceiverType.GROUP else None
    uids = _uids_of(turn, receiver)
    timeout_s = policy.ring_timeout_s if command.timeout_s is None else command.timeout_s
    if not 0 < timeout_s <= RING_S_MAX:
        raise Refused("bad_timeout", f"timeout_s is above 0 and at most {RING_S_MAX:.0f}")
    check_json(command.custom_data, "custom_data")
    if turn.state.do_not_disturb is not None and not bell:
        raise Refused("do_not_disturb", "do not disturb is on: nobody is rung")
    default_type = CallType.VIDEO if policy.films else CallType.AUDIO
    wanted = command.type or default_type
    call = LiveCall(
        call_id=turn.now.fresh[:32],
        session_id=turn.now.fresh[32:],
        direction=CallDirection.OUTGOING,
        type=wanted if policy.films else CallType.AUDIO,
        state=CallState.OUTGOING,
        caller=Caller(policy.uid, policy.name),
        receiver=receiver,
        started_at=turn.now.utc,
        inviter=policy.address,
        deadline_s=turn.now.monotonic_s + timeout_s,
        first_takes_it=group.first_takes_it if group else True,
        invitees=tuple(_invitee(turn, uid) for uid in uids),
        custom_data=command.custom_data,
        announced=turn.state.link is LinkState.CONNECTED,
        host=policy.address,
        settings=policy.settings,
    )
    holding.make_way(turn, call)
    telling.began(turn)
    turn.put(call)
    turn.emit(OutgoingCallStarted(call.public(turn.now)), call)
    if turn.state.do_not_disturb is not None:
        ending.end(turn, call, CallEndReason.BUSY)
        if call.type is CallType.VIDEO:
            devices.portray(turn)
        return call
    for invitee in call.invitees:
        for leg in invitee.legs:
            _invite(turn, call, Address(invitee.uid, leg.endpoint))
    # warm while it rings, so that the first picture does not wait; the house hears it before
    devices.open_for(turn, call)
    turn.do(StartTimer(Timer("ring", call.call_id), timeout_s))
    return call


def _receiver(turn: Turn, command: InitiateCall) -> Receiver:
    if command.receiver is None:
        if turn.policy.receiver is None:
            raise Refused("no_receiver", "no receiver was given and none is configured")
        return turn.policy.receiver
    known = (
        turn.policy.groups if command.receiver_type is ReceiverType.GROUP else turn.policy.contacts
    )
    if command.receiver not in known:
        hint = did_you_mean(command.receiver, known)
        raise Refused(
            "unknown_receiver", f"no {command.receiver_type} is called {command.receiver}{hint}"
        )
    name = turn.policy.name_of(command.receiver)
    return Receiver(command.receiver_type, command.receiver, name)


def _invitee(turn: Turn, uid: str, *, further: bool = False) -> Invitee:
    present = turn.state.presence.get(uid, ())
    legs = tuple(Leg(presence.endpoint, presence.epoch) for presence in present)
    return Invitee(
        uid=uid,
        name=turn.policy.name_of(uid),
        state=CalleeState.INVITING if legs else CalleeState.OFFLINE,
        legs=legs or (Leg(None),),
        further=further,
    )


def _invite(turn: Turn, call: LiveCall, to: Address) -> None:
    left_s = max(0.0, call.deadline_s - turn.now.monotonic_s)
    turn.send(
        to,
        call,
        Invite(
            session_id=call.session_id,
            call_type=call.type,
            receiver=call.receiver,
            caller=call.caller,
            timeout_s=round(left_s, 3),
            callees=tuple(invitee.uid for invitee in call.invitees),
            custom_data=call.custom_data,
        ),
        ttl_s=left_s,
    )


# -------------------- what a callee makes of it


def rang(turn: Turn, call: LiveCall, sender: Address, message: Ringing) -> None:
    """One endpoint of a callee rings."""
    invitee = _invited(call, sender)
    invitee = _with_leg(invitee, sender, CalleeState.RINGING)
    if invitee.state in (CalleeState.INVITING, CalleeState.OFFLINE):
        invitee = replace(invitee, state=CalleeState.RINGING)
    _put_invitee(turn, call, invitee)
    telling.rang(turn, call)


def rang_late(turn: Turn, call: LiveCall, sender: Address, message: Ringing) -> None:
    """A callee rings after the call was answered: where all may come in, it still may."""
    invitee = _invited(call, sender)
    if invitee.open:
        rang(turn, call, sender, message)


def accepted(turn: Turn, call: LiveCall, sender: Address, message: Accept) -> None:
    """A callee takes the call; with policy `first`, the others are told."""
    invitee = _invited(call, sender)
    if message.offer is None:
        raise Refused("no_offer", f"{sender.uid} accepted without an offer to answer")
    if not invitee.open:
        raise Refused("not_invited", f"{sender.uid} accepted after it was {invitee.state}")
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
    _tell_states(turn, call)
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
    invitee = _invited(call, sender)
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
    return _put_invitee(turn, call, replace(invitee, state=CalleeState.ACCEPTED))


def accepted_too_late(turn: Turn, call_id: str, sender: Address, message: Accept) -> None:
    """An accept after the end: the callee is told that it is over."""
    turn.send(sender, call_id, End("hang_up"))


def rejected(turn: Turn, call: LiveCall, sender: Address, message: Reject) -> None:
    """`rejected` from one endpoint is the uid's answer; `busy` is, only from all of them."""
    invitee = _invited(call, sender)
    if not invitee.open:
        return
    if message.reason is RejectReason.BUSY:
        invitee = _with_leg(invitee, sender, CalleeState.BUSY)
        if any(leg.state is not CalleeState.BUSY for leg in invitee.legs):
            _put_invitee(turn, call, invitee)
            return
    else:
        cancel = Cancel(CancelReason.REJECTED_ELSEWHERE, by=sender)
        for address in invitee.addresses:
            if address != sender:
                turn.send(address, call, cancel)
    said = CalleeState(message.reason)
    invitee = replace(invitee, state=said, custom_data=message.custom_data)
    call = _put_invitee(turn, call, invitee)
    turn.emit(
        OutgoingCallRejected(
            call.public(turn.now), invitee.public(), message.reason, message.custom_data
        ),
        call,
    )
    _end_if_nobody_comes(turn, call)


def _end_if_nobody_comes(turn: Turn, call: LiveCall) -> None:
    """Nobody is there, and nobody is to be waited for."""
    if call.direct or call.members or call.admitted or call.still_rung:
        return
    ending.end(turn, call, CallEndReason.REMOTE_HANG_UP if call.joined else _nobody_took_it(call))


def _nobody_took_it(call: LiveCall) -> CallEndReason:
    states = {invitee.state for invitee in call.invitees}
    if states & {CalleeState.TIMED_OUT, CalleeState.OFFLINE}:
        return CallEndReason.TIMED_OUT
    if CalleeState.REJECTED in states:
        return CallEndReason.REJECTED
    return CallEndReason.BUSY


# -------------------- nobody takes it


def timed_out(turn: Turn, call: LiveCall) -> None:
    """The ring time is over: with the broker never reached the call failed, else nobody came."""
    call = _stop_open(turn, call)
    if not call.announced:
        message = "the broker was not reached while the call was to ring"
        turn.error("broker_unreachable", message, call_id=call.call_id)
        ending.end(turn, call, CallEndReason.FAILED)
        return
    silent = (CalleeState.TIMED_OUT, CalleeState.OFFLINE)
    callees = tuple(one.public() for one in call.invitees if one.state in silent)
    turn.emit(OutgoingCallTimeout(call.public(turn.now), callees), call)
    ending.end(turn, call, _nobody_took_it(call))


def _stop_open(turn: Turn, call: LiveCall) -> LiveCall:
    for address in call.still_rung:
        turn.send(address, call, Cancel(CancelReason.TIMED_OUT))
    over = {CalleeState.INVITING, CalleeState.RINGING}
    if call.answered:
        over.add(CalleeState.OFFLINE)  # who comes online later is invited no more
    invitees = tuple(
        replace(one, state=CalleeState.TIMED_OUT) if one.state in over else one
        for one in call.invitees
    )
    if invitees != call.invitees:
        call = turn.put(call, invitees=invitees)
        _tell_states(turn, call)
    return call


def cancelled(turn: Turn, call: LiveCall, custom_data: Json = None) -> None:
    """This device takes its call back before anybody answered."""
    ending.end(turn, take_back(turn, call, custom_data), CallEndReason.CANCELLED)


def give_up(turn: Turn, call: LiveCall, reason: CallEndReason) -> None:
    """Take the call back, and end it."""
    ending.end(turn, take_back(turn, call), reason)


def take_back(turn: Turn, call: LiveCall, custom_data: Json = None) -> LiveCall:
    """Tell everyone who may still ring that the call is cancelled."""
    for address in call.still_rung:
        turn.send(address, call, Cancel(CancelReason.CANCELLED, custom_data=custom_data))
    taken_back = tuple(
        replace(one, state=CalleeState.CANCELLED) if one.open else one for one in call.invitees
    )
    if taken_back != call.invitees:
        call = turn.put(call, invitees=taken_back)
        _tell_states(turn, call)
    return call


def stop_ringing(turn: Turn, call: LiveCall) -> None:
    """The ring time of a call that may have several is over: who has not come in is let be."""
    silent = {one.uid for one in call.invitees if one.open}
    call = _stop_open(turn, call)
    callees = tuple(one.public() for one in call.invitees if one.uid in silent)
    if callees:
        turn.emit(OutgoingCallTimeout(call.public(turn.now), callees), call)
        _end_if_nobody_comes(turn, call)


# -------------------- into the running session


def invite_further(turn: Turn, call: LiveCall, receiver: Receiver) -> None:
    """Ring somebody else into the session; raises Refused where nobody is there to be rung."""
    policy = turn.policy
    if turn.state.do_not_disturb is not None:
        raise Refused("do_not_disturb", "do not disturb is on: nobody is rung")
    uids = _uids_of(turn, receiver)
    there = {member.peer.uid for member in call.members} | {one.uid for one in _rung(call)}
    new = tuple(_invitee(turn, uid, further=True) for uid in uids if uid not in there)
    if not new:
        raise Refused("already_there", f"{receiver.id} is in the session, or is rung already")
    kept = tuple(one for one in call.invitees if one.uid not in {other.uid for other in new})
    deadline_s = turn.now.monotonic_s + policy.ring_timeout_s
    call = turn.put(
        call,
        invitees=(*kept, *new),
        deadline_s=deadline_s,
        put_out=call.put_out - {invitee.uid for invitee in new},
    )
    _tell_states(turn, call)
    for invitee in new:
        for leg in invitee.legs:
            _invite(turn, call, Address(invitee.uid, leg.endpoint))
    turn.do(StartTimer(Timer("ring", call.call_id), policy.ring_timeout_s))


def _rung(call: LiveCall) -> tuple[Invitee, ...]:
    return tuple(one for one in call.invitees if one.open)


def _uids_of(turn: Turn, receiver: Receiver) -> tuple[str, ...]:
    """Whom a receiver means, of those who may answer; raises Refused where that is nobody."""
    policy = turn.policy
    group = policy.groups.get(receiver.id) if receiver.type is ReceiverType.GROUP else None
    uids = group.members if group else (receiver.id,)
    uids = tuple(uid for uid in uids if policy.may(uid, Right.ANSWER))
    if not uids:
        raise Refused("nobody_to_call", f"nobody of {receiver.id} has the right to answer")
    return uids


# -------------------- who comes and goes while it rings


def callee_came(turn: Turn, call: LiveCall, presence: PresenceChanged) -> None:
    """Who comes online while a call rings is invited at once with what is left of the time."""
    invitee = call.invitee(presence.uid)
    if invitee is None or not invitee.open:
        return
    if any(
        leg.endpoint == presence.endpoint and leg.epoch == presence.epoch for leg in invitee.legs
    ):
        return
    leg = Leg(presence.endpoint, presence.epoch)
    legs = tuple(one for one in invitee.legs if one.endpoint not in (None, presence.endpoint))
    invitee = replace(invitee, legs=(*legs, leg))
    if invitee.state is CalleeState.OFFLINE:
        invitee = replace(invitee, state=CalleeState.INVITING)
    call = _put_invitee(turn, call, invitee)
    _invite(turn, call, Address(presence.uid, presence.endpoint))


def callee_went(turn: Turn, call: LiveCall, presence: PresenceChanged) -> None:
    """An endpoint that goes offline rings no more."""
    invitee = call.invitee(presence.uid)
    if invitee is None or not invitee.open:
        return
    legs = tuple(leg for leg in invitee.legs if leg.endpoint != presence.endpoint)
    if len(legs) == len(invitee.legs):
        return
    if not legs:
        invitee = replace(invitee, state=CalleeState.OFFLINE)
    _put_invitee(turn, call, replace(invitee, legs=legs))


# -------------------- small parts


def _invited(call: LiveCall, sender: Address) -> Invitee:
    invitee = call.invitee(sender.uid)
    if invitee is None:
        raise Refused("not_invited", f"{sender.uid} was not invited to this call")
    return invitee


def _with_leg(invitee: Invitee, sender: Address, state: CalleeState) -> Invitee:
    epoch = next((leg.epoch for leg in invitee.legs if leg.endpoint == sender.endpoint), None)
    legs = tuple(leg for leg in invitee.legs if leg.endpoint not in (None, sender.endpoint))
    return replace(invitee, legs=(*legs, Leg(sender.endpoint, epoch, state)))


def _put_invitee(turn: Turn, call: LiveCall, invitee: Invitee) -> LiveCall:
    before = call.invitee(invitee.uid)
    call = turn.put(
        call,
        invitees=tuple(invitee if one.uid == invitee.uid else one for one in call.invitees),
    )
    if before is None or before.state is not invitee.state:
        _tell_states(turn, call)
    return call


def _tell_states(turn: Turn, call: LiveCall) -> None:
    callees = tuple(invitee.public() for invitee in call.invitees)
    turn.emit(InvitationUserStateChanged(call.public(turn.now), callees), call)
