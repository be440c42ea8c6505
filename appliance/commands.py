"""The commands of the vocabulary: what somebody asks of this device, in the imperative.

Each works from a button, the local socket, the command line, MQTT and Python; what a command needs
and when it is refused is decided in `calls/`. A command's name is its class in snake case.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Any, ClassVar, TypeVar, get_args, get_type_hints

from msgspec import Struct, structs

from appliance.errors import did_you_mean
from appliance.model import (
    AudioMode,
    CallType,
    Json,
    Layout,
    ReceiverType,
)


class Command(Struct, frozen=True):
    """Something that this device is asked to do."""

    NAME: ClassVar[str]
    SEEDS: ClassVar[tuple[str, ...]]
    RESULT: ClassVar[tuple[str, ...]] = ()
    """The keys of the object that it is answered with; without any the answer is null."""

    @classmethod
    def arguments(cls) -> tuple[str, ...]:
        """The names of the command's arguments, in order."""
        return cls.__struct_fields__


COMMANDS: dict[str, type[Command]] = {}
"""Every command by its name."""

_hints, _fields = cache(get_type_hints), cache(structs.fields)

C = TypeVar("C", bound=Command)


def _command(*seeds: str) -> Callable[[type[C]], type[C]]:
    """Name the command after its class, and enter it in `COMMANDS`."""

    def declare(cls: type[C]) -> type[C]:
        cls.NAME = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        cls.SEEDS = seeds
        COMMANDS[cls.NAME] = cls
        return cls

    return declare


# -------------------- calls


@_command("ringing:initiateCall", "callkit:startCall")
class InitiateCall(Command, frozen=True, kw_only=True):
    """Call a user or a group; without a receiver, the configured one."""

    RESULT = ("call_id", "session_id")

    receiver: str | None = None
    receiver_type: ReceiverType = ReceiverType.USER
    type: CallType | None = None
    timeout_s: float | None = None
    custom_data: Json = None


@_command("ringing:acceptCall")
class AcceptCall(Command, frozen=True, kw_only=True):
    """Answer the call that rings here; without an id, the one that does."""

    call_id: str | None = None


@_command(
    "ringing:rejectCall",
    "ringing:CALL_STATUS_REJECTED",
    "ringing:CALL_STATUS_BUSY",
    "ringing:CALL_STATUS_CANCELLED",
)
class RejectCall(Command, frozen=True, kw_only=True):
    """Do not take an incoming call (rejected, busy), or take an own one back (cancelled)."""

    call_id: str | None = None
    reason: str = "rejected"
    custom_data: Json = None


@_command("ringing:endCall", "v4:endCall")
class EndCall(Command, frozen=True, kw_only=True):
    """End the call for everyone: the host's, or in a call of two."""


@_command("v5:leaveSession", "v4:endSession", "v4:clearActiveCall")
class LeaveSession(Command, frozen=True, kw_only=True):
    """Leave the session; others of it stay, unless this device is the host or only one is left."""


@_command("v4:generateToken", "ringing:generateToken")
class GenerateToken(Command, frozen=True, kw_only=True):
    """Make a capability that lets one uid into one session until it expires."""

    RESULT = ("token", "session_id", "call_id", "host", "expires_s")

    session_id: str
    uid: str
    expires_s: float = 600


@_command("v4:startSession", "ringing:startSession")
class StartSession(Command, frozen=True, kw_only=True):
    """Enter a session by its token, without ringing."""

    RESULT = ("call_id", "session_id")

    token: str
    settings: Json = None


# -------------------- this device's media


@_command("v4:muteAudio", "callkit:muteCall")
class MuteAudio(Command, frozen=True, kw_only=True):
    """Mute this device's microphone, or open it again."""

    muted: bool = True


@_command("v4:pauseVideo")
class PauseVideo(Command, frozen=True, kw_only=True):
    """Turn this device's camera off, or on again."""

    paused: bool = True


@_command("v4:switchCamera")
class SwitchCamera(Command, frozen=True, kw_only=True):
    """Change to the other camera."""

    RESULT = ("facing",)


@_command("v4:setAudioMode")
class SetAudioMode(Command, frozen=True, kw_only=True):
    """Choose where the sound comes out."""

    RESULT = ("mode",)

    mode: AudioMode


@_command("v4:switchToVideoCall")
class SwitchToVideoCall(Command, frozen=True, kw_only=True):
    """Ask to turn the audio call into a video call."""


@_command("v4:startRecording")
class StartRecording(Command, frozen=True, kw_only=True):
    """Begin to record the call."""

    RESULT = ("path",)


@_command("v4:stopRecording")
class StopRecording(Command, frozen=True, kw_only=True):
    """Close the recording."""


@_command("own:volume")
class SetVolume(Command, frozen=True, kw_only=True):
    """Set how loud an output is."""

    RESULT = ("output", "percent")

    output: AudioMode | None = None
    percent: int


# -------------------- the screen


@_command("v4:enterPIPMode")
class EnterPictureInPicture(Command, frozen=True, kw_only=True):
    """Make the call a small picture over the device's own screen."""

    RESULT = ("picture_in_picture",)


@_command("v4:exitPIPMode")
class ExitPictureInPicture(Command, frozen=True, kw_only=True):
    """Let the call fill the screen again."""

    RESULT = ("picture_in_picture",)


@_command("v4:setMode", "v5:LayoutType")
class SetLayout(Command, frozen=True, kw_only=True):
    """Choose how the screen arranges the participants."""

    RESULT = ("layout",)

    layout: Layout


@_command("v5:onParticipantListVisible")
class ShowParticipantList(Command, frozen=True, kw_only=True):
    """Show the list of participants, or hide it."""

    RESULT = ("visible",)

    visible: bool = True


# -------------------- the session


@_command("v5:onRaiseHandButtonClicked")
class RaiseHand(Command, frozen=True, kw_only=True):
    """Raise this device's hand, or lower it."""

    raised: bool = True


@_command("v5:onScreenShareStarted")
class ShareScreen(Command, frozen=True, kw_only=True):
    """Share this device's screen, or stop sharing it."""

    sharing: bool = True


@_command("v5:onShareInviteButtonClicked")
class Invite(Command, frozen=True, kw_only=True):
    """Ring a further user into the running session; without a receiver, the configured one."""

    receiver: str | None = None


@_command("v5:onChatButtonClicked")
class SendChatMessage(Command, frozen=True, kw_only=True):
    """Send a text to the session; without one, the next of the canned messages."""

    text: str | None = None


@_command("callkit:holdCall")
class HoldCall(Command, frozen=True, kw_only=True):
    """Put the call on hold, or take it off."""

    on_hold: bool = True


@_command("callkit:actionCallToggleDmtf")
class SendDtmf(Command, frozen=True, kw_only=True):
    """Send keypad digits: 0 to 9, *, #, A to D."""

    digits: str


@_command("callkit:actionCallCallback")
class CallBack(Command, frozen=True, kw_only=True):
    """Call who was missed last."""

    RESULT = ("call_id", "session_id")


@_command("callkit:actionCallToggleGroup")
class MergeCalls(Command, frozen=True, kw_only=True):
    """Make one session of the two calls."""


@_command("callkit:actionCallToggleGroup")
class SplitCall(Command, frozen=True, kw_only=True):
    """Take one participant out of the session into a call of its own."""

    uid: str


@_command("zego:ZegoCallEndReason.kickOut")
class KickParticipant(Command, frozen=True, kw_only=True):
    """Put a participant out of the session."""

    uid: str


@_command("v4:RTCMutedUser.mutedBy")
class MuteParticipant(Command, frozen=True, kw_only=True):
    """Mute another participant's microphone, or ask it to open it."""

    uid: str
    muted: bool = True


@_command("v4:CallSwitchRequestInfo")
class AnswerRequest(Command, frozen=True, kw_only=True):
    """Say yes or no to a participant's request; without its id, to the one that waits."""

    request_id: str | None = None
    accepted: bool


# -------------------- the device


@_command("own:do_not_disturb")
class SetDoNotDisturb(Command, frozen=True, kw_only=True):
    """Let calls ring nowhere in the house, until a time or for good."""

    on: bool = True
    until: str | None = None


@_command("callkit:sendEventCustom")
class SendCustomEvent(Command, frozen=True, kw_only=True):
    """Fire a `custom` event here and with the participants."""

    name: str
    body: Json = None


@_command("own:unlock")
class Unlock(Command, frozen=True, kw_only=True):
    """Energize a relay for its pulse; without a name, the one called door."""

    relay: str = "door"


# -------------------- from and to what people and programs write


def parse_command(name: str, args: Mapping[str, object], *, texts: bool = False) -> Command:
    """Make the command called `name` of `args`: JSON values, or (`texts`) strings as typed.

    Typed, a string stands for itself, yes and no are `true` and `false`, an optional argument that
    is not there is `null`, and JSON (`custom_data`, `body`) is its text.
    Raises ValueError with a sentence for an unknown command or argument (with the nearest name),
    a missing argument, and a value of the wrong type.
    """
    kind = COMMANDS.get(name)
    if kind is None:
        raise ValueError(f'"{name}" is no command{did_you_mean(name, COMMANDS)}')
    arguments = kind.arguments()
    for argument in args:
        if argument not in arguments:
            near = did_you_mean(argument, arguments)
            raise ValueError(f'{name} has no argument "{argument}"{near}')
    for field in _fields(kind):
        if field.required and field.name not in args:
            raise ValueError(f'{name} needs the argument "{field.name}"')
    make: Callable[..., Command] = kind
    hints = _hints(kind)
    return make(
        **{
            argument: _read(f"{argument} of {name}", value, hints[argument], texts=texts)
            for argument, value in args.items()
        }
    )


def spell_command(command: Command) -> str:
    """`<name> ARG=VALUE …` as typed at a shell: what `parse_command` with `texts` reads back."""
    words = [command.NAME]
    for field in _fields(type(command)):
        value = getattr(command, field.name)
        if field.required or value != field.default:
            text = value if isinstance(value, str) and field.type is not Any else json.dumps(value)
            words.append(shlex.quote(f"{field.name}={text}"))
    return " ".join(words)


def _read(what: str, value: object, hint: Any, *, texts: bool) -> object:
    """`value` as `hint` wants it; ValueError says what was wanted and what came."""
    if hint is Any:
        return _json(what, value) if texts and isinstance(value, str) else value
    options = get_args(hint) or (hint,)
    wanted = next(option for option in options if option is not NoneType)
    optional = NoneType in options
    if value is None or (texts and value == "null" and wanted is not str):
        if optional:
            return None
        raise ValueError(f"{what} cannot be null")
    if texts and isinstance(value, str):
        value = _typed(value, wanted)
    if issubclass(wanted, StrEnum):
        return _member(what, value, wanted)
    if wanted is float and type(value) is int and abs(value) < FLOAT_EXACT:
        value = float(value)
    if type(value) is not wanted or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{what} is to be {_WANTED[wanted]}, and {_shown(value)} is not")
    return value


FLOAT_EXACT = 2**53
"""Below it each whole number is a number with a point as well; far above it some are none at all."""

_WANTED = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}


def _typed(text: str, wanted: type) -> object:
    """A typed text as the plain value it stands for; what stands for none stays a text."""
    try:
        if wanted is bool:
            return {"true": True, "false": False}.get(text.lower(), text)
        return wanted(text) if wanted in (int, float) else text
    except ValueError:
        return text


def _member(what: str, value: object, kind: type[StrEnum]) -> StrEnum:
    if isinstance(value, str) and value in tuple(kind):
        return kind(value)
    choices = ", ".join(kind)
    raise ValueError(f"{what} is to be one of {choices}, and {_shown(value)} is not")


def _json(what: str, text: str) -> Json:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{what} is to be JSON, and {_shown(text)} is not") from None


def _shown(value: object) -> str:
    """A value in a sentence: as JSON, and not at any length."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."
