"""What the device is about, of all that its state says: one word for LEDs, gong and screen."""

from __future__ import annotations

from appliance.calls.inputs import LinkState
from appliance.calls.state import State
from appliance.model import CallState, Situation

_OF_CALL = {
    CallState.INCOMING: Situation.RINGING_IN,
    CallState.OUTGOING: Situation.RINGING_OUT,
    CallState.CONNECTING: Situation.CONNECTING,
    CallState.RECONNECTING: Situation.RECONNECTING,
}


def situation(state: State) -> Situation:
    """The first situation of the list in the vocabulary that holds."""
    call = state.active
    if call is not None:
        quiet = Situation.MUTED if state.audio_muted else Situation.IN_CALL
        return _OF_CALL.get(call.state, quiet)
    if state.failures:
        return Situation.ERROR
    if state.link is not LinkState.CONNECTED:
        return Situation.BROKER_AWAY
    if state.missed:
        return Situation.MISSED_CALL
    return Situation.IDLE
