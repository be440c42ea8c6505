"""The others in a session: what they tell of themselves, say, ask for, and when they leave."""

from __future__ import annotations

from msgspec.structs import replace

from appliance import messages
from appliance.calls import ending, relays, roster
from appliance.calls.roster import sender_of
from appliance.calls.state import LiveCall
from appliance.calls.turn import Turn
from appliance.errors import Refused
from appliance.events import (
    ChatMessage,
    Custom,
    Dtmf,
    Event,
    ParticipantAudioMuted,
    ParticipantAudioUnmuted,
    ParticipantHandLowered,
    ParticipantHandRaised,
    ParticipantStartedRecording,
    ParticipantStartedScreenShare,
    ParticipantStoppedRecording,
    ParticipantStoppedScreenShare,
    ParticipantVideoPaused,
    ParticipantVideoResumed,
    RemoteCameraException,
    RemoteMicrophoneException,
)
from appliance.messages import Address, End, Request, Response
from appliance.model import (
    CallDirection,
    CallEndReason,
    DeviceException,
    Participant,
    ParticipantLeftReason,
    RequestAction,
    Right,
)

ENDS = {
    "hang_up": CallEndReason.REMOTE_HANG_UP,
    "idle": CallEndReason.IDLE,
    "failed": CallEndReason.FAILED,
}


# -------------------- what they tell of themselves


def told_state(turn: Turn, call: LiveCall, sender: Address, message: messages.State) -> None:
    """A participant's own state changed: one event for each thing that did."""
    member = sender_of(call, sender)
    before = member.participant
    changes = message.changes
    flags = {
        name: value
        for name, value in changes.items()
        if isinstance(value, bool) and getattr(before, name, value) is not value
    }
    after = replace(before, **flags)
    call = turn.put_member(call, replace(member, participant=after))
    for name in flags:
        event = _state_event(name, after)
        if event is not None:
            turn.emit(event, call)
    if flags:
        roster.changed(turn, call)
    for name, kind in (
        ("camera_exception", RemoteCameraException),
        ("microphone_exception", RemoteMicrophoneException),
    ):
        if name in changes:
            type_ = changes[name]
            assert not isinstance(type_, bool)
            turn.emit(kind(after, type_, _exception_message(type_)), call)


def _state_event(name: str, participant: Participant) -> Event | None:
    on = getattr(participant, name)
    match name:
        case "audio_muted":
            if on:
                return ParticipantAudioMuted(participant, participant.uid)
            return ParticipantAudioUnmuted(participant)
        case "video_paused":
            return (ParticipantVideoPaused if on else ParticipantVideoResumed)(participant)
        case "hand_raised":
            return (ParticipantHandRaised if on else ParticipantHandLowered)(participant)
        case "screen_sharing":
            shared = ParticipantStartedScreenShare if on else ParticipantStoppedScreenShare
            return shared(participant)
        case "recording":
            recorded = ParticipantStartedRecording if on else ParticipantStoppedRecording
            return recorded(participant)
    return None


def _exception_message(type_: DeviceException | None) -> str | None:
    return None if type_ is None else str(type_).replace("_", " ")


# -------------------- what they say


def chatted(turn: Turn, call: LiveCall, sender: Address, message: messages.Chat) -> None:
    """A participant sent a text."""
    turn.emit(ChatMessage(sender_of(call, sender).participant, message.text), call)


def pressed_digits(turn: Turn, call: LiveCall, sender: Address, message: messages.Dtmf) -> None:
    """A participant pressed keypad keys."""
    turn.emit(Dtmf(message.digits, sender_of(call, sender).participant), call)


def sent_custom(turn: Turn, call: LiveCall, sender: Address, message: messages.Custom) -> None:
    """A participant's program sent something of its own."""
    sender_of(call, sender)
    turn.emit(Custom(message.name, message.body), call)


# -------------------- what they ask for


def requested(turn: Turn, call: LiveCall, sender: Address, message: Request) -> None:
    """A participant asks for something: with the right it is done, else answered with a no."""
    sender_of(call, sender)
    try:
        _grant(turn, call, sender, message)
    except Refused as refusal:
        answer = Response(message.request_id, accepted=False, error=str(refusal))
        turn.send(sender, call, answer)
        turn.error(refusal.code, str(refusal), sender.uid, call.call_id)


def _grant(turn: Turn, call: LiveCall, sender: Address, message: Request) -> None:
    match message.action:
        case RequestAction.UNLOCK:
            if not turn.policy.may(sender.uid, Right.UNLOCK):
                raise Refused("not_allowed", f"{sender.uid} has no right to open the door")
            relays.unlock_for(turn, call, sender, message)
        case RequestAction.PARTICIPANTS:
            roster.send_list(turn, call)
            turn.send(sender, call, Response(message.request_id, accepted=True))
        case _:
            raise Refused("unsupported", f"this device does not {message.action} on request")


# -------------------- they leave


def ended(turn: Turn, call: LiveCall, sender: Address, message: End) -> None:
    """A participant leaves; with the last other one gone the call is over."""
    member = sender_of(call, sender)
    if message.reason == "kicked_out":
        if call.direction is CallDirection.OUTGOING:
            raise Refused("not_the_host", f"{sender.uid} cannot put its host out")
        ending.end(turn, call, CallEndReason.KICKED_OUT, message.kicked_by)
        return
    call = roster.drop(turn, call, member, _left_reason(message))
    if call.members:
        roster.start_list(turn, call)
    else:
        ending.end(turn, call, ENDS[message.reason])


def _left_reason(message: End) -> ParticipantLeftReason:
    if message.reason == "failed":
        return ParticipantLeftReason.CONNECTION_LOST
    return ParticipantLeftReason.LEFT
