"""Requests between participants: those that this device sends, and what becomes of the answers."""

from __future__ import annotations

from appliance.calls.call import Asked, LiveCall
from appliance.calls.effects import Reply, StartTimer, StopTimer
from appliance.calls.inputs import Timer
from appliance.calls.later import LATER, Later
from appliance.calls.turn import Turn
from appliance.errors import Refused
from appliance.messages import Address, Request, Response
from appliance.model import RequestAction

ANSWER_S = 10.0
"""How long a program may take to answer; a person has `PERSON_S` for a yes or no."""
PERSON_S = 60.0
ASKED_MAX = 16


def ask(
    turn: Turn,
    call: LiveCall,
    to: Address,
    action: RequestAction,
    *,
    uid: str | None = None,
    receiver: str | None = None,
    reason: str | None = None,
    request: int | None = None,
    answer_s: float = ANSWER_S,
) -> Later:
    """Send a request; the command that waits for it (`request`) is answered with its response."""
    call = turn.now_of(call)
    if len(call.asked) >= ASKED_MAX and action is not RequestAction.RENEGOTIATE:
        raise Refused("too_many_requests", "too many requests wait for an answer")
    request_id = f"{turn.now.fresh[:24]}{len(call.asked):x}"
    turn.put(call, asked=(*call.asked, Asked(request_id, action, to, request)))
    body = Request(request_id, action, uid=uid, receiver=receiver, reason=reason)
    turn.send(to, call, body)
    turn.do(StartTimer(timer(request_id), answer_s))
    return LATER


def settle(turn: Turn, call: LiveCall, sender: Address, message: Response) -> Asked:
    """A response came: only whoever was asked may give it, and only once."""
    asked = next((one for one in call.asked if one.request_id == message.request_id), None)
    if asked is None or asked.of.uid != sender.uid:
        raise Refused("unexpected_response", f"{sender.uid} was not asked for anything")
    _forget(turn, call, asked)
    turn.do(StopTimer(timer(asked.request_id)))
    error = None if message.accepted else message.error or f"{sender.uid} said no"
    _reply(turn, asked, error)
    return asked


def expire(turn: Turn, call: LiveCall, request_id: str) -> Asked | None:
    """Nobody answered in time."""
    asked = next((one for one in call.asked if one.request_id == request_id), None)
    if asked is not None:
        _forget(turn, call, asked)
        _reply(turn, asked, f"{asked.of.uid} did not answer")
    return asked


def give_up(turn: Turn, call: LiveCall) -> None:
    """The call is over: who waits for an answer is told."""
    for asked in call.asked:
        turn.do(StopTimer(timer(asked.request_id)))
        _reply(turn, asked, "the call is over")
    if call.switch is not None and call.switch.asker is not None:
        turn.do(StopTimer(timer(call.switch.request_id)))


def left(turn: Turn, call: LiveCall, address: Address) -> None:
    """Who was asked, or has asked, is gone."""
    call = turn.now_of(call)
    for asked in call.asked:
        if asked.of == address:
            _forget(turn, call, asked)
            turn.do(StopTimer(timer(asked.request_id)))
            _reply(turn, asked, f"{address.uid} has left")
    switch = call.switch
    own = any(
        one.of == address and one.action is RequestAction.SWITCH_TO_VIDEO for one in call.asked
    )
    if switch is None or switch.accepted_by is not None:
        return
    if switch.asker == address:
        turn.do(StopTimer(timer(switch.request_id)))
    if own or switch.asker == address:
        turn.put(call, switch=None)


def _forget(turn: Turn, call: LiveCall, asked: Asked) -> None:
    waiting = turn.now_of(call).asked
    turn.put(call, asked=tuple(one for one in waiting if one is not asked))


def _reply(turn: Turn, asked: Asked, error: str | None) -> None:
    if asked.request is not None:
        code = None if error is None else "refused"
        turn.do(Reply(asked.request, code=code, message=error))


def timer(request_id: str) -> Timer:
    """That of a request which waits for an answer, whichever call it is about by now."""
    return Timer("request", request_id)


def waiting_in(turn: Turn, request_id: str) -> LiveCall | None:
    """The call in which that request waits for its answer: this device's own, or somebody's."""
    for call in turn.state.calls:
        asked = any(one.request_id == request_id for one in call.asked)
        if asked or (call.switch is not None and call.switch.request_id == request_id):
            return call
    return None
