"""Logging in with a contact's key: once each challenge, for one origin, as long as the key counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from appliance.config import Contact
from appliance.trust.contacts import Contacts
from appliance.trust.keys import DeviceKey, decoded, encoded
from appliance.web import sessions as rules
from appliance.web.sessions import NotLetIn, Session, Sessions, TooManyAttempts

ORIGIN = "https://front-door.local:8443"
ALICE, TABLET, BOB = DeviceKey.make(), DeviceKey.make(), DeviceKey.make()


class House:
    """The sessions of a house in which time is a number."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.contacts = Contacts(
            {
                "alice": Contact(keys=(ALICE.public, TABLET.public)),
                "bob": Contact(keys=(BOB.public,)),
            }
        )
        self.sessions = Sessions(self.contacts, lambda: self.now_s)

    def entry(self, key: DeviceKey = ALICE, uid: str = "alice", **changes: Any) -> dict[str, Any]:
        challenge = changes.pop("challenge", None) or self.sessions.challenge()
        origin = changes.pop("signed_origin", ORIGIN)
        signature = encoded(key.sign(f"login\n{origin}\n{challenge}".encode()))
        entry = {"uid": uid, "kid": key.kid, "challenge": challenge, "signature": signature}
        return {**entry, "origin": ORIGIN, "address": "192.168.1.7", **changes}

    def login(self, *who: Any, **changes: Any) -> tuple[str, Session]:
        return self.sessions.login(**self.entry(*who, **changes))


@pytest.fixture
def house() -> House:
    return House()


def test_who_has_the_key_is_let_in_until_the_session_ends(house: House) -> None:
    secret, session = house.login()
    assert (session.uid, session.kid) == ("alice", ALICE.kid)
    assert house.sessions.of(secret) is session
    assert house.sessions.of("x" + secret[1:]) is None
    assert house.sessions.of(None) is None
    house.now_s += rules.SESSION_S - 1
    assert house.sessions.of(secret) is session
    house.now_s += 1
    assert house.sessions.of(secret) is None
    assert session.over


def test_a_challenge_counts_once_and_not_for_long(house: House) -> None:
    entry = house.entry()
    house.sessions.login(**entry)
    with pytest.raises(NotLetIn):
        house.sessions.login(**entry)
    late = house.entry()
    house.now_s += rules.CHALLENGE_S
    with pytest.raises(NotLetIn):
        house.sessions.login(**late)


def another_time(challenge: str) -> str:
    raw = bytearray(decoded(challenge))
    raw[23] ^= 1
    return encoded(bytes(raw))


WRONG: list[Callable[[House], dict[str, Any]]] = [
    lambda house: house.entry(BOB),
    lambda house: house.entry(BOB, kid=ALICE.kid),
    lambda house: house.entry(ALICE, "bob"),
    lambda house: house.entry(ALICE, "nobody"),
    lambda house: house.entry(DeviceKey.make()),
    lambda house: house.entry(signed_origin="https://evil.example"),
    lambda house: house.entry(challenge=encoded(b"x" * 40)),
    lambda house: house.entry(challenge=another_time(house.sessions.challenge())),
    lambda house: house.entry(challenge=House().sessions.challenge()),
    lambda house: house.entry(challenge="short"),
    lambda house: house.entry(signature="!"),
    lambda house: house.entry(signature=encoded(b"x" * 63)),
    lambda house: house.entry(signature=encoded(b"x" * 64)),
]


@pytest.mark.parametrize("entry", WRONG)
def test_nobody_else_is(house: House, entry: Callable[[House], dict[str, Any]]) -> None:
    with pytest.raises(NotLetIn):
        house.sessions.login(**entry(house))
    assert len(house.sessions) == 0


async def test_a_session_dies_with_its_key_and_tells(house: House) -> None:
    phone, session = house.login()
    tablet, _ = house.login(TABLET)
    told: list[str] = []
    session.on_over.append(lambda: told.append("phone"))
    await house.contacts.revoke("alice", ALICE.kid)
    assert house.sessions.of(phone) is None
    assert told == ["phone"]
    assert house.sessions.of(tablet) is not None
    with pytest.raises(NotLetIn):
        house.login()
    await house.contacts.revoke("alice")
    assert house.sessions.of(tablet) is None


def test_who_fails_often_has_to_wait_and_nobody_else(house: House) -> None:
    for _ in range(rules.ATTEMPTS):
        with pytest.raises(NotLetIn):
            house.login(BOB)
    with pytest.raises(TooManyAttempts) as held:
        house.login(ALICE)
    assert 0 < held.value.after_s <= rules.ATTEMPT_EVERY_S
    house.login(ALICE, address="192.168.1.8")
    house.now_s += rules.ATTEMPT_EVERY_S
    house.login(ALICE)


def test_whoever_has_a_whole_network_of_addresses_has_one_share(house: House) -> None:
    """The least that anybody is given of IPv6 are 2^64 addresses."""
    refused = 0
    for number in range(rules.ATTEMPTS + 30):
        with pytest.raises((NotLetIn, TooManyAttempts)) as held:
            house.login(BOB, address=f"2001:db8:0:1::{number:x}")
        refused += held.type is TooManyAttempts
    assert refused == 30
    assert len(house.sessions._failed) == 1
    with pytest.raises(TooManyAttempts):
        house.login(BOB, address="2001:db8:0:1:ffff::")
    house.login(address="2001:db8:0:2::1")
    house.login(address="192.168.1.7")
    house.login(address="::ffff:192.168.1.8")


def test_all_together_are_bounded_too(house: House) -> None:
    for number in range(rules.ALL_ATTEMPTS):
        with pytest.raises(NotLetIn):
            house.login(BOB, address=f"10.0.{number // 250}.{number % 250}")
    with pytest.raises(TooManyAttempts):
        house.login(ALICE, address="192.168.9.9")
    house.now_s += 1
    house.login(ALICE, address="192.168.9.9")


def test_there_is_an_end_of_sessions_addresses_and_challenges(house: House) -> None:
    first, session = house.login()
    for number in range(rules.MAX_SESSIONS_OF_ONE):
        house.now_s += 1
        house.login(address=f"10.0.0.{number}")
    assert len(house.sessions) == rules.MAX_SESSIONS_OF_ONE
    assert house.sessions.of(first) is None
    assert session.over
    for number in range(rules.MAX_ADDRESSES + 20):
        house.now_s += 1
        with pytest.raises(NotLetIn):
            house.login(BOB, address=f"10.1.{number // 250}.{number % 250}")
    assert len(house.sessions._failed) == rules.MAX_ADDRESSES
    kept = len(house.sessions._used)
    for _ in range(1000):
        house.sessions.challenge()
    assert len(house.sessions._used) == kept, "asking for challenges takes nothing"


def test_at_the_end_all_are_over(house: House) -> None:
    _, session = house.login()
    house.sessions.close()
    assert session.over
    assert house.contacts._watchers == []


def test_who_logs_out_is_out(house: House) -> None:
    secret, _ = house.login()
    house.sessions.logout(secret)
    house.sessions.logout(None)
    assert house.sessions.of(secret) is None
