"""Whom hosts' lists have told of: how to reach those whose presence is not seen, and to believe them.

A list is kept beside who sent it, and counts once the core has found its sender to be the host of that
call, whose lists are to be followed: until then nobody is heard, remembered or written to by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from appliance.limits import Recent
from appliance.messages import Address
from appliance.trust.keys import PublicKey

MAX_CALLS = 16
"""More lists than a device can be in sessions at once are somebody's nonsense; counted for each sender,
so that nobody pushes out another's."""


class Reach(NamedTuple):
    """How an endpoint is written to, and believed: its epoch, and its public key in base64url."""

    epoch: str | None = None
    key: str | None = None


Listing = Mapping[Address, Reach]


class Listed:
    """The participants of each call, as the latest list of each sender has them."""

    def __init__(self) -> None:
        """Nobody yet."""
        self._told: dict[str, Recent[tuple[str, Address], Listing]] = {}
        self._followed: Recent[str, Address] = Recent(MAX_CALLS)
        self._uids: frozenset[str] = frozenset()

    def told(self, call_id: str, sender: Address, listing: Listing) -> None:
        """A contact sent a list under this call_id, as the host that is followed or not."""
        of_sender = self._told.setdefault(sender.uid, Recent(MAX_CALLS))
        of_sender[call_id, sender] = listing
        self._changed()

    def follow(self, call_id: str, host: Address) -> None:
        """The core has found that sender to be the host of that call; endpoint None: any of that uid."""
        self._followed[call_id] = host
        self._changed()

    def forget(self, call_id: str) -> None:
        """The call is over."""
        self._followed.pop(call_id, None)
        for of_sender in self._told.values():
            for known in [key for key in of_sender if key[0] == call_id]:
                del of_sender[known]
        self._changed()

    def drop(self, sender: str) -> None:
        """That sender is no contact any more: nobody is believed by its word."""
        self._told.pop(sender, None)
        self._changed()

    def knows(self, uid: str) -> bool:
        """Whether a list that counts names an endpoint of that uid; may be asked on any thread."""
        return uid in self._uids

    def followed(self) -> frozenset[str]:
        """Whom the lists name that count."""
        return self._uids

    def keys_of(self, uid: str) -> Mapping[str, PublicKey]:
        """The keys that lists that count tell of that uid, each by its thumbprint."""
        keys = {}
        for _, listing in self._counting():
            for one, reach in listing.items():
                if one.uid == uid and (key := _key(reach)):
                    keys[key.kid] = key
        return keys

    def keys(self) -> frozenset[tuple[str, str]]:
        """Of all that lists that count tell: each uid, with the thumbprint of a key of it."""
        return frozenset(
            (one.uid, key.kid)
            for _, listing in self._counting()
            for one, reach in listing.items()
            if (key := _key(reach))
        )

    def vouched_by(self, address: Address, kid: str | None) -> frozenset[Address]:
        """Which host tells of that endpoint with that key; of any where it is believed without (None)."""
        return frozenset(
            sender
            for sender, listing in self._counting()
            if (reach := listing.get(address)) is not None
            and (kid is None or ((key := _key(reach)) is not None and key.kid == kid))
        )

    def reach_of(self, uid: str, endpoint: str | None) -> Reach | None:
        """How an endpoint is reached, by the latest list that the core followed and that has it."""
        for call_id, host in reversed(self._followed.items()):
            of_host = self._told.get(host.uid)
            listing = of_host.get((call_id, host)) if of_host else None
            reach = listing.get(Address(uid, endpoint)) if listing else None
            if reach is not None and (reach.epoch or reach.key):
                return reach
        return None

    def _changed(self) -> None:
        self._uids = frozenset(one.uid for _, listing in self._counting() for one in listing)

    def _counting(self) -> list[tuple[Address, Listing]]:
        """The lists of those hosts that are followed, each with who has sent it."""
        return [
            (sender, listing)
            for call_id, host in self._followed.items()
            for (listed_in, sender), listing in self._told.get(host.uid, {}).items()
            if listed_in == call_id and host in (sender, Address(host.uid))
        ]


def _key(reach: Reach) -> PublicKey | None:
    try:
        return PublicKey.read(reach.key) if reach.key else None
    except ValueError:
        return None  # which is no key: nobody is believed by it
