"""What a button can be told to do: the actions of `[buttons.<name>]`, read from their spelling.

A word (`call`, `answer`, `unlock`), `call:user:<uid>` or `call:group:<id>`, `dtmf:<digit>`, or any
command of the vocabulary: `command:<name> ARG=VALUE …`. What an action does in a given situation is
decided in `calls/`.
"""

from __future__ import annotations

import re
import shlex
from enum import StrEnum

from msgspec import Struct

from appliance.commands import (
    Command,
    EndCall,
    LeaveSession,
    parse_command,
    spell_command,
)
from appliance.errors import did_you_mean
from appliance.model import Receiver, ReceiverType

DTMF_DIGITS = "0123456789*#ABCD"
"""The keys of a telephone (ITU-T Q.23)."""

_ID = re.compile(r"[a-z0-9_-]{1,64}")


class Verb(StrEnum):
    """The kind of an action; `dtmf` and `command` need something behind a colon."""

    CALL = "call"
    ANSWER = "answer"
    DECLINE = "decline"
    LEAVE = "leave"
    TOGGLE_AUDIO = "toggle_audio"
    TOGGLE_VIDEO = "toggle_video"
    SWITCH_CAMERA = "switch_camera"
    RAISE_HAND = "raise_hand"
    SHARE_INVITE = "share_invite"
    CHANGE_LAYOUT = "change_layout"
    PARTICIPANT_LIST = "participant_list"
    CHAT = "chat"
    TOGGLE_RECORDING = "toggle_recording"
    TOGGLE_HOLD = "toggle_hold"
    CALL_BACK = "call_back"
    UNLOCK = "unlock"
    CYCLE_AUDIO_MODE = "cycle_audio_mode"
    VOLUME_UP = "volume_up"
    VOLUME_DOWN = "volume_down"
    PICTURE_IN_PICTURE = "picture_in_picture"
    SHARE_SCREEN = "share_screen"
    MERGE_CALLS = "merge_calls"
    DTMF = "dtmf"
    COMMAND = "command"


class Action(Struct, frozen=True):
    """One action; `str()` gives its spelling back.

    `receiver` is set for `call:user:` and `call:group:` only (a plain `call` goes to the configured
    one), `digit` for `dtmf:` and `command` for `command:`, always.
    """

    verb: Verb
    receiver: Receiver | None = None
    digit: str | None = None
    command: Command | None = None

    @property
    def leaves(self) -> bool:
        """Whether it leaves a running call, at least where its button is held for it."""
        commanded = isinstance(self.command, LeaveSession | EndCall)
        return commanded or self.verb in (Verb.LEAVE, Verb.ANSWER, Verb.DECLINE)

    def __str__(self) -> str:
        if self.receiver is not None:
            return f"{self.verb}:{self.receiver.type}:{self.receiver.id}"
        if self.digit is not None:
            return f"{self.verb}:{self.digit}"
        if self.command is not None:
            return f"{self.verb}:{spell_command(self.command)}"
        return self.verb.value


def parse_action(text: str) -> Action:
    """Read an action from its spelling in the configuration.

    Raises ValueError with a sentence that names the nearest valid spelling.
    """
    word, colon, rest = text.strip().partition(":")
    try:
        verb = Verb(word)
    except ValueError:
        near = did_you_mean(word, _WORDS) or f": {', '.join(_WORDS)}"
        raise ValueError(f'"{word}" is no action{near}') from None
    match verb, colon:
        case Verb.DTMF, _:
            return Action(verb, digit=_digit(rest))
        case Verb.COMMAND, _:
            return Action(verb, command=_command(rest))
        case Verb.CALL, ":":
            return Action(verb, receiver=_receiver(rest))
        case _, "":
            return Action(verb)
        case _:
            raise ValueError(f'"{word}" takes nothing behind a colon, and here is "{rest}"')


_WORDS = tuple(verb.value for verb in Verb)


def _receiver(text: str) -> Receiver:
    """`user:<uid>` or `group:<id>`."""
    kind, colon, name = text.partition(":")
    if not colon or kind not in tuple(ReceiverType):
        raise ValueError(f'"call:{text}" is to be call:user:<uid> or call:group:<id>')
    if not _ID.fullmatch(name):
        raise ValueError(f'"{name}" is no id: up to 64 of a-z, 0-9, _ and -')
    return Receiver(ReceiverType(kind), name)


def _digit(text: str) -> str:
    digit = text.upper()
    if len(digit) != 1 or digit not in DTMF_DIGITS:
        raise ValueError(f'"dtmf:{text}" needs one digit: 0 to 9, *, # or A to D')
    return digit


def _command(text: str) -> Command:
    """`<name> ARG=VALUE …`, split like a shell's words so that a value may be quoted."""
    try:
        name, *words = shlex.split(text) or [""]
    except ValueError as error:
        raise ValueError(f'"command:{text}" cannot be split into words: {error}') from None
    arguments: dict[str, str] = {}
    for word in words:
        argument, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f'"{word}" behind the command {name} is to be ARG=VALUE')
        if argument in arguments:
            raise ValueError(f'the argument "{argument}" of the command {name} is given twice')
        arguments[argument] = value
    return parse_command(name, arguments, texts=True)
