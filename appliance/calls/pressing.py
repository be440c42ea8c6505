"""How often buttons may be pressed: a flood is passed over, told once, and counted.

Law: of one button at most `max_presses` within `WINDOW_S` are taken, and four times as many of all
together; and of calls that presses begin, at most `MAX_RINGS`. What is pressed more often is passed over
until it was left alone for `CALM_S`.
"""

from __future__ import annotations

from appliance.calls.effects import StartTimer
from appliance.calls.inputs import Timer
from appliance.calls.turn import Turn

WINDOW_S = 10.0
CALM_S = 10.0
"""For so long nobody may press what was passed over, until it is taken again."""
ALL = "*"
"""All buttons together; no button has that name."""
MAX_RINGS = 5
RINGS = "*rings"
ALL_TIMES = 4
"""How many times as many presses of all buttons are taken as of one."""


def taken(turn: Turn, button: str) -> bool:
    """Count a press (or the lifting of a handset), and say whether it is to do anything."""
    if not turn.policy.max_presses:
        return True
    for key, limit in ((button, 1), (ALL, ALL_TIMES)):
        if key in turn.state.passed_over:
            _pass_over(turn, key)
            return False
        if _count(turn, key) > limit * turn.policy.max_presses:
            _tell(turn, key)
            _pass_over(turn, key)
            return False
    return True


def may_ring(turn: Turn, button: str) -> bool:
    """Count a call that a press is about to begin, and say whether it is to."""
    if not turn.policy.max_presses or _count(turn, RINGS) <= MAX_RINGS:
        return True
    _tell(turn, button)
    _pass_over(turn, button)
    return False


def is_passed_over(turn: Turn, button: str) -> bool:
    """Whether what the button is told to do now is not done."""
    return button in turn.state.passed_over or ALL in turn.state.passed_over


def calm(turn: Turn, key: str) -> None:
    """Nobody has pressed it for long enough."""
    passed_over = dict(turn.state.passed_over)
    passed_over.pop(key, None)
    presses = {**turn.state.presses}
    presses.pop(key, None)
    turn.set(passed_over=passed_over, presses=presses)


def _count(turn: Turn, key: str) -> int:
    now_s = turn.now.monotonic_s
    recent = tuple(at_s for at_s in turn.state.presses.get(key, ()) if now_s - at_s < WINDOW_S)
    turn.set(presses={**turn.state.presses, key: (*recent, now_s)})
    return len(recent) + 1


def _pass_over(turn: Turn, key: str) -> None:
    count = turn.state.passed_over.get(key, 0) + 1
    turn.set(passed_over={**turn.state.passed_over, key: count})
    turn.do(StartTimer(Timer("calm", key), CALM_S))


def _tell(turn: Turn, key: str) -> None:
    what, where = ("the buttons are", None) if key == ALL else ("it is", f"buttons.{key}")
    sentence = f"{what} pressed too often, and not taken until left alone for {CALM_S:g} s"
    turn.error("too_many_presses", sentence, where)
