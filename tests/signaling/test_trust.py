"""Who is believed: plain JSON where that is allowed, signatures by contacts, and by who hosts list."""

from __future__ import annotations

import pytest

from appliance.config import Contact
from appliance.signaling.rejected import Rejected
from appliance.signaling.trust import KeyTrust, PlainTrust, Unsigned
from appliance.trust.contacts import Contacts
from appliance.trust.jws import seal, unseal
from appliance.trust.keys import DeviceKey

JSON = b' \n{"v": 1}'
JWS = b"eyJhbGciOiJFZDI1NTE5In0.eyJ2IjoxfQ.c2lnbmF0dXJl"
UNSIGNED: tuple[Unsigned, ...] = ("refuse", "allow")
DOOR, PHONE, TABLET, GUEST = (DeviceKey.make() for _ in range(4))


def code(refused: object, *arguments: object, **named: object) -> str:
    with pytest.raises(Rejected) as caught:
        refused(*arguments, **named)  # type: ignore[operator]
    return caught.value.code


def contacts() -> Contacts:
    return Contacts({"alice": Contact(keys=(PHONE.public, TABLET.public)), "bob": Contact()})


def trust(unsigned: Unsigned = "refuse", book: Contacts | None = None) -> KeyTrust:
    return KeyTrust(DOOR, book or contacts(), unsigned)


# -------------------- without keys


def test_allowed_means_as_it_is() -> None:
    plain = PlainTrust("allow")
    assert plain.open("alice", JSON) == (JSON, None)
    assert plain.seal("alice", JSON) == JSON


def test_refused_means_in_neither_direction() -> None:
    plain = PlainTrust("refuse")
    for way in (plain.open, plain.seal):
        with pytest.raises(Rejected, match="unsigned is refuse") as caught:
            way("alice", JSON)
        assert caught.value.code == "unsigned"


def test_a_signature_that_cannot_be_verified_is_not_guessed_at() -> None:
    for plain in (PlainTrust("allow"), PlainTrust("refuse")):
        assert code(plain.open, "alice", JWS) == "unverifiable"
        assert plain.key_text("alice", "kid") is None


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b"a.b", b"hello."])
def test_what_is_neither_is_left_to_who_reads_json(payload: bytes) -> None:
    for believing in (PlainTrust("allow"), trust("allow")):
        assert believing.open("alice", payload).payload == payload
    for believing in (PlainTrust("refuse"), trust("refuse")):
        assert code(believing.open, "alice", payload) == "unsigned"


# -------------------- with keys


@pytest.mark.parametrize("unsigned", ["refuse", "allow"])
def test_every_key_of_a_contact_is_believed_and_no_other(unsigned: Unsigned) -> None:
    believing = trust(unsigned)
    assert believing.open("alice", seal(JSON, PHONE)) == (JSON, PHONE.kid)
    assert believing.open("alice", seal(JSON, TABLET)) == (JSON, TABLET.kid)
    assert code(believing.open, "alice", seal(JSON, GUEST)) == "unverifiable"
    assert code(believing.open, "bob", seal(JSON, PHONE)) == "unverifiable"
    assert code(believing.open, "nobody", seal(JSON, PHONE)) == "unverifiable"
    assert code(believing.open, "alice", seal(JSON, PHONE)[:-4] + b"AAAA") == "forged"
    assert code(believing.open, "alice", JWS) == "bad_header"


def test_plain_is_taken_where_that_is_allowed_and_only_there() -> None:
    assert trust("allow").open("alice", JSON) == (JSON, None)
    assert code(trust("refuse").open, "alice", JSON) == "unsigned"


def test_it_signs_to_who_has_keys_and_else_writes_plainly_where_that_is_allowed() -> None:
    for sealed in (trust("refuse").seal("alice", JSON), trust("allow").seal("alice", JSON)):
        assert unseal(sealed, {DOOR.kid: DOOR.public_key}).payload == JSON
    assert trust("allow").seal("bob", JSON) == JSON
    assert code(trust("refuse").seal, "bob", JSON) == "unsigned"


def test_without_a_key_of_its_own_it_believes_and_does_not_sign() -> None:
    believing = KeyTrust(None, contacts(), "allow")
    assert (believing.kid, believing.public_key) == (None, None)
    assert believing.open("alice", seal(JSON, PHONE)).kid == PHONE.kid
    assert believing.seal("bob", JSON) == JSON
    assert code(believing.seal, "alice", JSON) == "no_device_key"


def test_its_own_key_is_told() -> None:
    assert (trust().kid, trust().public_key) == (DOOR.kid, DOOR.public)
    assert trust().key_text("alice", PHONE.kid) == PHONE.public
    assert trust().key_text("alice", GUEST.kid) is None


# -------------------- by a host's list


def test_who_is_no_contact_is_believed_by_the_keys_that_hosts_list() -> None:
    listed = {GUEST.kid: GUEST.public_key}
    assert trust().open("guest", seal(JSON, GUEST), listed).kid == GUEST.kid
    assert code(trust().open, "guest", seal(JSON, PHONE), listed) == "unverifiable"
    sealed = trust().seal("guest", JSON, listed=True)
    assert unseal(sealed, {DOOR.kid: DOOR.public_key}).payload == JSON


def test_of_a_contact_only_its_own_keys_count_whatever_a_host_lists() -> None:
    listed = {GUEST.kid: GUEST.public_key}
    assert code(trust().open, "alice", seal(JSON, GUEST), listed) == "unverifiable"


# -------------------- who is there


async def test_who_has_keys_is_there_by_one_of_them_where_only_signatures_count() -> None:
    book = contacts()
    for kid in (None, PHONE.kid, GUEST.kid):
        assert trust("refuse", book).may_be_there("alice", kid) is (kid == PHONE.kid)
        assert trust("refuse", book).may_be_there("bob", kid), "he has none"
        assert trust("allow", book).may_be_there("alice", kid)
        assert PlainTrust("refuse").may_be_there("alice", kid)
    await book.revoke("alice", PHONE.kid)
    for unsigned in UNSIGNED:
        assert not trust(unsigned, book).may_be_there("alice", PHONE.kid)


# -------------------- revoked


async def test_a_revoked_key_is_believed_by_nobodys_word() -> None:
    book = contacts()
    believing = trust("allow", book)
    await book.revoke("alice", PHONE.kid)
    assert code(believing.open, "alice", seal(JSON, PHONE)) == "unverifiable"
    assert believing.open("alice", seal(JSON, TABLET)).kid == TABLET.kid
    listed = {PHONE.kid: PHONE.public_key}
    assert code(believing.open, "somebody", seal(JSON, PHONE), listed) == "unverifiable"


@pytest.mark.parametrize("unsigned", ["refuse", "allow"])
async def test_a_revoked_contact_is_nobody_in_any_spelling(unsigned: Unsigned) -> None:
    book = contacts()
    believing = trust(unsigned, book)
    await book.revoke("alice")
    listed = {GUEST.kid: GUEST.public_key}
    for payload in (JSON, seal(JSON, PHONE), seal(JSON, GUEST)):
        assert code(believing.open, "alice", payload, listed) == "revoked"


async def test_who_once_had_a_key_is_never_written_to_plainly() -> None:
    book = contacts()
    believing = trust("allow", book)
    believing.seal("alice", JSON)
    await book.revoke("alice")
    sealed = believing.seal("alice", JSON)  # the last word, which says that it is over
    assert unseal(sealed, {DOOR.kid: DOOR.public_key}).payload == JSON
