"""How a call ends: once, for one reason, with everything closed that it opened."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls import devices, holding, recordings, requests, screens, telling
from appliance.calls.call import LiveCall
from appliance.calls.effects import (
    ClosePeer,
    ForgetCall,
    ReturnToIdle,
    Sound,
    StopSound,
    StopTimer,
)
from appliance.calls.inputs import LinkState, Timer
from appliance.calls.situation import situation
from appliance.calls.state import Closing, Remembered
from appliance.calls.turn import Turn
from appliance.events import CallEnded, SessionLeft
from appliance.messages import Cancel, End
from appliance.model import (
    CallDirection,
    CallEndReason,
    CallState,
    CancelReason,
    SessionStateReason,
)

REMEMBERED_S = 60
"""How long a call that is over is known, so that an invite behind its end does not ring."""
REMEMBERED = 256
"""How many are known at most."""

FAILURES = (CallEndReason.FAILED, CallEndReason.CONNECTION_CLOSED, CallEndReason.UNTRUSTED)

TIMERS = ("ring", "setup", "reconnect", "seek", "farewell", "participants", "idle")
"""Those that a call may have."""


def end(turn: Turn, call: LiveCall, reason: CallEndReason, kicked_by: str | None = None) -> None:
    """Close what the call opened, then tell that it is over: `call_ended` is its last event."""
    call = turn.now_of(call)
    shown = situation(turn.state)
    rang = call.state is CallState.INCOMING
    before = call
    if call.answered:
        _let_be(turn, call)
    for grouped in call.grouped:
        end_grouped(turn, grouped, reason, kicked_by)
    requests.give_up(turn, call)
    recordings.stop_for(turn, call)
    screens.stop_for(turn, call)
    call = turn.put(call, state=CallState.ENDED, grouped=(), asked=())
    _close(turn, call)
    if rang:
        turn.do(StopSound(Sound.RINGTONE))
    telling.rings_no_more(turn, before)
    turn.remove(call)
    devices.adjust(turn, call)
    _leave_session(turn, call, reason)
    event = CallEnded(call.public(turn.now), reason, kicked_by, call.duration_s(turn.now) or 0.0)
    turn.emit(event, call)
    remember(turn, call.call_id, reason, whose=call.inviter.uid)
    if call.direction is CallDirection.OUTGOING:
        telling.ended(turn, call, reason)
    if not turn.state.calls:
        turn.set(closing=Closing(call.call_id, shown))
    turn.do(ReturnToIdle(call.call_id, event))
    holding.resume_after(turn)


def _let_be(turn: Turn, call: LiveCall) -> None:
    """Whoever was still to come in is told that there is nothing to come into any more."""
    for address in call.still_rung:
        turn.send(address, call, Cancel(CancelReason.CANCELLED))
    for admitted in call.admitted:
        turn.send(admitted.address, call, End("hang_up"))


def _close(turn: Turn, call: LiveCall) -> None:
    for kind in TIMERS:
        turn.do(StopTimer(Timer(kind, call.call_id)))
    for member in call.members:
        turn.do(ClosePeer(member.peer))
        if member.next is not None:
            turn.do(ClosePeer(member.next))
    for call_id in dict.fromkeys([call.call_id, *(one.peer.call_id for one in call.members)]):
        turn.do(ForgetCall(call_id))


def _leave_session(turn: Turn, call: LiveCall, reason: CallEndReason) -> None:
    if call.joined:
        if reason is CallEndReason.KICKED_OUT:
            turn.session_state(call, SessionStateReason.KICKED_OUT)
        if reason is CallEndReason.LOCAL_HANG_UP and turn.state.link is not LinkState.CONNECTED:
            turn.session_state(call, SessionStateReason.LOGOUT_FAILED)  # nobody can be told
        turn.session_state(call, SessionStateReason.LOGGED_OUT)
        turn.emit(SessionLeft(call.session_id, call.call_id, reason), call)
    elif call.answered_s is not None and reason in FAILURES:
        turn.session_state(call, SessionStateReason.LOGIN_FAILED)


def end_grouped(
    turn: Turn, grouped: LiveCall, reason: CallEndReason, kicked_by: str | None = None
) -> None:
    """A call that was merged into another has nobody left in it; its connections are the other's."""
    grouped = replace(grouped, state=CallState.ENDED)
    turn.do(ForgetCall(grouped.call_id))
    _leave_session(turn, grouped, reason)
    duration_s = grouped.duration_s(turn.now) or 0.0
    turn.emit(CallEnded(grouped.public(turn.now), reason, kicked_by, duration_s), grouped)
    remember(turn, grouped.call_id, reason, whose=grouped.inviter.uid)


def returned(turn: Turn, call_id: str) -> None:
    """The default action has run: LEDs and screen are told that the call is over."""
    if turn.state.closing is not None and turn.state.closing.call_id == call_id:
        turn.set(closing=None)


def remember(
    turn: Turn,
    call_id: str,
    reason: CallEndReason,
    by: str | None = None,
    whose: str | None = None,
) -> None:
    """Know for a minute that this call (of `whose`) is over, or never to begin as far as `by` calls."""
    now_s = turn.now.monotonic_s
    kept = {
        known: entry
        for known, entry in turn.state.remembered.items()
        if now_s - entry.at_s < REMEMBERED_S and known != call_id
    }
    while len(kept) >= REMEMBERED:
        kept.pop(next(iter(kept)))
    kept[call_id] = Remembered(now_s, reason, by, whose)
    turn.set(remembered=kept)


def hang_up(
    turn: Turn, call: LiveCall, reason: CallEndReason = CallEndReason.LOCAL_HANG_UP
) -> None:
    """Leave a call that was answered; with one other in it, or as its host, it is over for all."""
    _say(turn, call, End("hang_up"))
    end(turn, call, reason)


def break_off(turn: Turn, call: LiveCall, reason: CallEndReason) -> None:
    """End a call that cannot go on, and tell the others that it failed."""
    _say(turn, call, End("failed"))
    end(turn, call, reason)


def _say(turn: Turn, call: LiveCall, last_word: End) -> None:
    """To all, and to a host that has let this device in, connected or not."""
    turn.send_all(call, last_word)
    if call.direct and not turn.hosts(call) and call.member(call.host) is None:
        turn.send(call.host, call, last_word)
