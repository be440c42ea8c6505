"""Whether media flows in a session: lost with the last of the others, restored, or given up."""

from __future__ import annotations

from appliance.calls import ending
from appliance.calls.call import LiveCall
from appliance.calls.effects import StartTimer, StopTimer
from appliance.calls.inputs import Timer
from appliance.calls.turn import Turn
from appliance.events import ConnectionClosed, ConnectionLost, ConnectionRestored
from appliance.model import CallEndReason, CallState, SessionStateReason

RECONNECT_S = 30.0
"""How long a lost session is waited for before it is given up."""


def judge(turn: Turn, call: LiveCall) -> None:
    """After whatever came of a connection: does any of those that were there still flow?

    Whoever is alone has lost nothing: it waits for others.
    """
    call = turn.now_of(call)
    joined = [member for member in call.members if member.joined]
    flows = not joined or any(member.connected for member in joined)
    if call.state is CallState.CONNECTED and not flows:
        _lost(turn, call)
    elif call.state is CallState.RECONNECTING and flows:
        _restored(turn, call)


def _lost(turn: Turn, call: LiveCall) -> None:
    call = turn.put(call, state=CallState.RECONNECTING, lost_at_s=turn.now.monotonic_s)
    turn.do(StartTimer(Timer("reconnect", call.call_id), RECONNECT_S))
    turn.emit(ConnectionLost(call.session_id), call)
    turn.session_state(call, SessionStateReason.RECONNECTING)


def _restored(turn: Turn, call: LiveCall) -> None:
    outage_s = round(turn.now.monotonic_s - (call.lost_at_s or turn.now.monotonic_s), 3)
    call = turn.put(call, state=CallState.CONNECTED, lost_at_s=None)
    turn.do(StopTimer(Timer("reconnect", call.call_id)))
    turn.emit(ConnectionRestored(call.session_id, outage_s), call)
    turn.session_state(call, SessionStateReason.RECONNECTED)


def timed_out(turn: Turn, call: LiveCall) -> None:
    """The lost connection did not come back in time."""
    give_up(turn, call, CallEndReason.CONNECTION_CLOSED)


def give_up(turn: Turn, call: LiveCall, reason: CallEndReason) -> None:
    """The lost connection is given up, and the call with it."""
    turn.emit(ConnectionClosed(call.session_id), call)
    turn.session_state(call, SessionStateReason.RECONNECT_FAILED)
    ending.break_off(turn, call, reason)
