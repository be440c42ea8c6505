"""What the panel senses besides presses, and what is wrong with it: told once, and kept while it lasts."""

from __future__ import annotations

from appliance.calls import relays
from appliance.calls.effects import PlaySound, Sound, StartTimer, StopTimer
from appliance.calls.inputs import (
    ButtonStuck,
    InputSwitched,
    Timer,
)
from appliance.calls.turn import Turn
from appliance.commands import Unlock
from appliance.errors import Refused
from appliance.events import InputChanged


def switched(turn: Turn, report: InputSwitched) -> None:
    """A contact or sensor changed: tell, and do what its kind is for."""
    turn.set(inputs={**turn.state.inputs, report.input: report.on})
    turn.emit(InputChanged(report.input, report.kind, report.on), turn.state.active)
    match report.kind:
        case "exit" if report.on:
            _open(turn, report.input)
        case "door_contact":
            _door(turn, report)
        case "tamper" if report.on:
            # kept when the case is closed again: who opened it would close it
            _begin(turn, f"inputs.{report.input}", "tamper", f"{report.input}: the case is open")


def _open(turn: Turn, input_: str) -> None:
    """Somebody inside wants to get out."""
    relay = turn.policy.exits.get(input_)
    if relay is None:
        return
    try:
        relays.unlock(turn, Unlock(relay=relay))
    except Refused as refusal:
        turn.error(refusal.code, str(refusal), f"inputs.{input_}")


def _door(turn: Turn, report: InputSwitched) -> None:
    limit_s = turn.policy.left_open_s.get(report.input)
    timer = Timer("left_open", report.input)
    if report.on and limit_s is not None:
        turn.do(StartTimer(timer, limit_s))
    elif not report.on:
        turn.do(StopTimer(timer))
        _end(turn, f"inputs.{report.input}")


def left_open(turn: Turn, input_: str) -> None:
    """The door has been open for too long: say so once, at the door too, and whoever is disturbed by it."""
    if not turn.state.inputs.get(input_):
        return
    limit_s = turn.policy.left_open_s.get(input_, 0)
    sentence = f"the door has been open for {limit_s:g} s"
    _begin(turn, f"inputs.{input_}", "left_open", sentence)
    turn.do(PlaySound(Sound.ALARM))


def stuck(turn: Turn, report: ButtonStuck) -> None:
    """A button is pressed by no finger, or was let go at last; it has done what it does long ago."""
    where = f"buttons.{report.button}"
    if report.stuck:
        _begin(turn, where, "stuck_button", f"the button {report.button} is stuck")
    else:
        _end(turn, where)


def _begin(turn: Turn, where: str, code: str, sentence: str) -> None:
    if turn.state.faults.get(where) != code:
        turn.set(faults={**turn.state.faults, where: code})
        turn.error(code, sentence, where)


def _end(turn: Turn, where: str) -> None:
    if where in turn.state.faults:
        turn.set(faults={key: code for key, code in turn.state.faults.items() if key != where})
