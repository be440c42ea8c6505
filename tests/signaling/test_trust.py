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


def test_a_signature_that_cannot_be_verified_is_not_guessed_at() -> None:
    for trust in (PlainTrust("allow"), PlainTrust("refuse")):
        with pytest.raises(Rejected) as caught:
            trust.open("alice", JWS)
        assert caught.value.code == "unverifiable"


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b"a.b", b"hello."])
def test_what_is_neither_is_left_to_who_reads_json(payload: bytes) -> None:
    assert PlainTrust("allow").open("alice", payload) == payload
    with pytest.raises(Rejected) as caught:
        PlainTrust("refuse").open("alice", payload)
    assert caught.value.code == "unsigned"
