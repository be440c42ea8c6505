"""Which keys have signed for which endpoint."""

from __future__ import annotations

from appliance.messages import Address
from appliance.signaling.signers import MAX_ENDPOINTS, Signers

PHONE, TABLET = Address("alice", "phone"), Address("alice", "tablet")


def test_a_revocation_is_about_every_endpoint_for_which_the_key_has_signed() -> None:
    signers = Signers()
    signers.heard(PHONE, "lost")
    signers.heard(TABLET, "kept")
    signers.heard(Address("bob", "phone"), "bobs")
    assert signers.kid_of("alice", "phone") == "lost"
    assert signers.kid_of("alice", "watch") is None
    assert signers.of({"lost"}) == {PHONE}
    signers.heard(TABLET, "lost")
    signers.heard(TABLET, "kept")  # who signs last does not cover up who has signed before
    assert signers.kid_of("alice", "tablet") == "kept"
    assert signers.of({"lost"}) == {PHONE, TABLET}
    assert signers.of({"unheard"}) == frozenset()
    signers.forget("alice")
    assert signers.of({"lost", "kept"}) == frozenset()


def test_where_too_many_have_spoken_to_remember_it_is_about_all() -> None:
    signers = Signers()
    signers.heard(PHONE, "lost")
    for number in range(MAX_ENDPOINTS + 1):
        signers.heard(Address("alice", f"e{number}"), "kept")
    assert Address("alice") in signers.of({"lost"})
    assert Address("alice") not in signers.of({"unheard"})
