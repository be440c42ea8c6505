"""Plain JSON is believed where the configuration allows it, and nowhere else."""

from __future__ import annotations

import pytest

from appliance.signaling.rejected import Rejected
from appliance.signaling.trust import PlainTrust

JSON = b' \n{"v": 1}'
JWS = b"eyJhbGciOiJFZDI1NTE5In0.eyJ2IjoxfQ.c2lnbmF0dXJl"


def test_allowed_means_as_it_is() -> None:
    trust = PlainTrust("allow")
    assert trust.open("alice", JSON) == JSON
    assert trust.seal("alice", JSON) == JSON


def test_refused_means_in_neither_direction() -> None:
    trust = PlainTrust("refuse")
    for way in (trust.open, trust.seal):
        with pytest.raises(Rejected, match="unsigned is refuse") as caught:
            way("alice", JSON)
        assert caught.value.code == "unsigned"


@pytest.mark.parametrize("payload", [JWS, b"", b"[]", b"\xff"])
def test_what_cannot_be_verified_is_not_guessed_at(payload: bytes) -> None:
    for trust in (PlainTrust("allow"), PlainTrust("refuse")):
        with pytest.raises(Rejected) as caught:
            trust.open("alice", payload)
        assert caught.value.code == "unverifiable"
