"""Whether a payload is believed to be its sender's: the place where signatures come in."""

from __future__ import annotations

import re
from typing import Literal, Protocol

from appliance.signaling.rejected import Rejected

_COMPACT_JWS = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""RFC 7515, section 7.1."""


class Trust(Protocol):
    """Takes a payload out of its signature, and puts one into it."""

    def open(self, sender: str, payload: bytes) -> bytes:
        """The JSON that `sender` is believed to have written; raises `Rejected`."""

    def seal(self, receiver: str, payload: bytes) -> bytes:
        """The JSON as `receiver` will believe it; raises `Rejected` if it would not."""


class PlainTrust:
    """Without keys: plain JSON is taken where `[security] unsigned` allows it, and nothing else."""

    def __init__(self, unsigned: Literal["refuse", "allow"]) -> None:
        self._allowed = unsigned == "allow"

    def open(self, sender: str, payload: bytes) -> bytes:
        """The payload itself, if plain JSON is allowed."""
        if _COMPACT_JWS.fullmatch(payload):
            raise Rejected("unverifiable", f"{sender} signed this, with no key that is known here")
        if not self._allowed:
            raise Rejected(
                "unsigned", f"{sender} did not sign this, and [security] unsigned is refuse"
            )
        return payload

    def seal(self, receiver: str, payload: bytes) -> bytes:
        """The payload itself, if plain JSON is allowed."""
        if not self._allowed:
            raise Rejected(
                "unsigned", f"{receiver} has no key, and [security] unsigned is refuse: not sent"
            )
        return payload
