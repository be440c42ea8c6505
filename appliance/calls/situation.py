"""What the device is about, of all that its state says: one word for LEDs, gong and screen."""

from __future__ import annotations

from appliance.calls.call import LiveCall
from appliance.calls.faults import exceptions
from appliance.calls.inputs import LinkState
from appliance.calls.state import State
from appliance.model import CallState, Situation

_OF_CALL = {
    CallState.INCOMING: Situation.RINGING_IN,
    CallState.OUTGOING: Situation.RINGING_OUT,
    CallState.CONNECTING: Situation.CONNECTING,
    CallState.RECONNECTING: Situation.RECONNECTING,
}


FAULTS = {
    "camera": 2,
    "microphone": 3,
    "speaker": 4,
    "pin_unavailable": 5,
    "gpio_unavailable": 5,
    "relay_failed": 5,
    "privacy_led_failed": 5,
    "stuck_button": 6,
    "left_open": 7,
    "tamper": 8,
}
"""How often an LED blinks for what is wrong: a device that fails, or the code of a panel's fault."""
BROKER_AWAY = 1
UNKNOWN = 9


def fault_counts(state: State) -> tuple[int, ...]:
    """Of everything that is wrong now the number by which an LED tells of it, in rising order."""
    parts = (
        "speaker" if where.startswith("audio.") else code for where, code in state.faults.items()
    )
    kinds = {FAULTS.get(one, UNKNOWN) for one in (*exceptions(state), *parts)}
    if state.link is not LinkState.CONNECTED:
        kinds.add(BROKER_AWAY)
    return tuple(sorted(kinds))


def situation(state: State) -> Situation:
    """The first situation of the list in the vocabulary that holds."""
    if state.calls:
        of_calls = [_of_call(state, call) for call in state.calls]
        order = list(Situation)
        # one that is held only shows while there is no other
        shown = [one for one in of_calls if one is not Situation.ON_HOLD] or of_calls
        return min(shown, key=order.index)
    if state.closing is not None:
        return state.closing.situation
    if state.failures or state.pressure or state.faults:
        return Situation.ERROR
    if state.link is not LinkState.CONNECTED:
        return Situation.BROKER_AWAY
    if state.missed:
        return Situation.MISSED_CALL
    return Situation.IDLE


def _of_call(state: State, call: LiveCall) -> Situation:
    if call.state in _OF_CALL:
        return _OF_CALL[call.state]
    if call.on_hold or any(member.participant.on_hold for member in call.members):
        return Situation.ON_HOLD
    if state.recording is not None and state.recording.path is not None:
        return Situation.RECORDING
    return Situation.MUTED if state.audio_muted else Situation.IN_CALL
