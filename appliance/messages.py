"""The messages that two endpoints exchange about a call: their bodies, as the core reads and writes them.

How a body becomes bytes, and what a body must look like to be believed, is in `signaling/wire.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from msgspec import Struct

from appliance.model import (
    Caller,
    CallType,
    CancelReason,
    DeviceException,
    Json,
    Participant,
    Receiver,
    RejectReason,
    RequestAction,
)


class Address(Struct, frozen=True):
    """One running program of a uid; `endpoint` None means all of them."""

    uid: str
    endpoint: str | None = None


class SessionDescription(Struct, frozen=True):
    """W3C `RTCSessionDescriptionInit`: `type` is offer or answer."""

    type: str
    sdp: str


class IceCandidate(Struct, frozen=True):
    """W3C `RTCIceCandidateInit`; an empty or missing candidate ends the list."""

    candidate: str
    sdp_mid: str | None = None
    sdp_m_line_index: int | None = None
    username_fragment: str | None = None


class Message(Struct, frozen=True):
    """The body of a message."""

    TYPE: ClassVar[str]


MESSAGES: dict[str, type[Message]] = {}
"""Every message by its type."""

M = TypeVar("M", bound=Message)


def _message(cls: type[M]) -> type[M]:
    """Name the message after its class, and enter it in `MESSAGES`."""
    cls.TYPE = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
    MESSAGES[cls.TYPE] = cls
    return cls


@_message
class Invite(Message, frozen=True):
    """The host asks a callee into a session; a person's page sends its offer along."""

    session_id: str
    call_type: CallType
    receiver: Receiver
    caller: Caller
    timeout_s: float
    callees: tuple[str, ...] = ()
    custom_data: Json = None
    token: str | None = None
    offer: SessionDescription | None = None


@_message
class Ringing(Message, frozen=True):
    """The callee's endpoint rings."""


@_message
class Accept(Message, frozen=True):
    """The callee takes the call: with the answer to the invite's offer, else with an offer."""

    answer: SessionDescription | None = None
    offer: SessionDescription | None = None
    custom_data: Json = None


@_message
class Reject(Message, frozen=True):
    """The callee does not take the call."""

    reason: RejectReason
    custom_data: Json = None


@_message
class Cancel(Message, frozen=True):
    """The caller takes the invitation back; the endpoint named in `by` ignores it."""

    reason: CancelReason
    by: Address | None = None
    custom_data: Json = None


@_message
class End(Message, frozen=True):
    """From a participant: I leave. From the host: the session is over. `reason` is an end reason."""

    reason: str
    kicked_by: str | None = None


@_message
class Offer(Message, frozen=True):
    """A renegotiation (the present generation) or a replacement (the next) of a connection."""

    offer: SessionDescription
    generation: int = 1
    reason: str | None = None


@_message
class Answer(Message, frozen=True):
    """The answer to an offer of the same generation."""

    answer: SessionDescription
    generation: int = 1


@_message
class Candidate(Message, frozen=True):
    """One ICE candidate of a connection; None ends the list."""

    candidate: IceCandidate | None
    generation: int = 1


@_message
class Join(Message, frozen=True):
    """To the host with a token: let me in. To a participant with an offer: connect with me."""

    token: str | None = None
    offer: SessionDescription | None = None


@_message
class Participants(Message, frozen=True):
    """The host's list, in the order of joining; only a higher version counts."""

    session_id: str
    version: int
    participants: tuple[Participant, ...]
    may: tuple[str, ...] | None = None
    """The rights that the host grants whoever gets this list; None where it does not say."""


@_message
class State(Message, frozen=True):
    """What changed about the sender; a field that is not in `changes` stays as it was.

    Keys: audio_muted, video_paused, hand_raised, screen_sharing, recording, on_hold (bool);
    camera_exception, microphone_exception (a DeviceException, or None: it works again).
    """

    changes: Mapping[str, bool | DeviceException | None]


@_message
class Request(Message, frozen=True):
    """A participant asks another for something that needs a right or a consent."""

    request_id: str
    action: RequestAction
    uid: str | None = None
    receiver: str | None = None
    relay: str | None = None
    reason: str | None = None


@_message
class Response(Message, frozen=True):
    """The answer to a request."""

    request_id: str
    accepted: bool
    error: str | None = None


@_message
class Chat(Message, frozen=True):
    """A text for everyone in the session."""

    text: str


@_message
class Dtmf(Message, frozen=True):
    """Keypad digits."""

    digits: str


@_message
class Custom(Message, frozen=True):
    """Whatever a program made of it."""

    name: str
    body: Any = None
