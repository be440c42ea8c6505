"""Every (state, happening) pair has a verdict, and the drawing in the documentation is drawn from it."""

from __future__ import annotations

from pathlib import Path

from appliance.calls import inputs as inputs_module
from appliance.calls.drawing import drawing, mended
from appliance.calls.machine import _RULES
from appliance.calls.table import HAPPENINGS, TABLE, Go, Ignore, Refuse
from appliance.commands import COMMANDS
from appliance.model import CallState

DOCS = Path(__file__).parents[2] / "docs" / "calls.md"


def test_every_pair_has_a_verdict_and_no_other_pair_stands_there() -> None:
    assert set(TABLE) == {(state, what) for state in CallState for what in HAPPENINGS}


def test_every_input_has_its_rule() -> None:
    inputs = {
        kind
        for kind in vars(inputs_module).values()
        if isinstance(kind, type) and issubclass(kind, inputs_module.Input)
    }
    assert set(_RULES) == inputs - {inputs_module.Input}


def test_whoever_is_told_no_is_told_why() -> None:
    for verdict in TABLE.values():
        match verdict:
            case Go(_, to):
                assert to
            case Ignore(reason):
                assert reason
            case Refuse(code, message):
                assert code.isidentifier()
                assert " " in message


def test_nothing_brings_a_call_back_from_its_end() -> None:
    for (state, what), verdict in TABLE.items():
        if state is CallState.ENDED and isinstance(verdict, Go) and what not in COMMANDS:
            assert verdict.to == {CallState.ENDED}, what


def test_every_live_state_has_a_way_to_the_end_from_both_sides_and_by_time() -> None:
    live = set(CallState) - {CallState.IDLE, CallState.ENDED}
    for state in live:
        ways = {
            what
            for (one, what), verdict in TABLE.items()
            if one is state and isinstance(verdict, Go) and CallState.ENDED in verdict.to
        }
        # in a running call whoever has a say in it is asked before
        assert ways & {"end_call", "hang up answered"}, state
        assert ways & {"<end>", "<cancel>", "<reject>"}, state
        assert ways & {
            "ring timed out",
            "setup timed out",
            "reconnect timed out",
            "peer failed",
        }, state


def test_the_drawing_in_the_documentation_is_that_of_the_table() -> None:
    text = DOCS.read_text()
    assert mended(text) == text, "run: python -m appliance.calls.drawing docs/calls.md"
    assert "stateDiagram-v2" in drawing()
