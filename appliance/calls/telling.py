"""What the visitor is told: in sounds, unless nobody is to be disturbed, and in notices all the same."""

from __future__ import annotations

from appliance.calls.call import LiveCall
from appliance.calls.effects import PlaySound, Sound, StartTimer, StopSound, StopTimer
from appliance.calls.inputs import Timer
from appliance.calls.policy import Policy
from appliance.calls.state import State
from appliance.calls.turn import Turn
from appliance.model import CalleeState, CallEndReason, CallState, Notice

NOTICE_S = 6.0
"""How long a notice is seen that tells of a moment and not of what lasts."""
TIMER = Timer("notice")

_OF_AN_END = {
    CallEndReason.TIMED_OUT: Notice.NO_ANSWER,
    CallEndReason.REJECTED: Notice.NOT_NOW,
    CallEndReason.BUSY: Notice.NOT_NOW,
    CallEndReason.FAILED: Notice.NOT_NOW,
}
"""What becomes of a call that never came about, where the visitor does not know it already."""


def let_hear(turn: Turn, sound: Sound) -> None:
    """Play a sound that is for the visitor, unless nobody is to be disturbed."""
    if turn.state.do_not_disturb is None:
        turn.do(PlaySound(sound))


def tell(turn: Turn, notice: Notice) -> None:
    """Tell the visitor, for a while."""
    turn.set(notice=notice)
    turn.do(StartTimer(TIMER, NOTICE_S))
    let_hear(turn, Sound(notice))


def over(turn: Turn) -> None:
    """A notice was seen for long enough."""
    turn.set(notice=None)


def began(turn: Turn) -> None:
    """The visitor calls: what became of the call before does not matter any more."""
    said = turn.state.notice
    if said in (Notice.NO_ANSWER, Notice.NOT_NOW):
        turn.set(notice=None)
        turn.do(StopTimer(TIMER), StopSound(Sound(said)))


def rings(call: LiveCall) -> bool:
    """Whether a call that this device places rings with somebody."""
    return call.state is CallState.OUTGOING and any(
        one.state is CalleeState.RINGING for one in call.invitees
    )


def rang(turn: Turn, call: LiveCall) -> None:
    """The first phone of a call rings; `call` is how it was before."""
    if not rings(call) and rings(turn.now_of(call)):
        let_hear(turn, Sound.IT_IS_RINGING)


def rings_no_more(turn: Turn, call: LiveCall) -> None:
    """A call is answered, or over; `call` is how it was before."""
    legs = (leg for invitee in call.invitees for leg in invitee.legs)
    if call.state is CallState.OUTGOING and any(leg.state is CalleeState.RINGING for leg in legs):
        turn.do(StopSound(Sound.IT_IS_RINGING))


def ended(turn: Turn, call: LiveCall, reason: CallEndReason) -> None:
    """A call that this device placed is over."""
    notice = _OF_AN_END.get(reason)
    if notice is not None and not call.joined:
        tell(turn, notice)


def notice_of(policy: Policy, state: State) -> Notice | None:
    """What the visitor is told at this moment: what can be done first, then what has come to an end."""
    if any(state.relays.get(relay) for relay in policy.relays):
        return Notice.DOOR_OPEN
    if state.notice is not None:
        return state.notice
    return Notice.IT_IS_RINGING if any(rings(call) for call in state.calls) else None
