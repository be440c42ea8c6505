"""Who is there: the retained presence of endpoints, and the epoch under which each is written to."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import Struct

from appliance.calls.inputs import PresenceChanged
from appliance.limits import Recent
from appliance.signaling.bodies import ID, Id, Name
from appliance.signaling.rejected import Rejected

MAX_BYTES = 4 * 1024
MAX_ENDPOINTS = 32
"""Of one uid: a phone, some tabs; more are somebody's mistake."""


class _Presence(Struct, frozen=True):
    """The payload; one that is offline has nothing but its state."""

    v: int
    state: Literal["online", "offline"]
    epoch: Id | None = None
    name: Name | None = None
    kid: str | None = None


_decoder = msgspec.json.Decoder(_Presence)

OFFLINE = msgspec.json.encode({"v": 1, "state": "offline"})
"""Last Will and last word of every endpoint."""


def online(epoch: str, name: str, kid: str | None) -> bytes:
    """What an endpoint says of itself when it has connected."""
    return msgspec.json.encode(_Presence(1, "online", epoch, name, kid))


def kid_of(payload: bytes) -> str | None:
    """The key with which an endpoint that is online says it signs; nobody has to believe it."""
    if not payload:
        return None
    said = _decode(payload)
    return said.kid if said.state == "online" else None


@dataclass(slots=True)
class _Endpoint:
    epoch: str
    name: str | None
    kid: str | None = None
    confirmed: bool = True


class Presence:
    """Who is online, as the broker last told, but for those with a key that was taken back.

    A lost phone says that it is there as well as before, under an account that others have too.
    """

    def __init__(self, revoked: Callable[[str], bool] = lambda kid: False) -> None:
        """`revoked` tells of a key's thumbprint whether it never counts again."""
        self._revoked = revoked
        self._endpoints: dict[str, dict[str, _Endpoint]] = {}
        self._dropped: Recent[tuple[str, str], str] = Recent(MAX_ENDPOINTS)

    def epoch_of(self, uid: str, endpoint: str | None) -> str | None:
        """The epoch of an endpoint that is online, or was when it was dropped, else None."""
        found = self._endpoints.get(uid, {}).get(endpoint or "")
        return found.epoch if found else self._dropped.get((uid, endpoint or ""))

    def told(self, uid: str, endpoint: str, payload: bytes) -> list[PresenceChanged]:
        """Take in one presence message; an empty one is an endpoint that was deleted.

        Gives what has changed: nothing where it was known. After `disconnected` all is news,
        since whoever heard of the lost link took everybody for absent. Raises `Rejected`.
        """
        if not re.match(ID, endpoint):
            raise Rejected("malformed", f"{endpoint[:64]!r} is not the name of an endpoint")
        said = _decode(payload) if payload else None
        endpoints = self._endpoints.setdefault(uid, {})
        if said is None or said.state == "offline" or self._is_revoked(said.kid):
            return [_gone(uid, endpoint)] if endpoints.pop(endpoint, None) else []
        if said.epoch is None:
            raise Rejected("malformed", "epoch is missing from a presence that is online")
        known = endpoints.get(endpoint)
        if known is None and len(endpoints) >= MAX_ENDPOINTS:
            raise Rejected("flooded", f"{uid} has more than {MAX_ENDPOINTS} endpoints online")
        endpoints[endpoint] = _Endpoint(said.epoch, said.name, said.kid)
        if known and known.confirmed and (known.epoch, known.name) == (said.epoch, said.name):
            return []
        return [PresenceChanged(uid, endpoint, online=True, epoch=said.epoch, name=said.name)]

    def uids(self) -> list[str]:
        """Whose presence is known."""
        return list(self._endpoints)

    def drop(self, uid: str) -> list[PresenceChanged]:
        """That uid is no contact any more: to this device it is not there. It can still be told so."""
        gone = [self._drop(uid, endpoint) for endpoint in tuple(self._endpoints.get(uid, ()))]
        self._endpoints.pop(uid, None)
        return gone

    def drop_revoked(self) -> list[PresenceChanged]:
        """Keys were taken back: whose they are is not there. It can still be told so."""
        return [
            self._drop(uid, endpoint)
            for uid, endpoints in self._endpoints.items()
            for endpoint, known in tuple(endpoints.items())
            if self._is_revoked(known.kid)
        ]

    def _drop(self, uid: str, endpoint: str) -> PresenceChanged:
        self._dropped[uid, endpoint] = self._endpoints[uid].pop(endpoint).epoch
        return _gone(uid, endpoint)

    def _is_revoked(self, kid: str | None) -> bool:
        return kid is not None and self._revoked(kid)

    def disconnected(self) -> None:
        """The link is gone: what is known is of the past until it is told again."""
        self._dropped.clear()
        for endpoints in self._endpoints.values():
            for known in endpoints.values():
                known.confirmed = False

    def complete(self) -> list[PresenceChanged]:
        """After a reconnect everything retained has been told: who was not in it is gone."""
        lost = [
            (uid, endpoint)
            for uid, endpoints in self._endpoints.items()
            for endpoint, known in endpoints.items()
            if not known.confirmed
        ]
        for uid, endpoint in lost:
            del self._endpoints[uid][endpoint]
        return [_gone(uid, endpoint) for uid, endpoint in lost]


def _gone(uid: str, endpoint: str) -> PresenceChanged:
    return PresenceChanged(uid, endpoint, online=False)


def _decode(payload: bytes) -> _Presence:
    if len(payload) > MAX_BYTES:
        raise Rejected("oversized", f"a presence of {len(payload)} bytes, at most {MAX_BYTES} are")
    try:
        said = _decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as fault:
        raise Rejected("malformed", f"this is not a presence: {fault}") from None
    if said.v != 1:
        raise Rejected("unsupported_version", f"v is {said.v}, only 1 is spoken here")
    return said
