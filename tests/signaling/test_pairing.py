"""Invitations: what proves one, how each of them ends, and what is answered to whom."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from appliance.calls.inputs import FaultReported, Input, LinkChanged, LinkState
from appliance.config import Contact, Device, Mqtt, Security
from appliance.errors import Refused
from appliance.messages import Address
from appliance.model import Right
from appliance.signaling.base import Subscription
from appliance.signaling.link import MqttSignaling
from appliance.signaling.loopback import LoopbackBroker, LoopbackLink
from appliance.signaling.pairing import (
    ANSWERS_BURST,
    MAX_OPEN,
    MAX_WRONG,
    Ending,
    Invitation,
    Invitations,
    PairBody,
    Pairing,
    proof_of,
)
from appliance.signaling.rejected import Rejected
from appliance.trust.contacts import Contacts
from appliance.trust.jws import unseal
from appliance.trust.keys import DeviceKey
from tests.parts.watched import Watched

MAY = (Right.CALL, Right.ANSWER)


class Ends:
    """What invitations have told of their end."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Ending, str]] = []

    def of(self, uid: str) -> Callable[[Ending, str], None]:
        def ended(how: Ending, what: str) -> None:
            self.told.append((uid, how, what))

        return ended


def issued(
    invitations: Invitations,
    ends: Ends,
    uid: str = "alice",
    *,
    now_s: float = 0,
    lasts_s: float = 60,
) -> Invitation:
    return invitations.issue(
        uid, uid.title(), MAY, lasts_s=lasts_s, now_s=now_s, ended=ends.of(uid)
    )


def body_for(secret: bytes, uid: str = "alice", key: DeviceKey | None = None) -> PairBody:
    public = (key or DeviceKey.make()).public
    return PairBody(public, proof_of(secret, "door", uid, public))


# -------------------- what proves an invitation


def test_the_proof_is_the_hmac_that_the_document_describes() -> None:
    import base64
    import hashlib
    import hmac

    secret = bytes(range(16))
    said = b"pair\nfront-door\nalice\nKEY"
    digest = hmac.new(secret, said, hashlib.sha256).digest()
    expected = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert proof_of(secret, "front-door", "alice", "KEY") == expected


def test_each_invitation_has_a_secret_of_its_own_of_128_bits() -> None:
    invitations, ends = Invitations("door"), Ends()
    secrets = {issued(invitations, ends).secret for _ in range(4)}
    assert len(secrets) == 4
    assert {len(secret) for secret in secrets} == {16}


def test_who_was_given_the_secret_proves_it_and_nobody_else() -> None:
    invitations, ends = Invitations("door"), Ends()
    one = issued(invitations, ends)
    right = body_for(one.secret)
    assert invitations.judge("alice", right, 1) is one
    for uid, body, code in (
        ("alice", PairBody(DeviceKey.make().public, right.proof), "wrong_proof"),  # another key
        ("alice", body_for(b"x" * 16), "wrong_proof"),
        ("alice", body_for(one.secret, uid="bob"), "wrong_proof"),
        ("bob", right, "not_invited"),
    ):
        with pytest.raises(Rejected) as refused:
            invitations.judge(uid, body, 2)
        assert refused.value.code == code
    assert invitations.judge("alice", right, 3) is one, "it is good as long as it is not taken"


def test_two_phones_of_one_person_may_be_invited_at_once() -> None:
    invitations, ends = Invitations("door"), Ends()
    first, second = issued(invitations, ends), issued(invitations, ends)
    assert invitations.judge("alice", body_for(second.secret), 1) is second
    assert invitations.judge("alice", body_for(first.secret), 1) is first


def test_whoever_follows_who_is_invited_hears_of_one_that_was_withdrawn() -> None:
    """It was open while its contact was forgotten, which alone was no reason to listen to nobody."""
    invitations, ends, told = Invitations("door"), Ends(), list[frozenset[str]]()
    invitations.changed = lambda: told.append(invitations.uids())
    one = issued(invitations, ends)
    invitations.forget("alice")
    assert told[-1] == {"alice"}
    invitations.end(one, "withdrawn")
    assert told[-1] == frozenset()


def test_it_runs_out_by_the_time_that_it_is_told() -> None:
    invitations, ends = Invitations("door"), Ends()
    one = issued(invitations, ends, now_s=100, lasts_s=60)
    assert invitations.judge("alice", body_for(one.secret), 159.9) is one
    with pytest.raises(Rejected, match="no invitation is open"):
        invitations.judge("alice", body_for(one.secret), 160)
    assert ends.told == [("alice", "expired", "")]


def test_five_wrong_proofs_end_it_and_the_same_one_again_is_none() -> None:
    invitations, ends = Invitations("door"), Ends()
    one = issued(invitations, ends)
    wrong = [body_for(bytes([number]) * 16) for number in range(MAX_WRONG)]
    for body in (*wrong[:-1], *wrong[:-1], *wrong[:-1]):
        with pytest.raises(Rejected, match="does not prove"):
            invitations.judge("alice", body, 1)
    assert invitations.judge("alice", body_for(one.secret), 1) is one
    with pytest.raises(Rejected, match="does not prove"):
        invitations.judge("alice", wrong[-1], 1)
    assert ends.told == [("alice", "guessed", "")]
    with pytest.raises(Rejected, match="no invitation is open"):
        invitations.judge("alice", body_for(one.secret), 1)


def test_wrong_proofs_of_one_person_end_nobody_elses() -> None:
    invitations, ends = Invitations("door"), Ends()
    issued(invitations, ends)
    bobs = issued(invitations, ends, "bob")
    for number in range(MAX_WRONG):
        with pytest.raises(Rejected):
            invitations.judge("alice", body_for(bytes([number]) * 16), 1)
    assert invitations.judge("bob", body_for(bobs.secret, "bob"), 1) is bobs


def test_only_so_many_are_open_and_what_ran_out_makes_room() -> None:
    invitations, ends = Invitations("door"), Ends()
    for number in range(MAX_OPEN):
        issued(invitations, ends, f"guest-{number}")
    with pytest.raises(Refused, match="open already"):
        issued(invitations, ends)
    issued(invitations, ends, now_s=60)
    assert len(ends.told) == MAX_OPEN


def test_one_that_is_taken_back_is_good_no_more_and_tells_it_once() -> None:
    invitations, ends = Invitations("door"), Ends()
    one = issued(invitations, ends)
    invitations.end(one, "withdrawn")
    invitations.end(one, "withdrawn")
    invitations.expire(1000)
    assert ends.told == [("alice", "withdrawn", "")]
    with pytest.raises(Rejected):
        invitations.judge("alice", body_for(one.secret), 1)


# -------------------- over a broker


class Phone:
    """A phone that knows the document: JSON, topics, and its key's HMAC."""

    def __init__(self, broker: LoopbackBroker, uid: str = "alice") -> None:
        self.uid, self.endpoint = uid, "phone-1"
        self.key = DeviceKey.make()
        self.heard: Watched[dict[str, Any]] = Watched()
        self.trusts: DeviceKey | None = None
        self._states: Watched[LinkState] = Watched()
        self._seq = 0
        self.link = LoopbackLink(
            broker,
            f"{uid}-phone-1",
            on_state=self._states.post,
            on_message=self._arrived,
            on_fault=lambda code, message: None,
            will=None,
            subscriptions=(Subscription(f"appliance/call/{uid}/+"),),
        )

    def _arrived(self, topic: str, payload: bytes, retained: bool) -> None:
        assert topic.endswith("/door")
        assert not retained
        assert self.trusts is not None
        keys = {self.trusts.kid: self.trusts.public_key}
        self.heard.post(json.loads(unseal(payload, keys).payload))

    async def connected(self) -> None:
        await self._states.until(lambda state: state is LinkState.CONNECTED)

    def brings(self, secret: bytes, **changes: Any) -> dict[str, Any]:
        """Send its key."""
        self._seq += 1
        key = changes.pop("key", self.key.public)
        proof = proof_of(secret, "door", self.uid, key)
        envelope = {
            "v": 1,
            "id": f"m{self._seq}",
            "type": "pair",
            "call_id": f"c{self._seq}",
            "from": self.uid,
            "to": "door",
            "endpoint": self.endpoint,
            "to_endpoint": None,
            "epoch": None,
            "seq": self._seq,
            "sent_at": 1,
            "ttl_s": 30,
            "clock": "unknown",
            "body": {"key": key, "proof": proof},
        } | changes
        self.says(envelope)
        return envelope

    def says(self, envelope: Any) -> None:
        payload = envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode()
        assert self.link.publish(f"appliance/call/door/{self.uid}", payload)

    def comes(self, kid: str | None) -> None:
        """Say that it is online, and with which key."""
        said = {"v": 1, "state": "online", "epoch": "e1", "name": "Alice", "kid": kid}
        topic = f"appliance/presence/{self.uid}/{self.endpoint}"
        self.link.publish(topic, json.dumps(said).encode(), retain=True)

    async def answered(self, call_id: str) -> dict[str, Any]:
        """The body of the `paired` that answers it."""
        found = await self.heard.until(lambda one: one["call_id"] == call_id)
        assert (found["type"], found["to"], found["to_endpoint"]) == (
            "paired",
            self.uid,
            self.endpoint,
        )
        body: dict[str, Any] = found["body"]
        return body


class Door:
    """A door with one invitation for Alice."""

    def __init__(self, contacts: Contacts, broker: LoopbackBroker, unsigned: str) -> None:
        self.key, self.contacts, self.ends = DeviceKey.make(), contacts, Ends()
        self.inputs: Watched[Input] = Watched()
        self.pairing = Pairing("door", self.key, contacts)
        self.signaling = MqttSignaling(
            Device(id="door", name="Door"),
            Mqtt(),
            Security(unsigned=unsigned),  # type: ignore[arg-type]
            contacts,
            self.inputs.post,
            connect=partial(LoopbackLink, broker),
            pairing=self.pairing,
        )
        contacts.watch(self.signaling.revoked)

    def invites(self, uid: str = "alice", lasts_s: float = 600) -> Invitation:
        now_s = asyncio.get_running_loop().time()
        return issued(self.pairing.invitations, self.ends, uid, now_s=now_s, lasts_s=lasts_s)

    async def faults(self, code: str, times: int = 1) -> None:
        """Wait for an error event of that code."""

        def so_far(_: Input) -> bool:
            told = [one for one in self.inputs if isinstance(one, FaultReported)]
            return sum(one.code == code for one in told) >= times

        await self.inputs.until(so_far)


@asynccontextmanager
async def paired_with(
    contacts: Contacts | None = None, unsigned: str = "refuse"
) -> AsyncIterator[tuple[Door, Phone]]:
    broker = LoopbackBroker()
    door = Door(contacts or Contacts({}), broker, unsigned)
    phone = Phone(broker)
    phone.trusts = door.key
    async with door.signaling, phone.link:
        await phone.connected()
        await door.inputs.until(
            lambda one: isinstance(one, LinkChanged) and one.state is LinkState.CONNECTED
        )
        yield door, phone


async def test_a_stranger_with_an_invitation_is_a_contact_afterwards() -> None:
    async with paired_with() as (door, phone):
        one = door.invites()
        asked = phone.brings(one.secret)
        body = await phone.answered(asked["call_id"])
        assert body == {"kid": phone.key.kid, "may": ["call", "answer"], "error": None}
        assert list(door.contacts.keys_of("alice")) == [phone.key.kid]
        contact = door.contacts.of("alice")
        assert contact is not None
        assert contact.name == "Alice"
        assert door.ends.told == [("alice", "paired", phone.key.kid)]


async def test_an_invitation_is_good_once() -> None:
    async with paired_with() as (door, phone):
        one = door.invites()
        await phone.answered(phone.brings(one.secret)["call_id"])
        other = DeviceKey.make()
        asked = phone.brings(one.secret, key=other.public)
        body = await phone.answered(asked["call_id"])
        assert body == {"kid": other.kid, "may": None, "error": "invalid_invitation"}
        await door.faults("not_invited")
        assert list(door.contacts.keys_of("alice")) == [phone.key.kid]


async def test_of_two_that_come_at_once_one_gets_it() -> None:
    async with paired_with() as (door, phone):
        one = door.invites()
        asked = [phone.brings(one.secret, key=DeviceKey.make().public) for _ in range(2)]
        errors = [(await phone.answered(each["call_id"]))["error"] for each in asked]
        assert sorted(map(str, errors)) == ["None", "invalid_invitation"]
        assert len(door.contacts.keys_of("alice")) == 1


async def test_whoever_did_not_hear_the_answer_asks_again_and_is_answered_the_same() -> None:
    async with paired_with() as (door, phone):
        one = door.invites()
        asked = phone.brings(one.secret)
        first = await phone.answered(asked["call_id"])
        phone.says(asked)
        await phone.heard.until(lambda _: len(phone.heard) == 2)
        assert [said["body"] for said in phone.heard] == [first, first]
        assert len(door.ends.told) == 1
        # but a key that was revoked meanwhile is not told that it may
        await door.contacts.revoke("alice")
        phone.says(asked)
        await phone.heard.until(lambda said: said["body"]["error"] == "invalid_invitation")


async def test_a_repeat_that_comes_while_the_key_is_being_kept_is_no_second_asking() -> None:
    kept = asyncio.Event()

    class Slow(Contacts):
        async def add(self, *contact: Any) -> str:
            await kept.wait()
            return await super().add(*contact)

    async with paired_with(Slow({})) as (door, phone):
        one = door.invites()
        asked = phone.brings(one.secret)
        phone.says(asked)
        other = phone.brings(b"x" * 16)  # behind both
        assert (await phone.answered(other["call_id"]))["error"] == "invalid_invitation"
        kept.set()
        assert (await phone.answered(asked["call_id"]))["error"] is None
        assert len(phone.heard) == 2


async def test_a_wrong_proof_is_answered_and_counted_and_the_fifth_ends_the_invitation() -> None:
    async with paired_with() as (door, phone):
        one = door.invites()
        for number in range(MAX_WRONG):
            asked = phone.brings(bytes([number]) * 16)
            assert (await phone.answered(asked["call_id"]))["error"] == "invalid_invitation"
        await door.faults("wrong_proof", MAX_WRONG)
        assert door.signaling.rejected["wrong_proof"] == MAX_WRONG
        assert door.ends.told == [("alice", "guessed", "")]
        asked = phone.brings(one.secret)
        assert (await phone.answered(asked["call_id"]))["error"] == "invalid_invitation"
        assert not door.contacts.all()


async def test_an_invitation_that_ran_out_pairs_nobody() -> None:
    async with paired_with() as (door, phone):
        one = door.invites(lasts_s=0)
        asked = phone.brings(one.secret)
        assert (await phone.answered(asked["call_id"]))["error"] == "invalid_invitation"
        assert door.ends.told == [("alice", "expired", "")]


async def test_a_key_that_nobody_could_have_is_not_taken_and_the_invitation_is_used_up() -> None:
    async with paired_with() as (door, phone):
        one = door.invites()
        asked = phone.brings(one.secret, key="A" * 43)  # y = 0: anybody could sign
        assert await phone.answered(asked["call_id"]) == {
            "kid": "",
            "may": None,
            "error": "not_kept",
        }
        assert [(uid, how) for uid, how, _ in door.ends.told] == [("alice", "failed")]
        assert not door.contacts.all()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"body": {"key": "short", "proof": "short"}}, "malformed"),
        ({"body": {}}, "malformed"),
        ({"from": "bob"}, "misaddressed"),
        ({"to": "other-door"}, "misaddressed"),
        ({"to_endpoint": "elsewhere"}, "misaddressed"),
        ({"seq": -1}, "malformed"),
        ({"more": "x" * 5000}, "oversized"),
    ],
)
async def test_what_is_broken_is_told_counted_and_not_answered(
    changes: dict[str, Any], code: str
) -> None:
    async with paired_with() as (door, phone):
        one = door.invites()
        phone.brings(one.secret, **changes)
        await door.faults(code)
        assert door.signaling.rejected[code] == 1
        asked = phone.brings(one.secret)
        assert (await phone.answered(asked["call_id"]))["error"] is None
        assert len(phone.heard) == 1


async def test_a_flood_of_guesses_is_not_answered_message_by_message() -> None:
    async with paired_with() as (door, phone):
        door.invites()
        for number in range(50):
            phone.brings(number.to_bytes(16, "big"))
        await door.faults(
            "not_invited", 10
        )  # of many that are alike not each is told, but each counted
        async with asyncio.timeout(30):
            while door.signaling.rejected["not_invited"] < 50 - MAX_WRONG:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert len(phone.heard) <= ANSWERS_BURST + 2


async def test_another_type_in_plain_json_is_no_way_around_the_signature() -> None:
    async with paired_with(Contacts({"alice": Contact(name="Alice")})) as (door, phone):
        one = door.invites()
        phone.brings(one.secret, type="chat", body={"text": "let me in"})
        await door.faults("unsigned")


@pytest.mark.parametrize("known", [{}, {"alice": Contact(name="Alice")}], ids=["invited", "known"])
async def test_an_endpoint_with_a_key_that_is_not_known_is_told_so(
    known: dict[str, Contact],
) -> None:
    """Of a contact, and of who is invited: of others nothing is heard here."""
    async with paired_with(Contacts(known)) as (door, phone):
        door.invites("alice" if not known else "bob")
        phone.comes(phone.key.kid)
        said = await phone.heard.until(lambda one: one["type"] == "paired")
        assert said["body"] == {"kid": phone.key.kid, "may": None, "error": "not_known"}
        phone.comes(None)  # one without a key hears nothing
        phone.comes("not a thumbprint")
        phone.comes(DeviceKey.make().kid)
        await phone.heard.until(lambda _: len(phone.heard) == 2)


async def test_a_key_that_is_revoked_while_its_phone_is_there_is_told_at_once() -> None:
    async with paired_with() as (door, phone):
        one = door.invites()
        await phone.answered(phone.brings(one.secret)["call_id"])
        phone.comes(phone.key.kid)
        asked = phone.brings(one.secret)  # behind it, so that the presence has arrived
        await phone.answered(asked["call_id"])
        assert [said["body"]["error"] for said in phone.heard] == [None, None]
        await door.contacts.revoke("alice")
        said = await phone.heard.until(lambda one: one["body"]["error"] == "not_known")
        assert said["body"]["kid"] == phone.key.kid


async def test_without_pairing_a_pair_is_what_any_unsigned_message_is() -> None:
    broker = LoopbackBroker()
    inputs: Watched[Input] = Watched()
    signaling = MqttSignaling(
        Device(id="door", name="Door"),
        Mqtt(),
        Security(),
        {"alice": None},
        inputs.post,
        connect=partial(LoopbackLink, broker),
    )
    phone = Phone(broker)
    async with signaling, phone.link:
        await phone.connected()
        await inputs.until(lambda one: isinstance(one, LinkChanged))
        phone.brings(b"x" * 16)
        await inputs.until(lambda one: isinstance(one, FaultReported) and one.code == "unsigned")


def test_an_endpoint_is_told_only_where_it_has_a_name_that_can_be_written_to() -> None:
    pairing = Pairing("door", DeviceKey.make(), Contacts({}))
    kid = DeviceKey.make().kid
    assert pairing.met(Address("alice", "phone"), kid)
    assert not pairing.met(Address("alice", "not an endpoint"), kid)
    assert not pairing.met(Address("Alice/+", "phone"), kid)
    assert pairing.revoked(frozenset({kid})) == [(Address("alice", "phone"), kid)]
    assert not pairing.met(Address("alice", "phone"), None)
    assert pairing.revoked(frozenset({kid})) == []
