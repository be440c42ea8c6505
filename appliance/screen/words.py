"""Every word that stands on the screen, in one place for who translates it."""

from __future__ import annotations

from datetime import datetime

from appliance.model import Call, CalleeState, CallType, Participant, ParticipantState, Situation
from appliance.screen.lettering import legible

YOU = "You"
PARTICIPANTS = "Participants"
DO_NOT_DISTURB = "Do not disturb"
MORE = "+{count}"
MORE_PEOPLE = "and {count} more"
SCREEN_OF = "{name}: screen"

SITUATIONS = {
    Situation.CONNECTING: "Connecting …",
    Situation.RECONNECTING: "Reconnecting …",
    Situation.ON_HOLD: "On hold",
    Situation.RECORDING: "Recording",
    Situation.MUTED: "Microphone off",
    Situation.ERROR: "Something does not work",
    Situation.BROKER_AWAY: "No connection",
}
CALLEES = {
    CalleeState.INVITING: "calling …",
    CalleeState.RINGING: "ringing …",
    CalleeState.ACCEPTED: "answered",
    CalleeState.REJECTED: "declined",
    CalleeState.BUSY: "busy",
    CalleeState.TIMED_OUT: "no answer",
    CalleeState.CANCELLED: "cancelled",
    CalleeState.OFFLINE: "not reachable",
    CalleeState.LEFT: "left",
}
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def time_of_day(now: datetime) -> str:
    """As a clock shows it."""
    return f"{now:%H:%M}"


def day(now: datetime) -> str:
    """The date, whatever language the system speaks,"""
    return f"{DAYS[now.weekday()]}, {now.day} {MONTHS[now.month - 1]}"


def short_day(now: datetime) -> str:
    """And where there is little room."""
    return f"{DAYS[now.weekday()][:3]} {now.day} {MONTHS[now.month - 1][:3]}"


def missed(count: int) -> str:
    """So many calls that nobody took."""
    return "1 missed call" if count == 1 else f"{count} missed calls"


def person(participant: Participant) -> str:
    """A participant's name as it can be shown."""
    return legible(participant.name, participant.uid)


def state_of(participant: Participant) -> str | None:
    """What keeps somebody from being seen and heard."""
    if participant.state is ParticipantState.CONNECTING:
        return SITUATIONS[Situation.CONNECTING]
    if participant.state is ParticipantState.RECONNECTING:
        return SITUATIONS[Situation.RECONNECTING]
    return SITUATIONS[Situation.ON_HOLD] if participant.on_hold else None


def rings_here(call: Call) -> str:
    """Below the name of who calls."""
    return "Incoming video call" if call.type is CallType.VIDEO else "Incoming call"


def rings_there(call: Call) -> str:
    """Below the name of whom this device calls."""
    ringing = any(callee.state is CalleeState.RINGING for callee in call.callees)
    return "Ringing …" if ringing else "Calling …"
