"""How a call ends: once, for one reason, with everything closed that it opened."""

from __future__ import annotations

from appliance.calls.effects import (
    ClosePeer,
    ForgetCall,
    Sound,
    StopCapture,
    StopSound,
    StopTimer,
)
from appliance.calls.inputs import Timer
from appliance.calls.state import LiveCall, Remembered
from appliance.calls.turn import Turn
from appliance.events import CallEnded, SessionLeft, SessionStateChanged
from appliance.messages import End
from appliance.model import CallDirection, CallEndReason, CallState, SessionStateReason

REMEMBERED_S = 60
"""How long a call that is over is known, so that an invite behind its end does not ring."""
REMEMBERED = 256
"""How many are known at most."""

FAILURES = (CallEndReason.FAILED, CallEndReason.CONNECTION_CLOSED, CallEndReason.UNTRUSTED)


def end(turn: Turn, call: LiveCall, reason: CallEndReason, kicked_by: str | None = None) -> None:
    """Close what the call opened, then tell that it is over: `call_ended` is its last event."""
    call = turn.put(call, state=CallState.ENDED)
    for kind in ("ring", "setup", "reconnect", "farewell", "participants"):
        turn.do(StopTimer(Timer(kind, call.call_id)))
    for member in call.members:
        turn.do(ClosePeer(member.peer))
    if call.direction is CallDirection.INCOMING:
        turn.do(StopSound(Sound.RINGTONE))
    turn.do(ForgetCall(call.call_id))
    turn.set(calls=tuple(one for one in turn.state.calls if one.call_id != call.call_id))
    if not turn.state.calls:
        turn.do(StopCapture())
        turn.set(audio_muted=False, video_paused=False)
    session = {"room_session_id": call.session_id}
    if call.joined:
        turn.emit(SessionStateChanged(SessionStateReason.LOGGED_OUT, 0, session), call)
        turn.emit(SessionLeft(call.session_id, call.call_id, reason), call)
    elif call.answered_s is not None and reason in FAILURES:
        turn.emit(SessionStateChanged(SessionStateReason.LOGIN_FAILED, 0, session), call)
    duration_s = call.duration_s(turn.now) or 0.0
    turn.emit(CallEnded(call.public(turn.now), reason, kicked_by, duration_s), call)
    remember(turn, call.call_id, reason)


def remember(turn: Turn, call_id: str, reason: CallEndReason) -> None:
    """Know for a minute that this call is over (or never to begin)."""
    now_s = turn.now.monotonic_s
    kept = {
        known: entry
        for known, entry in turn.state.remembered.items()
        if now_s - entry.at_s < REMEMBERED_S and known != call_id
    }
    while len(kept) >= REMEMBERED:
        kept.pop(next(iter(kept)))
    kept[call_id] = Remembered(now_s, reason)
    turn.set(remembered=kept)


def hang_up(turn: Turn, call: LiveCall) -> None:
    """Leave a call that was answered; with one other in it, it is over for both."""
    turn.send_all(call, End("hang_up"))
    end(turn, call, CallEndReason.LOCAL_HANG_UP)


def break_off(turn: Turn, call: LiveCall, reason: CallEndReason) -> None:
    """End a call that cannot go on, and tell the others that it failed."""
    turn.send_all(call, End("failed"))
    end(turn, call, reason)
