"""Who is there: the retained presence of endpoints, and the epoch under which each is written to."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import msgspec
from msgspec import Struct

from appliance.calls.inputs import ENDPOINTS_OF_EACH, PresenceChanged
from appliance.limits import Latest, Recent
from appliance.signaling.bodies import ID, Id, Name
from appliance.signaling.rejected import Rejected

MAX_BYTES = 4 * 1024
KEPT_OUT_UIDS = 256
"""Of whom words are kept that do not count now, `ENDPOINTS_OF_EACH` of each: they may count later."""


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


class Standing(IntEnum):
    """What an endpoint has to show for itself; who has more is never kept out by who has less."""

    NOTHING = 0
    NAMES_A_KEY = 1
    """Its presence names a key of the contact's: everybody who reads that could have copied it."""
    HAS_SIGNED = 2
    """A message of this endpoint was believed by a key that the contact still has."""


class Presence:
    """Who is online, as the broker last told, of those who may be by the keys that they name.

    A lost phone says that it is there as well as before, under an account that others have too: in its own
    name, in another phone's, or in the names of phones that never were.
    """

    def __init__(
        self,
        may_be_there: Callable[[str, str | None], bool] = lambda uid, kid: True,
        standing: Callable[[str, str, str | None], Standing] = lambda *_: Standing.NOTHING,
    ) -> None:
        """`may_be_there(uid, kid)`: whether who names that key counts at all, as of now.

        `standing(uid, endpoint, kid)`: what it has to show, as of now.
        """
        self._may_be_there = may_be_there
        self._standing = standing
        self._endpoints: dict[str, dict[str, _Endpoint]] = {}
        self._dropped: Recent[tuple[str, str], str] = Recent(ENDPOINTS_OF_EACH)
        self._kept_out: Latest[str, _Presence] = Latest(KEPT_OUT_UIDS, ENDPOINTS_OF_EACH)

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
        if said is None or said.state == "offline":
            self._kept_out.drop(uid, endpoint)
            return [_gone(uid, endpoint)] if endpoints.pop(endpoint, None) else []
        return self._take_in(uid, endpoint, said)

    def heard(self, uid: str, endpoint: str) -> list[PresenceChanged]:
        """That endpoint was just believed by a key: what kept it out may do so no more."""
        said = self._kept_out.get(uid, endpoint)
        return self._again(uid, endpoint, said) if said else []

    def _take_in(self, uid: str, endpoint: str, said: _Presence) -> list[PresenceChanged]:
        if said.epoch is None:
            raise Rejected("malformed", "epoch is missing from a presence that is online")
        endpoints = self._endpoints[uid]
        known = endpoints.get(endpoint)
        self._kept_out.keep(uid, endpoint, said)  # until it is in
        if not self._may_be_there(uid, said.kid):
            return [self._drop(uid, endpoint)] if known else []
        made_room = [] if known else self._make_room(uid, endpoint, said.kid)
        self._kept_out.drop(uid, endpoint)
        endpoints[endpoint] = _Endpoint(said.epoch, said.name, said.kid)
        if known and known.confirmed and (known.epoch, known.name) == (said.epoch, said.name):
            return []
        came = PresenceChanged(uid, endpoint, online=True, epoch=said.epoch, name=said.name)
        return [*made_room, came]

    def _again(self, uid: str, endpoint: str, said: _Presence) -> list[PresenceChanged]:
        with suppress(Rejected):  # it was told when the word came
            return self._take_in(uid, endpoint, said)
        return []

    def _make_room(self, uid: str, endpoint: str, kid: str | None) -> list[PresenceChanged]:
        """Who has least to show goes, if that is less than the newcomer has. Raises `Rejected`."""
        endpoints = self._endpoints[uid]
        if len(endpoints) < ENDPOINTS_OF_EACH:
            return []
        shown = {
            name: (self._standing(uid, name, one.kid), one.confirmed)
            for name, one in endpoints.items()
        }
        least = min(shown, key=shown.__getitem__)
        if shown[least] >= (self._standing(uid, endpoint, kid), True):
            raise Rejected("flooded", f"{uid} has more than {ENDPOINTS_OF_EACH} endpoints online")
        del endpoints[least]
        return [_gone(uid, least)]

    def uids(self) -> list[str]:
        """Whose presence is known."""
        return list(self._endpoints)

    def drop(self, uid: str) -> list[PresenceChanged]:
        """That uid is no contact any more: to this device it is not there. It can still be told so."""
        gone = [self._drop(uid, endpoint) for endpoint in tuple(self._endpoints.get(uid, ()))]
        self._endpoints.pop(uid, None)
        self._kept_out.drop_group(uid)
        return gone

    def recount(self) -> list[PresenceChanged]:
        """Keys were taken in or back: who may be there now, and who no more. It can still be told so."""
        gone = []
        for uid, endpoints in self._endpoints.items():
            for endpoint, one in tuple(endpoints.items()):
                if not self._may_be_there(uid, one.kid):
                    said = _Presence(1, "online", one.epoch, one.name, one.kid)
                    self._kept_out.keep(uid, endpoint, said)
                    gone.append(self._drop(uid, endpoint))
        kept_out = [one for one in self._kept_out.items() if self._may_be_there(one[0], one[2].kid)]
        return gone + [change for one in kept_out for change in self._again(*one)]

    def _drop(self, uid: str, endpoint: str) -> PresenceChanged:
        self._dropped[uid, endpoint] = self._endpoints[uid].pop(endpoint).epoch
        return _gone(uid, endpoint)

    def disconnected(self) -> None:
        """The link is gone: what is known is of the past until it is told again."""
        self._dropped.clear()
        self._kept_out.clear()
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
