"""Turning an audio call into a video call: asked for, agreed to, and then negotiated."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls import devices, renegotiating, requests
from appliance.calls.call import LiveCall, SwitchRequest
from appliance.calls.effects import StartTimer, StopTimer
from appliance.calls.later import Later
from appliance.calls.turn import Turn
from appliance.commands import AnswerRequest, SwitchToVideoCall
from appliance.errors import Refused
from appliance.events import CallSwitchedToVideo, SwitchToVideoRequested
from appliance.messages import Address, Request, Response
from appliance.model import CallType, RequestAction


def ask(turn: Turn, call: LiveCall, command: SwitchToVideoCall) -> Later:
    """Ask the other side for video; answered when it has answered."""
    _check(turn, call)
    if call.switch is not None:
        raise Refused("asked", "this was asked for already, and waits for an answer")
    to = _whom(call)
    call = turn.put(call, switch=SwitchRequest("", turn.policy.uid))
    return requests.ask(
        turn,
        call,
        to,
        RequestAction.SWITCH_TO_VIDEO,
        request=turn.request,
        answer_s=requests.PERSON_S,
    )


def _whom(call: LiveCall) -> Address:
    """The host decides for a session of several; as the host, this device asks who came first."""
    joined = [member.address for member in call.members if member.joined]
    if not joined:
        raise Refused("alone", "nobody else is in the call")
    return call.host if call.host in joined else joined[0]


def _check(turn: Turn, call: LiveCall) -> None:
    if call.type is CallType.VIDEO:
        raise Refused("is_video", "this is a video call already")
    if not turn.policy.films:
        raise Refused("no_camera", "this device has no camera for calls")


def answered(turn: Turn, call: LiveCall, sender: Address, *, accepted: bool) -> None:
    """The other side has agreed, or not."""
    if call.switch is None or call.switch.accepted_by is not None:
        return  # the other side asked for it meanwhile, which was an answer as well
    if accepted:
        _agree(turn, turn.put(call, switch=replace(call.switch, accepted_by=sender.uid)))
    else:
        turn.put(call, switch=None)


def asked(turn: Turn, call: LiveCall, sender: Address, message: Request) -> None:
    """A participant wants video: agreed to at once, or asked for at this device."""
    _check(turn, call)
    if call.switch is not None and call.switch.asker is not None:
        raise Refused("asked", "somebody has asked for this already")
    both_want_it = call.switch is not None
    request = SwitchRequest(message.request_id, sender.uid, sender)
    call = turn.put(call, switch=request)
    if both_want_it or call.settings.accept_video != "ask":
        _consent(turn, call, request)
        return
    turn.emit(SwitchToVideoRequested(sender.uid, message.request_id), call)
    turn.do(StartTimer(requests.timer(message.request_id), requests.PERSON_S))


def not_decided(turn: Turn, call: LiveCall) -> None:
    """Nobody at this device said yes or no in time."""
    if call.switch is not None and call.switch.asker is not None:
        _refuse(turn, call, call.switch, "nobody answered")


def decide(turn: Turn, call: LiveCall, command: AnswerRequest) -> None:
    """Somebody at this device says yes or no."""
    request = call.switch
    waits = request is not None and request.asker is not None and request.accepted_by is None
    named = command.request_id
    if request is None or not waits or named not in (None, request.request_id):
        which = "" if named is None else f" {named}"
        raise Refused("unknown_request", f"no request{which} waits for an answer")
    turn.do(StopTimer(requests.timer(request.request_id)))
    if command.accepted:
        _consent(turn, call, request)
    else:
        _refuse(turn, call, request, f"{turn.policy.name} said no")


def _refuse(turn: Turn, call: LiveCall, request: SwitchRequest, why: str) -> None:
    assert request.asker is not None
    turn.send(request.asker, call, Response(request.request_id, accepted=False, error=why))
    turn.put(call, switch=None)


def _consent(turn: Turn, call: LiveCall, request: SwitchRequest) -> None:
    assert request.asker is not None
    turn.send(request.asker, call, Response(request.request_id, accepted=True))
    _agree(turn, turn.put(call, switch=replace(request, accepted_by=turn.policy.uid)))


def _agree(turn: Turn, call: LiveCall) -> None:
    """Both want it: from now on it is a video call, and whoever offers in each pair offers anew."""
    call = turn.put(call, type=CallType.VIDEO)
    devices.adjust(turn, call)
    renegotiating.for_video(turn, call)


def agreed(turn: Turn, call: LiveCall) -> None:
    """A connection carries video now: the first time the call is told to be one."""
    request = call.switch
    if request is not None and request.accepted_by is not None:
        turn.put(call, switch=None)
        turn.emit(CallSwitchedToVideo(request.requested_by, request.accepted_by), call)
