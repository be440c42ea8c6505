"""Calls that others place to this device: let ring, taken, declined, taken back."""

from __future__ import annotations

from appliance.calls import devices, ending, holding, outgoing, peers, trusting
from appliance.calls.call import LiveCall, Way
from appliance.calls.effects import (
    PlaySound,
    ReturnToIdle,
    Sound,
    StartTimer,
    StopSound,
    StopTimer,
)
from appliance.calls.inputs import PresenceChanged, Timer
from appliance.calls.sizes import check_json
from appliance.calls.turn import Turn
from appliance.commands import AcceptCall, RejectCall
from appliance.errors import Refused
from appliance.events import (
    CallEnded,
    IncomingCallAccepted,
    IncomingCallCancelled,
    IncomingCallDeclined,
    IncomingCallReceived,
    IncomingCallTimeout,
)
from appliance.messages import Address, Cancel, End, Invite, Reject, Ringing
from appliance.model import (
    CallDirection,
    CallEndReason,
    Caller,
    CallState,
    CallType,
    CancelReason,
    ReceiverType,
    RejectReason,
    Right,
    SessionStateReason,
)

DEVICE_ENDPOINT = "main"
"""What a daemon calls its endpoint; a page or an app has another."""
GRACE_S = 2.0
"""The caller's own cancel is waited for this long after its time-out."""
RING_S_MAX = 120.0
"""No caller makes this device ring for longer."""
MISSED_KEPT = 50


# -------------------- an invite comes


def invited(turn: Turn, call_id: str, sender: Address, message: Invite) -> None:
    """Somebody calls while the line is free, or is not."""
    call = _new_call(turn, call_id, sender, message)
    crossing = _crossing(turn, sender)
    if crossing is not None:
        _cross(turn, crossing, call)
    elif turn.state.calls and not holding.second_allowed(turn):
        _busy(turn, call)
    elif sender.uid in turn.policy.auto_answer and not turn.state.calls:
        _receive(turn, call)
        take(turn, call)
    elif turn.state.do_not_disturb is not None:
        _busy(turn, call)
        _keep_missed(turn, call)
    else:
        _let_ring(turn, call, sender, message)


def _let_ring(turn: Turn, call: LiveCall, sender: Address, message: Invite) -> None:
    call = _receive(turn, call)
    turn.send(sender, call, Ringing())
    turn.do(PlaySound(Sound.RINGTONE))
    ring_s = min(message.timeout_s, RING_S_MAX) + GRACE_S
    turn.do(StartTimer(Timer("ring", call.call_id), ring_s))


def _new_call(turn: Turn, call_id: str, sender: Address, message: Invite) -> LiveCall:
    policy = turn.policy
    _check_may_call(turn, sender)
    if message.caller.uid != sender.uid:
        raise Refused("misaddressed", f"{sender.uid} invites in the name of {message.caller.uid}")
    _check_receiver(turn, message)
    name = policy.name_of(sender.uid) or message.caller.name
    audio = message.call_type is CallType.AUDIO or not policy.films
    return LiveCall(
        call_id=call_id,
        session_id=message.session_id,
        direction=CallDirection.INCOMING,
        type=CallType.AUDIO if audio else CallType.VIDEO,
        state=CallState.INCOMING,
        caller=Caller(sender.uid, name),
        receiver=message.receiver,
        started_at=turn.now.utc,
        deadline_s=turn.now.monotonic_s + message.timeout_s,
        custom_data=message.custom_data,
        inviter=sender,
        offer=message.offer,
        announced=True,
        # between two devices the caller is the host; a person's page leaves that to the device.
        # Anybody can name an endpoint so: what a host may here is what its contact has the right to
        host=sender if sender.endpoint == DEVICE_ENDPOINT else policy.address,
        settings=policy.settings,
    )


def _check_may_call(turn: Turn, sender: Address) -> None:
    if not turn.policy.may(sender.uid, Right.CALL):
        raise Refused("not_allowed", f"{sender.uid} has no right to call this device")


def _check_receiver(turn: Turn, message: Invite) -> None:
    """Who is rung into a running session is no receiver of its call, but one of its callees."""
    policy, receiver = turn.policy, message.receiver
    meant = receiver.id == policy.uid or policy.uid in message.callees
    if receiver.type is ReceiverType.USER and not meant:
        raise Refused("misaddressed", f"the invite is for {receiver.id}, not for this device")


def _receive(turn: Turn, call: LiveCall) -> LiveCall:
    call = turn.put_behind(call)
    turn.emit(IncomingCallReceived(call.public(turn.now)), call)
    return call


def _busy(turn: Turn, call: LiveCall) -> None:
    turn.send(call.inviter, call, Reject(RejectReason.BUSY))
    turn.emit(IncomingCallDeclined(call.public(turn.now), RejectReason.BUSY), call)
    event = CallEnded(call.public(turn.now), CallEndReason.BUSY, None, 0.0)
    turn.emit(event, call)
    turn.do(ReturnToIdle(call.call_id, event))
    ending.remember(turn, call.call_id, CallEndReason.BUSY, whose=call.inviter.uid)


def _crossing(turn: Turn, sender: Address) -> LiveCall | None:
    """This device's own call that rings at whoever calls it now."""
    return next(
        (
            call
            for call in turn.state.calls
            if call.state is CallState.OUTGOING
            and call.receiver.type is ReceiverType.USER
            and call.receiver.id == sender.uid
        ),
        None,
    )


def _cross(turn: Turn, own: LiveCall, theirs: LiveCall) -> None:
    """Of two calls that cross, the one with the smaller id lives and is accepted at once."""
    if own.call_id < theirs.call_id:
        ending.remember(turn, theirs.call_id, CallEndReason.CANCELLED, whose=theirs.inviter.uid)
        return
    outgoing.give_up(turn, own, CallEndReason.CANCELLED)
    take(turn, _receive(turn, theirs))


def invited_again(turn: Turn, call: LiveCall, sender: Address, message: Invite) -> None:
    """The same call once more: no second ring, but the caller is told again."""
    if sender.uid != call.inviter.uid:
        _taken(turn, call.call_id, call.inviter.uid, sender)
    elif sender == call.inviter:
        turn.send(sender, call, Ringing())


def invited_while_answered(turn: Turn, call: LiveCall, sender: Address, message: Invite) -> None:
    """The same call once more: the accept is on its way; or somebody else's under its id."""
    known = next((one for one in call.grouped if one.call_id == turn.envelope), call)
    if sender.uid != known.inviter.uid:
        _taken(turn, known.call_id, known.inviter.uid, sender)


def invited_after(turn: Turn, call_id: str, sender: Address, message: Invite) -> None:
    """It was taken back or is over, and does not ring; or it is somebody else's under that id."""
    whose = turn.state.remembered[call_id].whose
    if whose not in (None, sender.uid):
        _taken(turn, call_id, whose, sender)


def _taken(turn: Turn, call_id: str, whose: str, sender: Address) -> None:
    """An id is of who invited with it first: whoever else does is told that the line is busy.

    Who has learnt the id of another's call and comes first with it can do no more by that than by any
    call of his own: he is seen to be the caller, and the other, told so, tries again with a new id. Were it
    let ring, one call would go on behind the end of another.
    """
    _check_may_call(turn, sender)
    turn.error(
        "call_id_taken", f"{sender.uid} invites with the id of a call of {whose}", sender.uid
    )
    turn.send(sender, call_id, Reject(RejectReason.BUSY))


# -------------------- what this device makes of it


def accept(turn: Turn, call: LiveCall, command: AcceptCall) -> None:
    """Somebody at this device answers."""
    _check_id(call, command.call_id)
    take(turn, call)


def take(turn: Turn, call: LiveCall) -> None:
    """Answer: open the devices and the connection; the accept is sent when its SDP is ready."""
    turn.do(StopTimer(Timer("ring", call.call_id)), StopSound(Sound.RINGTONE))
    holding.make_way(turn, call)
    call = turn.put(
        call,
        state=CallState.CONNECTING,
        answered_at=turn.now.utc,
        answered_s=turn.now.monotonic_s,
        answered_by=turn.policy.uid,
    )
    turn.emit(IncomingCallAccepted(call.public(turn.now)), call)
    turn.to_front(call)
    turn.session_state(call, SessionStateReason.LOGGING_IN)
    trusting.follow_host(turn, call)
    devices.open_for(turn, call)
    peers.open_towards(turn, call, call.inviter, call.offer, Way.ACCEPTING)


def reject(turn: Turn, call: LiveCall, command: RejectCall) -> None:
    """Somebody at this device declines."""
    _check_id(call, command.call_id)
    if command.reason not in [reason.value for reason in RejectReason]:
        raise Refused("bad_reason", f"an incoming call is rejected or busy, not {command.reason}")
    decline(turn, call, RejectReason(command.reason), command)


def decline(
    turn: Turn, call: LiveCall, reason: RejectReason, command: RejectCall | None = None
) -> None:
    """Tell the caller no, and why."""
    custom_data = command.custom_data if command else None
    check_json(custom_data, "custom_data")
    turn.send(call.inviter, call, Reject(reason, custom_data))
    turn.emit(IncomingCallDeclined(call.public(turn.now), reason), call)
    ending.end(turn, call, CallEndReason(reason))


def _check_id(call: LiveCall, call_id: str | None) -> None:
    if call_id is not None and call_id != call.call_id:
        raise Refused("unknown_call", f"no call {call_id} rings here")


# -------------------- what the caller makes of it


def cancelled(turn: Turn, call: LiveCall, sender: Address, message: Cancel) -> None:
    """The caller takes the invite back."""
    _check_caller(call, sender)
    if message.by == turn.policy.address:
        return
    turn.emit(
        IncomingCallCancelled(call.public(turn.now), message.reason, message.custom_data), call
    )
    if message.reason is CancelReason.TIMED_OUT:
        _missed(turn, call)
    elif message.reason is CancelReason.CANCELLED:
        _keep_missed(turn, call)
    ending.end(turn, call, CallEndReason(message.reason))


def cancelled_before(turn: Turn, call_id: str, sender: Address, message: Cancel) -> None:
    """A cancel that overtook its invite: the invite behind it is not to ring."""
    _check_may_call(turn, sender)
    ending.remember(turn, call_id, CallEndReason(message.reason), by=sender.uid)


def ended_before(turn: Turn, call_id: str, sender: Address, message: End) -> None:
    """An end that overtook its invite."""
    _check_may_call(turn, sender)
    ending.remember(turn, call_id, CallEndReason.CANCELLED, by=sender.uid)


def ended_while_ringing(turn: Turn, call: LiveCall, sender: Address, message: End) -> None:
    """The caller is gone before anybody answered."""
    _check_caller(call, sender)
    cancelled(turn, call, sender, Cancel(CancelReason.CANCELLED))


def caller_went(turn: Turn, call: LiveCall, presence: PresenceChanged) -> None:
    """The caller's program ended (its Last Will says so): nobody is there to be answered."""
    if call.inviter == Address(presence.uid, presence.endpoint):
        cancelled(turn, call, call.inviter, Cancel(CancelReason.CANCELLED))


def timed_out(turn: Turn, call: LiveCall) -> None:
    """Nobody answered here, and the caller did not say so itself."""
    _missed(turn, call)
    ending.end(turn, call, CallEndReason.TIMED_OUT)


def _missed(turn: Turn, call: LiveCall) -> None:
    turn.emit(IncomingCallTimeout(call.public(turn.now)), call)
    _keep_missed(turn, call)


def _keep_missed(turn: Turn, call: LiveCall) -> None:
    turn.set(missed=(*turn.state.missed, call.public(turn.now))[-MISSED_KEPT:])


def _check_caller(call: LiveCall, sender: Address) -> None:
    if sender.uid != call.caller.uid:
        raise Refused("not_the_host", f"{sender.uid} is not the caller of this call")
