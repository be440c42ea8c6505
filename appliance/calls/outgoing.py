"""Calls that this device places: their beginning, their ring time, and their being taken back."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls import devices, ending, holding, inviting, telling
from appliance.calls.call import LiveCall
from appliance.calls.effects import StartTimer
from appliance.calls.inputs import LinkState, Timer
from appliance.calls.sizes import check_json
from appliance.calls.turn import Turn
from appliance.commands import InitiateCall
from appliance.errors import Refused
from appliance.events import (
    OutgoingCallStarted,
    OutgoingCallTimeout,
)
from appliance.messages import Address, Cancel
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
)

RING_S_MAX = 3600.0


def place(turn: Turn, command: InitiateCall, *, bell: bool = False) -> LiveCall:
    """Begin to ring; raises Refused where nobody is there to be rung.

    A press of the `bell` is a call in any case, and so in the call log: where there is nobody to be
    rung, or nobody is to be disturbed, it ends at once, and the visitor is told.
    """
    policy = turn.policy
    receiver, uids, in_vain = _whom(turn, command, bell=bell)
    group = policy.groups.get(receiver.id) if receiver.type is ReceiverType.GROUP else None
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
        invitees=tuple(inviting.invitee_of(turn, uid) for uid in uids),
        custom_data=command.custom_data,
        announced=turn.state.link is LinkState.CONNECTED,
        host=policy.address,
        settings=policy.settings,
    )
    holding.make_way(turn, call)
    telling.began(turn)
    turn.put(call)
    turn.emit(OutgoingCallStarted(call.public(turn.now)), call)
    if turn.state.do_not_disturb is not None or in_vain is not None:
        _end_at_once(turn, call, in_vain)
        return call
    for invitee in call.invitees:
        for leg in invitee.legs:
            inviting.invite(turn, call, Address(invitee.uid, leg.endpoint))
    # warm while it rings, so that the first picture does not wait; the house hears it before
    devices.open_for(turn, call)
    turn.do(StartTimer(Timer("ring", call.call_id), timeout_s))
    return call


def _whom(
    turn: Turn, command: InitiateCall, *, bell: bool
) -> tuple[Receiver, tuple[str, ...], Refused | None]:
    """Who is meant, the uids to be rung, and for a bell why there are none; raises Refused for others.

    Whom a bell rings may have been paired once, and be a contact no more.
    """
    try:
        receiver = inviting.receiver_of(turn, command)
    except Refused as refusal:
        if not bell or command.receiver is None:
            raise
        return Receiver(command.receiver_type, command.receiver), (), refusal
    try:
        return receiver, inviting.uids_of(turn, receiver), None
    except Refused as refusal:
        if not bell:
            raise
        return receiver, (), refusal


def _end_at_once(turn: Turn, call: LiveCall, in_vain: Refused | None) -> None:
    """Nobody is rung, and who stood there is seen in the call log."""
    reason = CallEndReason.BUSY
    if turn.state.do_not_disturb is None and in_vain is not None:
        turn.error(in_vain.code, str(in_vain), InitiateCall.NAME, call.call_id)
        reason = CallEndReason.FAILED
    ending.end(turn, call, reason)
    if call.type is CallType.VIDEO:
        devices.portray(turn)


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


def stop_ringing(turn: Turn, call: LiveCall) -> None:
    """The ring time of a call that may have several is over: who has not come in is let be."""
    silent = {one.uid for one in call.invitees if one.open}
    call = _stop_open(turn, call)
    callees = tuple(one.public() for one in call.invitees if one.uid in silent)
    if callees:
        turn.emit(OutgoingCallTimeout(call.public(turn.now), callees), call)
        end_if_nobody_comes(turn, call)


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
        inviting.tell_states(turn, call)
    return call


def end_if_nobody_comes(turn: Turn, call: LiveCall) -> None:
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
        inviting.tell_states(turn, call)
    return call
