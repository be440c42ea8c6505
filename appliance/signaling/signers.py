"""Which keys have signed for which endpoint: what a list tells of it, and what a revocation ends."""

from __future__ import annotations

from collections.abc import Collection

from appliance.limits import Recent
from appliance.messages import Address

MAX_ENDPOINTS = 64
"""Of one uid that are remembered; where more have spoken, a revocation is about all of them."""


class Signers:
    """Remembers, of each endpoint that was believed by a signature, by which keys."""

    def __init__(self) -> None:
        """Nobody yet."""
        self._kids: dict[str, Recent[str, tuple[str, ...]]] = {}
        self._ever: dict[str, set[str]] = {}

    def heard(self, address: Address, kid: str) -> None:
        """An endpoint of a contact was believed by that key of it."""
        endpoints = self._kids.setdefault(address.uid, Recent(MAX_ENDPOINTS))
        endpoint = address.endpoint or ""
        self._ever.setdefault(address.uid, set()).add(kid)  # no more than the contact has keys
        before = endpoints.get(endpoint, ())
        endpoints[endpoint] = (*(one for one in before if one != kid), kid)

    def kid_of(self, uid: str, endpoint: str) -> str | None:
        """The key that has signed for an endpoint last."""
        endpoints = self._kids.get(uid)
        kids = endpoints.get(endpoint) if endpoints else None
        return kids[-1] if kids else None

    def of(self, kids: Collection[str]) -> frozenset[Address]:
        """The endpoints for which one of these keys has signed; endpoint None stands for all."""
        gone, found = set(kids), set()
        for uid, endpoints in self._kids.items():
            mine = {name for name, signed in endpoints.items() if not gone.isdisjoint(signed)}
            found |= {Address(uid, name) for name in mine}
            if len(endpoints) >= MAX_ENDPOINTS and not gone.isdisjoint(self._ever[uid]):
                found.add(Address(uid, None))  # it may have signed for one that is not remembered
        return frozenset(found)

    def forget(self, uid: str) -> None:
        """That uid is nobody any more."""
        self._kids.pop(uid, None)
        self._ever.pop(uid, None)
