"""Signed commands as bytes: their form, and what they are bound to; rights are judged elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from appliance.messages import Address
from appliance.nesting import MAX_DEPTH, too_deep
from appliance.signaling.bodies import Id
from appliance.signaling.rejected import Rejected
from appliance.signaling.wire import VERSION, repeated_name

MAX_BYTES = 4 * 1024
MAX_SEALED = MAX_BYTES * 4 // 3 + 512


@dataclass(frozen=True, slots=True)
class Order:
    """One signed command, with all that makes it believable (see `inbox.Said`)."""

    name: str
    args: dict[str, Any]
    id: str
    client: str
    sender: Address
    to: Address
    epoch: str | None
    seq: int
    sent_at_ms: int
    ttl_s: float
    synced: bool
    call_id: None = None


class _Wire(Struct, frozen=True, kw_only=True):
    """The payload of the JWS."""

    v: int
    id: Id
    client: Id = "all"
    name: Id
    args: dict[str, Any] = field(default_factory=dict)
    from_: Id = field(name="from")
    to: Id
    endpoint: Id
    epoch: Id
    seq: Annotated[int, Meta(ge=0, le=2**53)]
    sent_at: Annotated[int, Meta(ge=0, le=2**53)]
    ttl_s: Annotated[float, Meta(gt=0, le=86400)]
    clock: Literal["synced", "unknown"]


class _Peek(Struct, frozen=True):
    """Whose it says that it is: by whose keys it is to be verified."""

    from_: Id = field(name="from")


_wire = msgspec.json.Decoder(_Wire)
_peek = msgspec.json.Decoder(_Peek)


def sender_of(payload: bytes) -> str:
    """Who claims to have signed this, which is not believed yet; raises `Rejected`."""
    found: _Peek = _decoded(_peek, payload)
    return found.from_


def decode(name: str, device: str, payload: bytes) -> Order:
    """What `command/<name>` of this device held, out of its signature; raises `Rejected`."""
    if len(payload) > MAX_BYTES:
        raise Rejected("oversized", f"the command has {len(payload)} bytes, at most {MAX_BYTES}")
    if too_deep(payload):
        raise Rejected("malformed", f"the command is nested deeper than {MAX_DEPTH} levels")
    if (twice := repeated_name(payload)) is not None:
        raise Rejected("malformed", f"an object has {twice[:64]!r} twice")
    wire: _Wire = _decoded(_wire, payload)
    if wire.v != VERSION:
        raise Rejected("unsupported_version", f"v is {wire.v}, only {VERSION} is spoken here")
    for what, said, true in (("name", wire.name, name), ("to", wire.to, device)):
        if said != true:
            raise Rejected("misaddressed", f"{what} is {said}, its topic says {true}")
    return Order(
        name=wire.name,
        args=wire.args,
        id=wire.id,
        client=wire.client,
        sender=Address(wire.from_, wire.endpoint),
        to=Address(wire.to),
        epoch=wire.epoch,
        seq=wire.seq,
        sent_at_ms=wire.sent_at,
        ttl_s=wire.ttl_s,
        synced=wire.clock == "synced",
    )


def _decoded(decoder: msgspec.json.Decoder[Any], payload: bytes) -> Any:
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as fault:
        raise Rejected("malformed", f"this is no signed command: {fault}") from None
