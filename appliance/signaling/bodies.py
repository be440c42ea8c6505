"""What the body of each message looks like as JSON: its names and its limits.

The classes here are the schema; `appliance.messages` is what the core reads. `body_of` and
`message_of` go from one to the other. A field with a default may be missing or null, others not.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import replace

from appliance import messages, model

ID = r"^[a-z0-9_-]{1,64}\Z"
Id: TypeAlias = Annotated[str, Meta(pattern=ID)]
Name: TypeAlias = Annotated[str, Meta(max_length=128)]
Text: TypeAlias = Annotated[str, Meta(max_length=4096)]
Generation: TypeAlias = Annotated[int, Meta(ge=1, le=2**31)]


class Body(Struct, frozen=True):
    """The body of one type of message; keys that it does not name are ignored."""


# -------------------- parts


class Description(Struct, frozen=True):
    """W3C `RTCSessionDescriptionInit`, verbatim."""

    type: Literal["offer", "answer"]
    sdp: str


OptionalDescription: TypeAlias = Description | UnsetType | None
"""One that is left out, rather than null, where there is none."""


class CandidateInit(Struct, frozen=True):
    """W3C `RTCIceCandidateInit`, verbatim."""

    candidate: str = ""
    sdp_mid: Name | None = field(name="sdpMid", default=None)
    sdp_m_line_index: Annotated[int, Meta(ge=0, le=65535)] | None = field(
        name="sdpMLineIndex", default=None
    )
    username_fragment: Annotated[str, Meta(max_length=256)] | None = field(
        name="usernameFragment", default=None
    )


class Who(Struct, frozen=True):
    """An endpoint of a uid, or all of them."""

    uid: Id
    endpoint: Id | None = None


class CallerBody(Struct, frozen=True):
    """Who calls."""

    uid: Id
    name: Name | None = None


class ReceiverBody(Struct, frozen=True):
    """Whom the call is for."""

    type: model.ReceiverType
    id: Id


class ParticipantBody(Struct, frozen=True, kw_only=True):
    """One entry of the host's list; `epoch` and `key` let the others reach and believe it."""

    uid: Id
    name: Name | None = None
    endpoint: Id
    joined_at: Annotated[datetime, Meta(tz=True)] | None = None
    state: model.ParticipantState
    audio_muted: bool
    video_paused: bool
    hand_raised: bool
    screen_sharing: bool
    recording: bool
    on_hold: bool
    epoch: Id | None = None
    key: Annotated[str, Meta(max_length=128)] | None = None


# -------------------- bodies


class InviteBody(Body, frozen=True, kw_only=True):
    """`invite`."""

    session_id: Id
    call_type: model.CallType
    receiver: ReceiverBody
    callees: Annotated[tuple[Id, ...], Meta(max_length=64)]
    caller: CallerBody
    timeout_s: Annotated[float, Meta(gt=0, le=86400)]
    custom_data: Any = None
    token: Text | None = None
    offer: OptionalDescription = UNSET


class RingingBody(Body, frozen=True):
    """`ringing`."""


class AcceptBody(Body, frozen=True):
    """`accept`: exactly one of the two descriptions."""

    answer: OptionalDescription = UNSET
    offer: OptionalDescription = UNSET
    custom_data: Any = None


class RejectBody(Body, frozen=True):
    """`reject`."""

    reason: model.RejectReason
    custom_data: Any = None


class CancelBody(Body, frozen=True):
    """`cancel`."""

    reason: model.CancelReason
    by: Who | UnsetType | None = UNSET
    custom_data: Any = None


class EndBody(Body, frozen=True):
    """`end`."""

    reason: Literal["hang_up", "kicked_out", "idle", "failed"]
    kicked_by: Id | None = None


class OfferBody(Body, frozen=True):
    """`offer`."""

    offer: Description
    generation: Generation | None = 1
    reason: Literal["reconnect", "switch_to_video", "screen_share"] | None = None


class AnswerBody(Body, frozen=True):
    """`answer`."""

    answer: Description
    generation: Generation | None = 1


class CandidateBody(Body, frozen=True):
    """`candidate`."""

    candidate: CandidateInit | None = None
    generation: Generation | None = 1


class JoinBody(Body, frozen=True):
    """`join`: at least one of the two."""

    token: Text | UnsetType | None = UNSET
    offer: OptionalDescription = UNSET


class ParticipantsBody(Body, frozen=True):
    """`participants`."""

    session_id: Id
    version: Annotated[int, Meta(ge=0, le=2**53)]
    participants: Annotated[tuple[ParticipantBody, ...], Meta(max_length=64)]
    may: Annotated[tuple[Annotated[str, Meta(max_length=32)], ...], Meta(max_length=16)] | None = (
        None
    )


class StateBody(Body, frozen=True):
    """`state`: what is not there has not changed."""

    audio_muted: bool | UnsetType = UNSET
    video_paused: bool | UnsetType = UNSET
    hand_raised: bool | UnsetType = UNSET
    screen_sharing: bool | UnsetType = UNSET
    recording: bool | UnsetType = UNSET
    on_hold: bool | UnsetType = UNSET
    camera_exception: model.DeviceException | UnsetType | None = UNSET
    microphone_exception: model.DeviceException | UnsetType | None = UNSET


class RequestBody(Body, frozen=True):
    """`request`."""

    request_id: Id
    action: model.RequestAction
    uid: Id | None = None
    receiver: Annotated[str, Meta(max_length=80)] | None = None
    relay: Id | None = None
    reason: Text | None = None


class ResponseBody(Body, frozen=True):
    """`response`."""

    request_id: Id
    accepted: bool
    error: Text | None = None


class ChatBody(Body, frozen=True):
    """`chat`."""

    text: Text


class DtmfBody(Body, frozen=True):
    """`dtmf`."""

    digits: Annotated[str, Meta(pattern=r"^[0-9*#A-D]{1,32}\Z")]


class CustomBody(Body, frozen=True):
    """`custom`."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    body: Any = None


# -------------------- to and fro

_SCHEMA: dict[type[Any], type[Struct]] = {
    messages.SessionDescription: Description,
    messages.IceCandidate: CandidateInit,
    messages.Address: Who,
    model.Caller: CallerBody,
    model.Receiver: ReceiverBody,
    model.Participant: ParticipantBody,
    messages.Invite: InviteBody,
    messages.Ringing: RingingBody,
    messages.Accept: AcceptBody,
    messages.Reject: RejectBody,
    messages.Cancel: CancelBody,
    messages.End: EndBody,
    messages.Offer: OfferBody,
    messages.Answer: AnswerBody,
    messages.Candidate: CandidateBody,
    messages.Join: JoinBody,
    messages.Participants: ParticipantsBody,
    messages.State: StateBody,
    messages.Request: RequestBody,
    messages.Response: ResponseBody,
    messages.Chat: ChatBody,
    messages.Dtmf: DtmfBody,
    messages.Custom: CustomBody,
}

BODIES: dict[str, type[Struct]] = {
    name: _SCHEMA[message] for name, message in messages.MESSAGES.items()
}
"""The schema of each type of message."""

_CLASSES: dict[type[Struct], type[Any]] = {struct: made for made, struct in _SCHEMA.items()}


def body_of(message: messages.Message) -> Struct:
    """The message as its schema has it, ready to be encoded."""
    if isinstance(message, messages.State):
        changes: dict[str, Any] = dict(message.changes)
        return StateBody(**changes)
    body: Struct = _lower(message)
    return body


def message_of(body: Struct) -> messages.Message:
    """The message that a decoded body means."""
    if isinstance(body, StateBody):
        changes = {name: getattr(body, name) for name in body.__struct_fields__}
        return messages.State(
            {name: value for name, value in changes.items() if value is not UNSET}
        )
    message: messages.Message = _raise(body)
    return message


def with_reach(
    body: ParticipantsBody, reach: tuple[tuple[str | None, str | None], ...]
) -> ParticipantsBody:
    """The list with each participant's epoch and key entered, in the order of the list."""
    entries = zip(body.participants, reach, strict=True)
    filled = tuple(replace(one, epoch=epoch, key=key) for one, (epoch, key) in entries)
    return replace(body, participants=filled)


def _lower(value: Any) -> Any:
    """From the vocabulary's structs to the schema, all the way down; other values stay."""
    if isinstance(value, tuple):
        return tuple(_lower(item) for item in value)
    if type(value) not in _SCHEMA:
        return value
    schema = _SCHEMA[type(value)]
    leaves_out = {
        name
        for name, default in zip(
            schema.__struct_fields__[::-1], schema.__struct_defaults__[::-1], strict=False
        )
        if default is UNSET
    }
    values = {
        name: _lower(getattr(value, name))
        for name in value.__struct_fields__
        if name in schema.__struct_fields__
    }
    return schema(**{k: v for k, v in values.items() if not (v is None and k in leaves_out)})


def _raise(value: Any) -> Any:
    """From the schema to the vocabulary's structs, all the way down; other values stay."""
    if isinstance(value, tuple):
        return tuple(_raise(item) for item in value)
    if value is UNSET:
        return None
    if type(value) not in _CLASSES:
        return value
    made = _CLASSES[type(value)]
    values = {
        name: _raise(getattr(value, name))
        for name in made.__struct_fields__
        if name in value.__struct_fields__
    }
    if values.get("generation", 1) is None:
        values["generation"] = 1  # "1 for the first and where it is absent"
    return made(**values)
