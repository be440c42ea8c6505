"""Whom a name means, what it may, and what becomes of an invitation, with the real book of contacts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from appliance.config import Contact, Device, Mqtt
from appliance.errors import Refused
from appliance.inviting import LONGEST_S, Inviting, Page
from appliance.messages import Address
from appliance.model import Right
from appliance.signaling.pairing import PairBody, PairedBody, Pairing, proof_of
from appliance.signaling.rejected import Rejected
from appliance.signaling.wire import Letter
from appliance.trust.contacts import Contacts
from appliance.trust.keys import DeviceKey, decoded

CONFIGURED = {
    "alice": Contact(name="Alice", may=(Right.CALL, Right.ANSWER, Right.UNLOCK)),
    "bob": Contact(name="Bob"),
    "bob-2": Contact(name="Bob"),
}


AUTHORITY = {"url": "https://door.local/ca.crt", "sha256": "3F:A0:77"}


async def the_page() -> Page:
    return Page("https://door.local/", AUTHORITY)


@dataclass
class Desk:
    """Whoever makes accounts, and whoever pairs."""

    inviting: Inviting
    pairing: Pairing
    contacts: Contacts
    key: DeviceKey
    made: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    async def comes(self, told: dict[str, Any], **changes: Any) -> PairedBody:
        """A phone takes an invitation."""
        words = told["invitation"] | changes
        key = DeviceKey.make().public
        proof = proof_of(decoded(words["secret"]), words["device_id"], words["uid"], key)
        sender = Address(words["uid"], "phone")
        letter = Letter("pair", "m", "c", sender, Address("door"), PairBody(key, proof))
        found = self.pairing.judge(letter, asyncio.get_running_loop().time())
        assert not isinstance(found, PairedBody | None)
        return await self.pairing.conclude(letter, found)


class Accounts:
    """A broker whose accounts this device makes."""

    def __init__(self, *by_hand: str) -> None:
        """Some were made by hand."""
        self.by_hand = by_hand
        self.good: dict[str, str] = {}
        self.made: list[str] = []
        self.removed: list[str] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self._lock = asyncio.Lock()

    async def make(self, uid: str) -> str | None:
        async with self._lock:
            await asyncio.sleep(0)
            if uid in self.by_hand:
                raise Refused("no_account", f"{uid} has an account that was made by hand")
            if uid not in self.good:
                self.made.append(uid)
                self.good[uid] = f"{uid}-{self.made.count(uid)}"
            await self.answers.wait()
            return self.good[uid]

    async def remove(self, uid: str) -> None:
        async with self._lock:
            await asyncio.sleep(0)
            if self.good.pop(uid, None):
                self.removed.append(uid)

    async def until_good(self, *uids: str) -> None:
        """What is removed is removed by a task."""
        async with asyncio.timeout(30):
            while {*self.good} != {*uids}:  # noqa: ASYNC110 - no more than a dict
                await asyncio.sleep(0.01)


@asynccontextmanager
async def desk(accounts: Accounts | None = None, **changes: Any) -> AsyncIterator[Desk]:
    key, contacts = DeviceKey.make(), Contacts(CONFIGURED)
    pairing = Pairing("door", key, contacts)
    options: dict[str, Any] = {
        "configured": CONFIGURED,
        "groups": ["family"],
        "page": the_page,
        "websocket_url": "wss://door.local:8884/",
        "accounts": accounts,
    }
    device = Device(id="door", name="Front door")
    async with Inviting(device, Mqtt(), key, contacts, pairing, **options | changes) as inviting:
        yield Desk(inviting, pairing, contacts, key)


async def test_an_invitation_says_all_that_a_phone_has_to_know() -> None:
    async with desk() as one:
        invited = await one.inviting.invite("Zoë")
        words = dict(invited.told["invitation"])
        assert len(decoded(words.pop("secret"))) == 16
        assert words == {
            "v": 1,
            "root": "appliance",
            "device_id": "door",
            "public_key": one.key.public,
            "websocket_url": "wss://door.local:8884/",
            "username": "zoe",
            "password": None,
            "uid": "zoe",
            "name": "Zoë",
        }
        assert invited.told["page"] == "https://door.local/"
        assert invited.told["authority"] == AUTHORITY
        assert invited.told["may"] == ["call", "answer"]
        assert (invited.told["known"], invited.told["expires_s"]) == (False, 600.0)


@pytest.mark.parametrize(
    ("name", "uid", "shown", "known"),
    [
        ("alice", "alice", "Alice", True),
        ("Alice", "alice", "Alice", True),
        ("ALICE ", "alice", "Alice", True),
        ("bob-2", "bob-2", "Bob", True),
        ("Ålice", "alice-2", "Ålice", False),
        ("Family", "family-2", "Family", False),
        ("Door", "door-2", "Door", False),
    ],
)
async def test_a_name_is_a_contact_who_has_it_or_somebody_new(
    name: str, uid: str, shown: str, known: bool
) -> None:
    async with desk() as one:
        told = (await one.inviting.invite(name)).told
        assert (told["invitation"]["uid"], told["invitation"]["name"]) == (uid, shown)
        assert told["known"] is known


@pytest.mark.parametrize(
    ("name", "may", "lasts_s", "code"),
    [
        ("", None, None, "bad_name"),
        ("x" * 65, None, None, "bad_name"),
        ("two\x00lines", None, None, "bad_name"),
        ("door", None, None, "bad_name"),
        ("Bob", None, None, "ambiguous"),
        ("Zoe", ["unlok"], None, "bad_right"),
        ("Zoe", None, LONGEST_S + 1, "bad_expiry"),
        ("alice", ["call"], None, "configured"),
    ],
)
async def test_what_cannot_be_is_refused(
    name: str, may: Sequence[str] | None, lasts_s: float | None, code: str
) -> None:
    opened: list[str] = []

    async def page() -> Page:
        opened.append(name)
        return Page(None)

    async with desk(page=page) as one:
        with pytest.raises(Refused) as refused:
            await one.inviting.invite(name, may, lasts_s)
        assert opened == [], "no page is opened for it"
        assert refused.value.code == code
        assert len(one.pairing.invitations) == 0


async def test_where_no_phone_would_find_the_broker_nobody_is_invited() -> None:
    async with desk(websocket_url=None) as one:
        with pytest.raises(Refused, match="websocket_url"):
            await one.inviting.invite("Zoe")


async def test_what_a_person_may_is_as_said_or_as_before_or_as_configured() -> None:
    async with desk() as one:
        for name, may, expected in (
            ("Zoe", ["unlock", "call"], ["call", "unlock"]),
            ("Zoe", None, ["call", "unlock"]),  # one more phone
            ("Zoe", ["answer"], ["answer"]),
            ("alice", None, ["call", "answer", "unlock"]),
            ("bob", None, ["call", "answer"]),  # of whom the configuration says nothing
        ):
            invited = await one.inviting.invite(name, may)
            assert invited.told["may"] == expected
            answer = await one.comes(dict(invited.told))
            assert answer.may == tuple(expected)
            outcome = await invited.outcome()
            assert outcome["outcome"] == "paired"
            assert outcome["may"] == expected
            assert outcome["kid"] == answer.kid
        assert len(one.contacts.keys_of("zoe")) == 3


async def test_two_who_are_invited_at_once_are_two_and_one_is_one() -> None:
    async with desk() as one:
        first = await one.inviting.invite("Zoe")
        other = await one.inviting.invite("Zoë")
        assert [each.told["invitation"]["uid"] for each in (first, other)] == ["zoe", "zoe-2"]
        with pytest.raises(Refused, match="invited already"):
            await one.inviting.invite("zoe")
        first.withdraw()
        again = await one.inviting.invite("zoe")
        assert again.told["invitation"]["uid"] == "zoe"
        await one.comes(dict(again.told))
        assert (await one.inviting.invite("zoe")).told["known"]
        assert (await one.inviting.invite("zoe")).told["known"], "two more phones at once"


async def test_one_that_nobody_takes_ends_by_itself() -> None:
    async with desk() as one:
        invited = await one.inviting.invite("Zoe", None, 0.01)
        assert (await invited.outcome())["outcome"] == "expired"
        assert len(one.pairing.invitations) == 0


async def test_who_is_revoked_comes_back_by_no_invitation_of_before() -> None:
    """One that was made afterwards is meant, whoever else comes and goes meanwhile."""
    async with desk() as one:
        before = await one.inviting.invite("alice")
        lost = (await one.comes(dict((await one.inviting.invite("alice")).told))).kid
        await one.contacts.revoke("alice", lost)
        assert len(one.pairing.invitations) == 1, "it is for the phone that takes its place"
        await one.contacts.revoke("alice")
        outcome = await before.outcome()
        assert (outcome["outcome"], outcome["why"]) == ("withdrawn", "alice was revoked")
        with pytest.raises(Rejected, match="no invitation is open"):
            await one.comes(dict(before.told))
        after = await one.inviting.invite("Alice")
        assert after.told["invitation"]["uid"] == "alice"
        await one.contacts.revoke("bob")
        assert (await one.comes(dict(after.told))).error is None


async def test_whoever_gives_up_waiting_takes_it_back() -> None:
    async with desk() as one:
        invited = await one.inviting.invite("Zoe")
        waiting = asyncio.get_running_loop().create_task(invited.outcome())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert len(one.pairing.invitations) == 0


async def test_an_appliance_that_ends_takes_all_back() -> None:
    async with desk() as one:
        invited = await one.inviting.invite("Zoe")
    assert (await invited.outcome())["outcome"] == "withdrawn"


async def test_a_key_that_cannot_be_kept_is_told_to_both() -> None:
    async with desk() as one:
        invited = await one.inviting.invite("Zoe")
        taken = await one.inviting.invite("Yan")
        words = dict(taken.told["invitation"])
        key = DeviceKey.make().public
        for told in (taken.told, invited.told):
            words = told["invitation"]
            proof = proof_of(decoded(words["secret"]), "door", words["uid"], key)
            letter = Letter(
                "pair", "m", "c", Address(words["uid"], "p"), Address("door"), PairBody(key, proof)
            )
            found = one.pairing.judge(letter, asyncio.get_running_loop().time())
            assert not isinstance(found, PairedBody | None)
            answer = await one.pairing.conclude(letter, found)
        assert answer.error == "not_kept"
        outcome = await invited.outcome()
        assert (outcome["outcome"], "yan's already" in outcome["why"]) == ("failed", True)


@pytest.mark.parametrize("name", ["alice", "Zoe"], ids=["configured", "new"])
async def test_who_has_no_key_keeps_no_account_beyond_the_invitation(name: str) -> None:
    accounts, uid, had = Accounts(), name.lower(), set()
    async with desk(accounts) as one:
        for _ in range(3):  # as the welcome does: another one at once, and the old is worth nothing
            invited = await one.inviting.invite(name)
            password = invited.told["invitation"]["password"]
            assert accounts.good == {uid: password}
            assert password not in had
            had.add(password)
            invited.withdraw()
            await invited.outcome()
        invited = await one.inviting.invite(name, None, 0.01)
        assert (await invited.outcome())["outcome"] == "expired"
        await accounts.until_good()
        invited = await one.inviting.invite(name)
        await one.comes(dict(invited.told))
        await invited.outcome()
        second = await one.inviting.invite(name)
        password = invited.told["invitation"]["password"]
        assert second.told["invitation"]["password"] == password, "two phones, one account"
        assert password not in had
        second.withdraw()
        await second.outcome()
    assert accounts.good == {uid: password}, "it has a phone"


async def test_an_account_is_there_as_long_as_one_of_its_invitations_is() -> None:
    accounts = Accounts()
    async with desk(accounts) as one:
        first = await one.inviting.invite("alice")
        other = await one.inviting.invite("alice")
        assert first.told["invitation"]["password"] == other.told["invitation"]["password"]
        first.withdraw()
        third = await one.inviting.invite("alice")
        assert third.told["invitation"]["password"] == other.told["invitation"]["password"]
        other.withdraw()
        assert accounts.removed == []
        third.withdraw()
        await accounts.until_good()


async def test_what_was_left_of_an_invitation_before_a_restart_is_worth_nothing() -> None:
    accounts = Accounts()
    left = await accounts.make("alice")
    async with desk(accounts) as one:
        invited = await one.inviting.invite("alice")
        assert invited.told["invitation"]["password"] not in (None, left)


async def test_an_invitation_that_does_not_come_about_leaves_no_account() -> None:
    accounts = Accounts()
    async with desk(accounts) as one:
        for number in range(16):
            await one.inviting.invite(f"guest {number}")
        with pytest.raises(Refused, match="open already"):
            await one.inviting.invite("alice")
        with pytest.raises(Refused, match="open already"):
            await one.inviting.invite("Zoe")
        await accounts.until_good(*(f"guest-{number}" for number in range(16)))
        one.pairing.invitations.withdraw_all()
        accounts.answers.clear()
        asking = asyncio.get_running_loop().create_task(one.inviting.invite("Zoe"))
        await accounts.until_good("zoe")
        asking.cancel()  # whoever asked has gone away
        with pytest.raises(asyncio.CancelledError):
            await asking
        await accounts.until_good()
        accounts.answers.set()
        assert (await one.inviting.invite("Zoe")).told["invitation"]["uid"] == "zoe"


async def test_who_has_an_account_by_hand_is_told_its_password_and_keeps_it() -> None:
    accounts = Accounts("alice")
    async with desk(accounts) as one:
        invited = await one.inviting.invite("alice")
        assert invited.told["invitation"]["password"] is None
        invited.withdraw()
        await invited.outcome()
    assert (accounts.made, accounts.removed) == ([], [])


@pytest.mark.parametrize("may", [None, ["call", "answer", "view"]])
async def test_a_screen_gives_no_more_than_the_usual_rights(may: Sequence[str] | None) -> None:
    """Whoever comes by may scan it."""
    shown: list[str | None] = []
    async with desk(screen=shown.append) as one:
        name = "alice" if may is None else "Zoe"
        with pytest.raises(Refused, match=f"logged in types `appliance pair {name}`") as refused:
            await one.inviting.invite(name, may, on_screen=True)
        assert refused.value.code == "not_on_screen"
        assert (shown, len(one.pairing.invitations)) == ([], 0)
        assert (await one.inviting.invite(name, may)).told["may"], "for who is logged in"
        for other in ("bob", "Yan"):
            invited = await one.inviting.invite(other, on_screen=True)
            assert invited.told["may"] == ["call", "answer"]
            invited.withdraw()


async def test_without_an_account_nobody_new_is_invited_and_who_is_known_may_have_one() -> None:
    class Full(Accounts):
        async def make(self, uid: str) -> str | None:
            raise Refused("no_account", "there is no room")

    async with desk(Full()) as one:
        with pytest.raises(Refused, match="no room"):
            await one.inviting.invite("Zoe")
        with pytest.raises(Refused, match="no room"):
            await one.inviting.invite("Zoe")
        invited = await one.inviting.invite("alice")
        assert invited.told["invitation"]["password"] is None
