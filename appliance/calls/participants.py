"""The others in a session: what they tell of themselves, say, ask for, and when they leave."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from appliance import messages
from appliance.calls import (
    ending,
    holding,
    moderating,
    outage,
    recordings,
    relays,
    renegotiating,
    requests,
    roster,
    switching,
)
from appliance.calls.call import LiveCall, Member
from appliance.calls.inputs import SpeakerChanged
from appliance.calls.roster import sender_of
from appliance.calls.turn import Turn
from appliance.errors import Refused
from appliance.events import (
    ChatMessage,
    Custom,
    DominantSpeakerChanged,
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
    CallEndReason,
    DeviceException,
    ParticipantLeftReason,
    RequestAction,
    Right,
)

DIGITS_KEPT = 16
"""Of what a participant pressed: as many as a code may have."""

ENDS = {
    "hang_up": CallEndReason.REMOTE_HANG_UP,
    "idle": CallEndReason.IDLE,
    "failed": CallEndReason.FAILED,
}


# -------------------- what they tell of themselves


def told_state(turn: Turn, call: LiveCall, sender: Address, message: messages.State) -> None:
    """A participant's own state changed: one event for each thing that did."""
    changes = message.changes
    flags = {name: value for name, value in changes.items() if isinstance(value, bool)}
    _apply(turn, call, sender_of(call, sender), flags)
    member = sender_of(turn.now_of(call), sender)
    for name, kind in (
        ("camera_exception", RemoteCameraException),
        ("microphone_exception", RemoteMicrophoneException),
    ):
        if name in changes:
            type_ = changes[name]
            assert not isinstance(type_, bool)
            turn.emit(kind(member.participant, type_, _exception_message(type_)), call)


def follow_list(turn: Turn, call: LiveCall) -> None:
    """What the host's list says of the others' state, for who missed a `state` of theirs."""
    for listed in call.listed:
        address = Address(listed.uid, listed.endpoint)
        said = {name: getattr(listed, name) for name in FLAGS}
        member = turn.now_of(call).member(address)
        if member is not None:
            _apply(turn, turn.now_of(call), member, said)


def correct(turn: Turn, call: LiveCall) -> None:
    """Where the host's list says of this device what is not so, the host has missed a `state`."""
    myself = turn.myself(call)
    for listed in call.listed:
        if Address(listed.uid, listed.endpoint) == turn.policy.address and call.joined:
            wrong = [name for name in FLAGS if getattr(listed, name) is not getattr(myself, name)]
            if wrong:
                changes = {name: getattr(myself, name) for name in wrong}
                turn.send(call.host, call, messages.State(changes))


FLAGS = (
    "audio_muted",
    "video_paused",
    "hand_raised",
    "screen_sharing",
    "recording",
    "on_hold",
)


def _apply(turn: Turn, call: LiveCall, member: Member, flags: Mapping[str, bool]) -> bool:
    """Take over what differs from what was known; whether anything did."""
    before = member.participant
    flags = {name: on for name, on in flags.items() if getattr(before, name) is not on}
    if not flags:
        return False
    member = replace(member, participant=replace(before, **flags))
    call = turn.put_member(call, member)
    if not member.joined:  # of whom is told when its media is there
        return True
    for name in flags:
        event = _state_event(call, name, member)
        if event is not None:
            turn.emit(event, call)
    if "on_hold" in flags:
        holding.held_there(turn, call, member)
    if "audio_muted" in flags:
        rest = {who: by for who, by in call.muted_by.items() if who != member.address}
        turn.put(call, muted_by=rest)
    roster.changed(turn, call)
    return True


def _state_event(call: LiveCall, name: str, member: Member) -> Event | None:
    participant = member.participant
    on = getattr(participant, name)
    match name:
        case "audio_muted":
            if on:
                by = call.muted_by.get(member.address, participant.uid)
                return ParticipantAudioMuted(participant, by)
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


def speaks(turn: Turn, call: LiveCall, report: SpeakerChanged) -> None:
    """Another participant than before is the loudest."""
    member = call.member_of(report.peer)
    if member is not None and member.joined:
        turn.put(call, speaker=member.peer)
        turn.emit(DominantSpeakerChanged(member.participant), call)


# -------------------- what they say


def chatted(turn: Turn, call: LiveCall, sender: Address, message: messages.Chat) -> None:
    """A participant sent a text."""
    turn.emit(ChatMessage(sender_of(call, sender).participant, message.text), call)


def pressed_digits(turn: Turn, call: LiveCall, sender: Address, message: messages.Dtmf) -> None:
    """A participant pressed keypad keys; the right ones open the door for who may."""
    turn.emit(Dtmf(message.digits, sender_of(call, sender).participant), call)
    digits = (call.digits.get(sender, "") + message.digits)[-DIGITS_KEPT:]
    meant = [code for code in turn.policy.relay_digits if digits.endswith(code)]
    turn.put(call, digits={**call.digits, sender: "" if meant else digits})
    for code in meant:
        if turn.policy.may(sender.uid, Right.UNLOCK):
            relays.pulse_for(turn, call, sender, turn.policy.relay_digits[code])
        else:
            message_ = f"{sender.uid} has no right to open the door"
            turn.error("not_allowed", message_, sender.uid, call.call_id)


def sent_custom(turn: Turn, call: LiveCall, sender: Address, message: messages.Custom) -> None:
    """A participant's program sent something of its own."""
    sender_of(call, sender)
    turn.emit(Custom(message.name, message.body), call)


# -------------------- what they ask for


def requested(turn: Turn, call: LiveCall, sender: Address, message: Request) -> None:
    """A participant asks for something: with the right it is done, else answered with a no."""
    if turn.hosts(call) and sender in call.gone and not roster.is_in(call, sender):
        turn.send(sender, turn.envelope or call.call_id, End("failed"))
        return
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
        case RequestAction.SWITCH_TO_VIDEO:
            switching.asked(turn, call, sender, message)
        case RequestAction.RENEGOTIATE:
            renegotiating.asked(turn, call, sender, message)
        case RequestAction.MUTE | RequestAction.UNMUTE:
            moderating.asked_to_mute(turn, call, sender, message)
        case RequestAction.KICK:
            moderating.asked_to_kick(turn, call, sender, message)
        case RequestAction.INVITE:
            moderating.asked_to_invite(turn, call, sender, message)
        case RequestAction.START_RECORDING | RequestAction.STOP_RECORDING:
            _record(turn, call, sender, message)


def _record(turn: Turn, call: LiveCall, sender: Address, message: Request) -> None:
    if not turn.policy.may(sender.uid, Right.MODERATE):
        raise Refused("not_allowed", f"{sender.uid} has no right to have the call recorded")
    if message.action is RequestAction.START_RECORDING:
        recordings.start(turn, call, asked=(sender, message.request_id))
        return
    recordings.stop(turn, call)
    turn.send(sender, call, Response(message.request_id, accepted=True))


def responded(turn: Turn, call: LiveCall, sender: Address, message: Response) -> None:
    """Whoever was asked has answered."""
    asked = requests.settle(turn, call, sender, message)
    if asked.action is RequestAction.SWITCH_TO_VIDEO:
        switching.answered(turn, turn.now_of(call), sender, accepted=message.accepted)


def unanswered(turn: Turn, call: LiveCall, request_id: str) -> None:
    """Whoever was asked has not answered in time; it may be who is at this device."""
    asked = requests.expire(turn, call, request_id)
    if asked is None:
        switching.not_decided(turn, call)
    elif asked.action is RequestAction.SWITCH_TO_VIDEO:
        switching.answered(turn, turn.now_of(call), asked.of, accepted=False)
    elif asked.action is RequestAction.PARTICIPANTS and call.member(asked.of) is None:
        outage.give_up(turn, call, CallEndReason.CONNECTION_CLOSED)  # the host is gone


# -------------------- they leave


def ended(turn: Turn, call: LiveCall, sender: Address, message: End) -> None:
    """A participant leaves, or the host ends the session for all."""
    if message.reason == "kicked_out":
        _kicked(turn, call, sender, message)
        return
    member = call.member(sender)
    if _is_host(turn, call, sender):
        ending.end(turn, call, ENDS[message.reason])
        return
    if member is None and any(one.address == sender for one in call.admitted):
        roster.let_go(turn, call, sender)
        return
    if member is None and sender in call.gone:
        return
    call = roster.drop(turn, call, sender_of(call, sender), _left_reason(message))
    roster.go_on_without(turn, call, ENDS[message.reason])


def _kicked(turn: Turn, call: LiveCall, sender: Address, message: End) -> None:
    if not _is_host(turn, call, sender):
        raise Refused("not_the_host", f"{sender.uid} is not the host and puts nobody out")
    ending.end(turn, call, CallEndReason.KICKED_OUT, message.kicked_by)


def _is_host(turn: Turn, call: LiveCall, sender: Address) -> bool:
    spoke = call.host.endpoint is not None
    return not turn.hosts(call) and (sender == call.host if spoke else sender.uid == call.host.uid)


def _left_reason(message: End) -> ParticipantLeftReason:
    if message.reason == "failed":
        return ParticipantLeftReason.CONNECTION_LOST
    return ParticipantLeftReason.LEFT
