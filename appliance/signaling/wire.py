"""A message and its envelope as bytes, and back: nothing else ever comes out, and one error.

What is checked here needs no memory: size, form, version, type, addresses, limits. What needs one
(duplicates, replays, age) is in `inbox.py`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as default
from typing import Annotated, Any, Literal, NoReturn, cast

import msgspec
from msgspec import Meta, Raw, Struct, field

from appliance.messages import MESSAGES, Accept, Address, Join, Message, Participants
from appliance.nesting import MAX_DEPTH, too_deep
from appliance.signaling.bodies import (
    BODIES,
    Id,
    ParticipantsBody,
    body_of,
    message_of,
    with_reach,
)
from appliance.signaling.descriptions import carries_description, check_descriptions
from appliance.signaling.listed import Listing, Reach
from appliance.signaling.rejected import Rejected

VERSION = 1
MAX_BYTES_WITH_SDP = 32 * 1024
MAX_BYTES = 4 * 1024
MAX_SEALED = MAX_BYTES_WITH_SDP * 4 // 3 + 512
"""Signed, the same text is a third longer, and has a header and a signature (206 characters)."""
MAX_LAST_WORD = MAX_BYTES * 4 // 3 + 512

_WITH_SDP = frozenset({"invite", "accept", "join", "offer", "answer"})
_LAST_WORD = re.compile(rb'"type"\s*:\s*"(?:end|cancel)"')

ReachOf = Callable[[str, str], Reach]
"""Epoch and key of an endpoint (uid, endpoint), as far as they are known."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message with all that makes it believable.

    `epoch` is the receiving endpoint's; `sent_at_ms` is Unix time in ms and worth something only
    where the sender's clock is `synced`; `to.endpoint` None means all endpoints of the uid.
    """

    id: str
    call_id: str
    sender: Address
    to: Address
    epoch: str | None
    seq: int
    sent_at_ms: int
    ttl_s: float
    synced: bool
    message: Message
    listed: Listing = default(default_factory=dict)
    """Of `participants`: by which epoch and key one that is no contact is reached and believed."""


class _Peek(Struct, frozen=True):
    """As much of an envelope as every version has."""

    v: int
    type: str


class _Wire(Struct, frozen=True, kw_only=True):
    """The envelope of version 1; see the section on inbox topics in the interfaces."""

    v: int
    id: Id
    type: str
    call_id: Id
    from_: Id = field(name="from")
    to: Id
    endpoint: Id
    to_endpoint: Id | None = None
    epoch: Id | None = None
    seq: Annotated[int, Meta(ge=0, le=2**53)]
    sent_at: Annotated[int, Meta(ge=0, le=2**53)]
    ttl_s: Annotated[float, Meta(gt=0, le=86400)]
    clock: Literal["synced", "unknown"]
    body: Raw


@dataclass(frozen=True, slots=True)
class Letter:
    """What is about no call, and so is none of the core's messages; `kind` is its type."""

    kind: str
    id: str
    call_id: str
    sender: Address
    to: Address
    body: Struct


_peek = msgspec.json.Decoder(_Peek)
_wire = msgspec.json.Decoder(_Wire)
_bodies: dict[str, msgspec.json.Decoder[Any]] = {
    name: msgspec.json.Decoder(body) for name, body in BODIES.items()
}


def encode(envelope: Envelope, reach_of: ReachOf = lambda _uid, _endpoint: Reach()) -> bytes:
    """The envelope as JSON; `reach_of` fills in what the list of `participants` tells of each.

    Raises `Rejected` for what the receiver would refuse: better said here than there.
    """
    body = body_of(envelope.message)
    if isinstance(envelope.message, Participants):
        reach = tuple(reach_of(one.uid, one.endpoint) for one in envelope.message.participants)
        body = with_reach(cast(ParticipantsBody, body), reach)
    try:
        wire = _Wire(
            v=VERSION,
            id=envelope.id,
            type=envelope.message.TYPE,
            call_id=envelope.call_id,
            from_=envelope.sender.uid,
            to=envelope.to.uid,
            endpoint=envelope.sender.endpoint or "",
            to_endpoint=envelope.to.endpoint,
            epoch=envelope.epoch,
            seq=envelope.seq,
            sent_at=envelope.sent_at_ms,
            ttl_s=envelope.ttl_s,
            clock="synced" if envelope.synced else "unknown",
            body=Raw(msgspec.json.encode(body)),
        )
        payload = msgspec.json.encode(wire)
    except (TypeError, ValueError, RecursionError, OverflowError) as fault:
        raise Rejected(
            "malformed",
            f"this {envelope.message.TYPE} cannot be written as JSON: {fault}",
            call_id=envelope.call_id,
        ) from None
    decode(f"/call/{envelope.to.uid}/{envelope.sender.uid}", payload)
    return payload


def decode(topic: str, payload: bytes) -> Envelope:
    """What lies in an inbox topic (`…/call/<to>/<from>`) as an envelope; raises only `Rejected`."""
    if len(payload) > MAX_BYTES_WITH_SDP:
        raise Rejected(
            "oversized",
            f"the message has {len(payload)} bytes, at most {MAX_BYTES_WITH_SDP} are taken",
        )
    if too_deep(payload):  # free JSON that was decoded is walked recursively by others
        raise Rejected("malformed", f"the message is nested deeper than {MAX_DEPTH} levels")
    if (name := repeated_name(payload)) is not None:  # two readers might take one each
        raise Rejected("malformed", f"an object has {name[:64]!r} twice")
    peek: _Peek = _decoded(_peek, payload, "")
    if peek.v != VERSION:
        raise Rejected("unsupported_version", f"v is {peek.v}, only {VERSION} is spoken here")
    if peek.type not in MESSAGES:
        raise Rejected("unknown_type", f"type is {peek.type[:64]!r}, which no message has")
    if len(payload) > MAX_BYTES and peek.type not in _WITH_SDP:
        _too_large(peek.type, len(payload), None)
    wire: _Wire = _decoded(_wire, payload, "")
    _check_addresses(topic, wire)
    try:
        body = _decoded(_bodies[wire.type], bytes(wire.body), "body")
        message = message_of(body)
        _check_alternatives(message)
        check_descriptions(message)
    except Rejected as fault:
        fault.call_id = wire.call_id
        raise
    if len(payload) > MAX_BYTES and not carries_description(message):
        _too_large(wire.type, len(payload), wire.call_id)
    return Envelope(
        id=wire.id,
        call_id=wire.call_id,
        sender=Address(wire.from_, wire.endpoint),
        to=Address(wire.to, wire.to_endpoint),
        epoch=wire.epoch,
        seq=wire.seq,
        sent_at_ms=wire.sent_at,
        ttl_s=wire.ttl_s,
        synced=wire.clock == "synced",
        message=message,
        listed=_listing(body),
    )


def kind_of(payload: bytes) -> str | None:
    """The type that a plain message of our version says it has; None where nothing is said."""
    if len(payload) > MAX_BYTES_WITH_SDP or too_deep(payload):
        return None
    try:
        peek = _peek.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
        return None
    return peek.type if peek.v == VERSION else None


def decode_letter(topic: str, payload: bytes, body: type[Struct]) -> Letter:
    """A message whose type `kind_of` has told, with a body of that class; raises only `Rejected`."""
    if len(payload) > MAX_BYTES:
        _too_large("letter", len(payload), None)
    if too_deep(payload):
        raise Rejected("malformed", f"the message is nested deeper than {MAX_DEPTH} levels")
    wire: _Wire = _decoded(_wire, payload, "")
    _check_addresses(topic, wire)
    said = _decoded(msgspec.json.Decoder(body), bytes(wire.body), "body")
    sender, to = Address(wire.from_, wire.endpoint), Address(wire.to, wire.to_endpoint)
    return Letter(wire.type, wire.id, wire.call_id, sender, to, said)


def encode_letter(letter: Letter, *, seq: int, sent_at_ms: int, ttl_s: float) -> bytes:
    """The reverse; its receiver does not judge it by an epoch, nor by a clock."""
    wire = _Wire(
        v=VERSION,
        id=letter.id,
        type=letter.kind,
        call_id=letter.call_id,
        from_=letter.sender.uid,
        to=letter.to.uid,
        endpoint=letter.sender.endpoint or "",
        to_endpoint=letter.to.endpoint,
        seq=seq,
        sent_at=sent_at_ms,
        ttl_s=ttl_s,
        clock="unknown",
        body=Raw(msgspec.json.encode(letter.body)),
    )
    return msgspec.json.encode(wire)


def may_be_last_word(payload: bytes) -> bool:
    """Whether this, signed or not and not believed yet, looks like an `end` or a `cancel`."""
    if len(payload) > MAX_LAST_WORD:
        return False
    if not payload.startswith(b"{"):
        _, _, rest = payload.partition(b".")
        signed = rest.partition(b".")[0]
        try:
            payload = base64.urlsafe_b64decode(signed + b"=" * (-len(signed) % 4))
        except ValueError:
            return False
    return _LAST_WORD.search(payload) is not None


def _listing(body: Struct) -> Listing:
    if not isinstance(body, ParticipantsBody):
        return {}
    return {Address(one.uid, one.endpoint): Reach(one.epoch, one.key) for one in body.participants}


class _RepeatedError(Exception):
    """Carries a name that an object has twice out of the decoder."""


def _once_each(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise _RepeatedError(name)
        seen.add(name)


def repeated_name(payload: bytes) -> str | None:
    """A name that some object in this JSON has more than once; of what is no JSON others tell."""
    try:
        json.loads(payload, object_pairs_hook=_once_each)
    except _RepeatedError as found:
        return str(found.args[0])
    except (ValueError, RecursionError):
        return None
    return None


def _decoded(decoder: msgspec.json.Decoder[Any], data: bytes, path: str) -> Any:
    """Decode; what msgspec lets through beside its own error is the same fault to us."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as fault:
        raise Rejected("malformed", _sentence(str(fault), path)) from None
    except RecursionError:
        raise Rejected("malformed", f"{path or 'the message'} is nested too deeply") from None
    except UnicodeDecodeError:
        raise Rejected("malformed", f"{path or 'the message'} is not UTF-8") from None
    except (msgspec.DecodeError, ValueError, OverflowError) as fault:
        raise Rejected("malformed", f"{path or 'the message'} is not JSON: {fault}") from None


def _sentence(fault: str, path: str) -> str:
    """The decoder's words with our path: `body.offer.sdp: expected str, got int`."""
    words, _, where = fault.partition(" - at `$")
    where = (path + where.rstrip("`")).strip(".")
    words = words.replace("`", "")
    if missing := re.fullmatch(r"Object missing required field (\w+)", words):
        return f"{where}.{missing[1]} is missing".strip(".")
    words = words[:1].lower() + words[1:]
    return f"{where}: {words}" if where else f"the message: {words}"


def _check_addresses(topic: str, wire: _Wire) -> None:
    """The envelope must say of sender and receiver what the topic says, which the broker guards."""
    to, sender = ["", *topic.split("/")][-2:]
    for name, said, true in (("to", wire.to, to), ("from", wire.from_, sender)):
        if said != true:
            raise Rejected(
                "misaddressed", f"{name} is {said}, its topic says {true}", call_id=wire.call_id
            )


def _check_alternatives(message: Message) -> None:
    """Where a message has one thing or another, it has one."""
    if isinstance(message, Accept) and (message.answer is None) == (message.offer is None):
        raise Rejected("malformed", "body must have either an answer or an offer")
    if isinstance(message, Join) and message.token is None and message.offer is None:
        raise Rejected("malformed", "body must have a token or an offer")


def _too_large(kind: str, size: int, call_id: str | None) -> NoReturn:
    raise Rejected(
        "oversized",
        f"this {kind} has {size} bytes, at most {MAX_BYTES} are taken without SDP",
        call_id=call_id,
    )
