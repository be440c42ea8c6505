"""Opening the door: who asked is answered once the relay says that it is energized."""

from __future__ import annotations

from appliance.calls import telling
from appliance.calls.call import LiveCall
from appliance.calls.effects import PulseRelay, Reply, StartTimer, StopTimer
from appliance.calls.inputs import FaultReported, RelayChanged, Timer
from appliance.calls.later import LATER, Later
from appliance.calls.state import Unlocking
from appliance.calls.turn import Turn
from appliance.commands import Unlock
from appliance.errors import Refused, did_you_mean
from appliance.messages import Address, Request, Response
from appliance.model import Notice

ANSWER_S = 2.0
"""How long a relay may take to say that it is energized."""


def unlock(turn: Turn, command: Unlock) -> Later:
    """A command opens the door; it is answered when the relay is energized."""
    _pulse(turn, Unlocking(command.relay, request=turn.request))
    return LATER


def pulse_for(turn: Turn, call: LiveCall, sender: Address, relay: str) -> None:
    """A participant with the right has pressed the digits that open it."""
    _pulse(turn, Unlocking(relay, asker=sender, call_id=call.call_id))


def unlock_for(turn: Turn, call: LiveCall, sender: Address, message: Request) -> None:
    """A participant with the right opens the door, by default the relay named door."""
    asked = Unlocking(
        message.relay or "door",
        asker=sender,
        call_id=call.call_id,
        request_id=message.request_id,
    )
    _pulse(turn, asked)


def _pulse(turn: Turn, asked: Unlocking) -> None:
    relays = turn.policy.relays
    if asked.relay not in relays:
        hint = did_you_mean(asked.relay, relays)
        raise Refused("unknown_relay", f"no relay is called {asked.relay}{hint}")
    turn.do(PulseRelay(asked.relay))
    if turn.state.relays.get(asked.relay):
        _answer(turn, asked, None)
        return
    turn.set(unlocking=(*turn.state.unlocking, asked))
    turn.do(StartTimer(Timer("unlock", asked.relay), ANSWER_S))


def changed(turn: Turn, report: RelayChanged) -> None:
    """A relay says what it is: who waits for it is told that the door is open."""
    was = turn.state.relays.get(report.relay)
    relays = {**turn.state.relays, report.relay: report.energized}
    turn.set(relays=relays)
    if report.energized:
        turn.do(StopTimer(Timer("unlock", report.relay)))
        _answer_all(turn, report.relay, None)
        if not was and report.relay in turn.policy.relays:
            telling.tell(turn, Notice.DOOR_OPEN)


def failed(turn: Turn, report: FaultReported) -> None:
    """A part of the panel reports a fault, of which an `error` tells: who waits for it waits no longer."""
    kind, _, relay = (report.where or "").partition(".")
    if kind == "relays" and any(one.relay == relay for one in turn.state.unlocking):
        turn.do(StopTimer(Timer("unlock", relay)))
        _answer_all(turn, relay, report.message, report.code)


def silent(turn: Turn, relay: str) -> None:
    """A relay never said that it was energized, nor why not."""
    message = f"the relay {relay} did not switch"
    turn.error("relay_failed", message, relay)
    _answer_all(turn, relay, message, "relay_failed")


def _answer_all(turn: Turn, relay: str, error: str | None, code: str | None = None) -> None:
    waiting = turn.state.unlocking
    turn.set(unlocking=tuple(one for one in waiting if one.relay != relay))
    for asked in waiting:
        if asked.relay == relay:
            _answer(turn, asked, error, code)


def _answer(turn: Turn, asked: Unlocking, error: str | None, code: str | None = None) -> None:
    if asked.request is not None:
        turn.do(Reply(asked.request, code=code, message=error))
    if asked.asker is not None and asked.call_id is not None and asked.request_id is not None:
        answer = Response(asked.request_id, accepted=error is None, error=error)
        turn.send(asked.asker, asked.call_id, answer)
