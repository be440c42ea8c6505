"""Direct sessions: entered by a token, without ringing."""

from __future__ import annotations

from typing import Any, get_type_hints

import msgspec
from msgspec.structs import replace

from appliance.calls import devices, roster, tokens, trusting
from appliance.calls.call import LiveCall
from appliance.calls.effects import StartTimer
from appliance.calls.inputs import Timer
from appliance.calls.tokens import Token
from appliance.calls.turn import Turn
from appliance.commands import StartSession
from appliance.errors import Refused, did_you_mean
from appliance.events import SessionJoined
from appliance.messages import Address, Join
from appliance.model import (
    CallDirection,
    Caller,
    CallSettings,
    CallState,
    CallType,
    Json,
    Receiver,
    ReceiverType,
    SessionStateReason,
)

OF_THE_DEVICE = ("quiet_hours", "enabled_controls")
"""What is no one session's own: when it rings at all, and what its pages have to press."""

ADMISSION_S = 10.0
"""How long a host may take to let this device in."""


def start(turn: Turn, command: StartSession) -> Json:
    """Enter a session: an own one is opened, to that of another host this device asks to be let in."""
    token = tokens.read(command.token)
    settings = _settings(turn, command.settings)
    if token.uid != turn.policy.uid:
        raise Refused("bad_token", f"this token is for {token.uid}, not for {turn.policy.uid}")
    if token.host == turn.policy.uid:
        tokens.verify(turn, command.token)
    elif token.host not in turn.policy.contacts:
        near = did_you_mean(token.host, turn.policy.contacts)
        raise Refused("unknown_host", f"{token.host}, the host, is no contact of this device{near}")
    call = turn.put(_call(turn, token, settings))
    turn.session_state(call, SessionStateReason.LOGGING_IN)
    devices.open_for(turn, call)
    if turn.hosts(call):
        _open_own(turn, call)
    else:
        _ask_in(turn, call, token)
    return {"call_id": call.call_id, "session_id": call.session_id}


def _call(turn: Turn, token: Token, settings: CallSettings) -> LiveCall:
    policy = turn.policy
    own = token.host == policy.uid
    audio = settings.audio_only or not policy.films
    return LiveCall(
        call_id=token.call_id,
        session_id=token.session_id,
        direction=CallDirection.OUTGOING,
        type=CallType.AUDIO if audio else CallType.VIDEO,
        state=CallState.CONNECTED if own else CallState.CONNECTING,
        caller=Caller(policy.uid, policy.name),
        receiver=Receiver(ReceiverType.USER, token.host, policy.name_of(token.host)),
        started_at=turn.now.utc,
        inviter=policy.address,
        deadline_s=turn.now.monotonic_s,
        first_takes_it=False,
        announced=True,
        answered_at=turn.now.utc,
        answered_s=turn.now.monotonic_s,
        answered_by=policy.uid,
        host=policy.address if own else Address(token.host),
        direct=True,
        settings=settings,
        joined=own,
    )


def _open_own(turn: Turn, call: LiveCall) -> None:
    turn.session_state(call, SessionStateReason.LOGGED_IN)
    turn.emit(SessionJoined(call.session_id, call.call_id), call)
    roster.watch_alone(turn, call)


def _ask_in(turn: Turn, call: LiveCall, token: Token) -> None:
    trusting.follow_host(turn, call)
    turn.send(call.host, call, Join(token=token.text), ttl_s=ADMISSION_S)
    turn.do(StartTimer(Timer("setup", call.call_id), ADMISSION_S))


def _settings(turn: Turn, given: Json) -> CallSettings:
    """The configured settings with what the command has otherwise; raises Refused."""
    if given is None:
        return turn.policy.settings
    if not isinstance(given, dict):
        raise Refused("bad_settings", "settings is to be an object")
    hints = get_type_hints(CallSettings)
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name not in hints:
            near = did_you_mean(name, hints)
            raise Refused("bad_settings", f"there is no setting {name}{near}")
        if name in OF_THE_DEVICE:
            sentence = f"{name} is set for the whole device, in [call] of its configuration"
            raise Refused("bad_settings", sentence)
        try:
            changes[name] = msgspec.convert(value, hints[name], strict=True)
        except msgspec.ValidationError as fault:
            raise Refused("bad_settings", f"{name}: {fault}") from None
    settings = replace(turn.policy.settings, **changes)
    if not 0 < settings.idle_timeout_s < float("inf"):
        raise Refused("bad_settings", "idle_timeout_s is to be above 0")
    if settings.accept_video not in ("auto", "ask"):
        raise Refused("bad_settings", "accept_video is auto or ask")
    if settings.main_video_container.fit not in ("contain", "cover"):
        raise Refused("bad_settings", "main_video_container.fit is contain or cover")
    return settings
