"""The edge under `unsigned = "refuse"`: what of everything that can be written to it is believed."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from appliance.calls.effects import FollowList, Send
from appliance.calls.inputs import (
    ENDPOINTS_OF_EACH,
    FaultReported,
    Input,
    LinkChanged,
    LinkState,
    MessageReceived,
    PresenceChanged,
)
from appliance.config import Contact, Device, Mqtt, Security
from appliance.messages import Address, Chat, Message, Participants
from appliance.model import Participant, Right
from appliance.signaling import inbox
from appliance.signaling.clock import Clock
from appliance.signaling.link import MqttSignaling
from appliance.signaling.loopback import LoopbackBroker, LoopbackLink
from appliance.signaling.trust import KeyTrust
from appliance.trust.contacts import Contacts
from appliance.trust.jws import is_sealed, seal, unseal
from appliance.trust.keys import DeviceKey, encoded
from tests.parts.watched import Watched
from tests.signaling.envelopes import as_bytes, wire

DOOR, ALICE, TABLET, GATE, GUEST, MALLORY = (DeviceKey.make() for _ in range(6))
PHONE = Address("alice", "phone-1")
HOST = Address("gate", "main")
A_YEAR_S = 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Hands:
    """A clock that a test sets: seconds since its start, and what the wall clock is off by."""

    passed: list[float] = field(default_factory=lambda: [0.0])
    off_s: list[float] = field(default_factory=lambda: [0.0])
    known: bool = False

    def as_clock(self) -> Clock:
        hands = self

        class Faked(Clock):
            """The same questions, other answers."""

            def monotonic_s(self) -> float:
                return hands.passed[0]

            def wall_ms(self) -> int:
                return int((1_795_252_800 + hands.passed[0] + hands.off_s[0]) * 1000)

            def synced(self) -> bool:
                return hands.known

        return Faked(Path("/nonexistent"))


class Door:
    """The edge, what it told the core, and somebody who may write everything to its broker."""

    def __init__(
        self, broker: LoopbackBroker, contacts: Contacts, unsigned: Literal["refuse", "allow"]
    ) -> None:
        self.inputs: Watched[Input] = Watched()
        self.contacts = contacts
        self.hands = Hands()
        self.sent: Watched[tuple[str, bytes]] = Watched()
        self.seq = 0
        self.signaling = MqttSignaling(
            Device(id="door", name="Door"),
            Mqtt(),
            Security(unsigned),
            contacts,
            self.inputs.post,
            connect=broker.connect,
            trust=KeyTrust(DOOR, contacts, unsigned),
            clock=self.hands.as_clock(),
        )
        self.anybody: LoopbackLink

    @property
    def epoch(self) -> str:
        assert self.signaling._epoch is not None
        return self.signaling._epoch

    def message(self, text: str = "hello", **changes: Any) -> bytes:
        self.seq += 1
        values = {"id": f"m{self.seq}", "seq": self.seq, "epoch": self.epoch, "clock": "unknown"}
        type_ = changes.pop("type", "chat")
        body = changes.pop("body", {"text": text})
        return as_bytes(wire(type_, body, **values | changes))

    async def hears(self, payload: bytes, sender: str = "alice") -> str | None:
        """The code by which it is refused, None where it was acted on or passed over."""
        before = sum(self.signaling.rejected.values())
        told = len(self.inputs)
        self.signaling._arrived(f"appliance/call/door/{sender}", payload, False)
        self.hands.passed[0] += 1.0
        if sum(self.signaling.rejected.values()) == before:
            return None
        [fault] = [one for one in list(self.inputs)[told:] if isinstance(one, FaultReported)]
        assert " " in fault.message
        return fault.code

    def publishes(self) -> list[bytes]:
        """What it hands to the broker from here on."""
        published: list[bytes] = []

        def publish(topic: str, payload: bytes, **_: Any) -> bool:
            published.append(payload)
            return True

        self.signaling._link.publish = publish  # type: ignore[method-assign]
        return published

    def received(self) -> list[Message]:
        return [one.message for one in self.inputs if isinstance(one, MessageReceived)]


@contextlib.asynccontextmanager
async def door_with(
    unsigned: Literal["refuse", "allow"] = "refuse", **contacts: Contact
) -> AsyncIterator[Door]:
    broker = LoopbackBroker()
    book = Contacts(
        contacts
        or {
            "alice": Contact("Alice", (ALICE.public, TABLET.public)),
            "gate": Contact("Gate", (GATE.public,)),
            "bob": Contact("Bob"),
        }
    )
    door = Door(broker, book, unsigned)
    async with (
        broker.connect(
            "anybody",
            on_state=lambda _: None,
            on_message=lambda topic, payload, _: door.sent.post((topic, payload)),
            on_fault=lambda *_: None,
            subscriptions=[],
        ) as door.anybody,
        door.signaling,
    ):
        await door.inputs.until(
            lambda one: isinstance(one, LinkChanged) and one.state is LinkState.CONNECTED
        )
        yield door


# -------------------- what is believed


async def test_every_phone_of_a_contact_is_believed_by_its_key() -> None:
    async with door_with() as door:
        assert await door.hears(seal(door.message("one"), ALICE)) is None
        assert await door.hears(seal(door.message("two", endpoint="tablet"), TABLET)) is None
        assert door.received() == [Chat("one"), Chat("two")]
        assert door.signaling.signed_by([TABLET.kid]) == {Address("alice", "tablet")}


async def test_what_nobody_has_signed_rightly_is_refused_told_and_counted() -> None:
    async with door_with() as door:
        plain = door.message()
        good = seal(plain, ALICE)
        header, payload, signature = good.split(b".")
        none = encoded(json.dumps({"alg": "none", "typ": "appliance+json"}).encode()).encode()
        wrong: list[tuple[bytes, str, str]] = [
            (plain, "alice", "unsigned"),
            (plain, "bob", "unsigned"),
            (b"", "alice", "unsigned"),
            (seal(plain, MALLORY), "alice", "unverifiable"),
            (good, "gate", "unverifiable"),
            (good, "bob", "unverifiable"),
            (good, "mallory", "unknown_sender"),
            (b".".join((header, payload, signature[:-1] + b"B")), "alice", "malformed"),
            (b".".join((header, payload, b"A" * 86)), "alice", "forged"),
            (b".".join((header, encoded(b"{}").encode(), signature)), "alice", "forged"),
            (b".".join((none, payload, b"")), "alice", "unsigned"),
            (b".".join((none, payload, signature)), "alice", "bad_header"),
            (good + b"\n", "alice", "unsigned"),
            (good + b"=", "alice", "unsigned"),
            (seal(plain + b" x", ALICE), "alice", "malformed"),
            (seal(plain.replace(b'"v"', b'"v": 1, "v"', 1), ALICE), "alice", "malformed"),
            (seal(door.message(to="gate"), ALICE), "alice", "misaddressed"),
            (seal(door.message(**{"from": "gate"}), ALICE), "alice", "misaddressed"),
            (seal(door.message(epoch=None), ALICE), "alice", "wrong_epoch"),
            (seal(door.message(epoch="another"), ALICE), "alice", "wrong_epoch"),
            (seal(door.message("x" * 5000), ALICE), "alice", "oversized"),
            (b"A" * 50_000, "alice", "oversized"),
        ]
        for payload_, sender, code in wrong:
            assert await door.hears(payload_, sender) == code, payload_[:60]
        assert sum(door.signaling.rejected.values()) == len(wrong)
        assert door.received() == []
        assert await door.hears(seal(door.message("and the next"), ALICE)) is None
        assert door.received() == [Chat("and the next")]


async def test_of_many_mutants_none_is_believed_and_the_honest_ones_are() -> None:
    dice = random.Random(5)
    async with door_with() as door:
        honest = 0
        for round_ in range(1500):
            good = seal(door.message(f"round {round_}"), ALICE)
            mutant = bytearray(good)
            for _ in range(dice.choice([1, 1, 1, 2, 8])):
                mutant[dice.randrange(len(mutant))] ^= 1 << dice.randrange(8)
            if bytes(mutant) != good:
                assert await door.hears(bytes(mutant)) is not None
            if round_ % 50 == 0:
                honest += 1
                assert await door.hears(good) is None
        assert len(door.received()) == honest


# -------------------- what was said already


@pytest.mark.parametrize("later_s", [0.0, 60.0, A_YEAR_S])
@pytest.mark.parametrize("off_s", [0.0, -A_YEAR_S, A_YEAR_S])
async def test_a_recording_said_again_has_no_effect(later_s: float, off_s: float) -> None:
    async with door_with() as door:
        recording = []
        for text in ("one", "two", "three"):
            recording.append(seal(door.message(text), ALICE))
            assert await door.hears(recording[-1]) is None
        door.hands.passed[0] += later_s
        door.hands.off_s[0] = off_s
        for number in range(10):  # and somebody pretends that the phone has connected anew
            online = as_bytes({"v": 1, "state": "online", "epoch": f"p{number}", "name": "A"})
            door.signaling._arrived("appliance/presence/alice/phone-1", online, True)
            for payload in recording:
                await door.hears(payload)
        assert len(door.received()) == 3
        door.signaling._link_changed(LinkState.OFFLINE)
        door.signaling._link_changed(LinkState.CONNECTED)
        assert {await door.hears(payload) for payload in recording} == {"wrong_epoch"}
        assert len(door.received()) == 3
        assert await door.hears(seal(door.message("now"), ALICE)) is None


async def test_numbers_hold_where_ids_are_forgotten() -> None:
    async with door_with() as door:
        old = seal(door.message("old"), ALICE)
        assert await door.hears(old) is None
        for memory in door.signaling._inbox._memories.values():
            memory.ids.clear()
        assert await door.hears(old) == "replayed"


async def test_where_the_memory_is_full_a_new_epoch_begins_and_nothing_old_is_believed() -> None:
    async with door_with() as door:
        first = door.epoch
        recording = seal(door.message("old", endpoint="e0"), ALICE)
        assert await door.hears(recording) is None
        for number in range(1, inbox.MAX_COUNTERS):
            assert await door.hears(seal(door.message(endpoint=f"e{number}"), ALICE)) is None
        assert await door.hears(seal(door.message(endpoint="more"), ALICE)) == "memory_full"
        assert door.epoch != first
        assert await door.hears(recording) == "wrong_epoch"
        assert await door.hears(seal(door.message(endpoint="more"), ALICE)) is None
        second = door.epoch
        for number in range(inbox.MAX_COUNTERS):
            await door.hears(seal(door.message(endpoint=f"again-{number}"), ALICE))
        assert door.epoch == second, "not again at once: who fills it gains nothing by it"


# -------------------- a host's word


def listing(*listed: tuple[Address, DeviceKey | None]) -> dict[str, Any]:
    flags = ("audio_muted", "video_paused", "hand_raised", "screen_sharing", "recording", "on_hold")
    entries = [
        {
            "uid": where.uid,
            "name": None,
            "endpoint": where.endpoint,
            "joined_at": None,
            "state": "connected",
            **dict.fromkeys(flags, False),
            "epoch": f"epoch-of-{where.uid}",
            "key": key.public if key else None,
        }
        for where, key in listed
    ]
    return {"session_id": "s1", "version": 1, "participants": entries}


async def test_a_guest_is_believed_by_the_key_that_a_contact_lists_and_named_with_who_did() -> None:
    guest = Address("stranger", "phone")
    async with door_with() as door:
        said = door.message("hi", endpoint="phone", **{"from": "stranger"})
        assert await door.hears(seal(said, GUEST), "stranger") == "unknown_sender"
        told = door.message(
            type="participants",
            body=listing((HOST, GATE), (guest, GUEST)),
            endpoint="main",
            **{"from": "gate"},
        )
        assert await door.hears(seal(told, GATE), "gate") is None
        assert await door.hears(seal(said, GUEST), "stranger") == "unknown_sender"
        door.signaling.perform(FollowList("c1", HOST))
        assert await door.hears(seal(said, MALLORY), "stranger") == "unverifiable"
        assert await door.hears(said, "stranger") == "unsigned"
        assert await door.hears(seal(said, GUEST), "stranger") is None
        [received] = [
            one for one in door.inputs if isinstance(one, MessageReceived) and one.sender == guest
        ]
        assert received.vouched_by == frozenset({HOST})
        # under another endpoint nobody has vouched for it
        other = door.message("hi", endpoint="tablet", **{"from": "stranger"})
        assert await door.hears(seal(other, GUEST), "stranger") == "unknown_sender"


async def brings(door: Door, *keys: DeviceKey, call_id: str = "c1") -> list[str | None]:
    """The gate lists strangers with these keys, and each of them says something."""
    zoes = [(Address("zoe", f"e-{key.kid[:20].lower()}"), key) for key in keys]
    body = listing((HOST, GATE), *zoes)
    told = door.message(
        type="participants", body=body, endpoint="main", call_id=call_id, **{"from": "gate"}
    )
    assert await door.hears(seal(told, GATE), "gate") is None
    said = [
        seal(door.message(endpoint=one.endpoint, call_id=call_id, **{"from": "zoe"}), key)
        for one, key in zoes
    ]
    return [await door.hears(one, "zoe") for one in said]


async def test_who_is_no_host_has_nothing_remembered_by_its_lists() -> None:
    async with door_with() as door:
        before = len(door.signaling._inbox._memories)
        for _ in range(inbox.MAX_VOUCHED + 1):
            assert await brings(door, DeviceKey.make()) == ["unknown_sender"]
        assert len(door.signaling._inbox._memories) == before + 1, "its own key's"
        assert door.received() == [one for one in door.received() if isinstance(one, Participants)]


async def test_a_host_that_lists_ever_new_keys_leaves_room_for_the_phones_of_the_house() -> None:
    async with door_with() as door:
        assert await door.hears(seal(door.message(), ALICE)) is None
        door.signaling.perform(FollowList("c1", HOST))
        first, codes = door.epoch, []
        while "memory_full" not in codes:
            codes += await brings(door, *[DeviceKey.make() for _ in range(8)])
            assert len(codes) <= inbox.MAX_VOUCHED + 8
        assert door.epoch != first
        for _ in range(inbox.MAX_VOUCHED // 4):  # and once more, within the time of the new one
            codes += await brings(door, *[DeviceKey.make() for _ in range(8)])
        second = door.epoch
        assert await brings(door, DeviceKey.make()) == ["memory_full"]
        assert await door.hears(seal(door.message(endpoint="tablet"), TABLET)) is None
        assert await door.hears(seal(door.message(), ALICE)) is None
        assert door.epoch == second, "which is not renewed again"


async def test_a_guest_is_written_to_signed_once_the_core_has_followed() -> None:
    guest = Address("stranger", "phone")
    async with door_with() as door:
        body = listing((HOST, GATE), (guest, GUEST))
        told = door.message(type="participants", body=body, endpoint="main", **{"from": "gate"})
        await door.hears(seal(told, GATE), "gate")
        door.signaling.perform(Send(guest, "c1", Chat("too early")))
        assert [one.code for one in door.inputs if isinstance(one, FaultReported)] == ["unsigned"]
        door.signaling.perform(FollowList("c1", HOST))
        published = door.publishes()
        door.signaling.perform(Send(guest, "c1", Chat("now")))
        [payload] = published
        inner = json.loads(unseal(payload, {DOOR.kid: DOOR.public_key}).payload)
        assert (inner["body"], inner["epoch"]) == ({"text": "now"}, "epoch-of-stranger")


async def test_as_a_host_it_tells_the_keys_by_which_each_was_believed() -> None:
    async with door_with() as door:
        await door.hears(seal(door.message(), ALICE))
        published = door.publishes()
        there = (Participant("door", None, "main"), Participant("alice", None, "phone-1"))
        door.signaling.perform(Send(PHONE, "c1", Participants("s1", 1, there)))
        [payload] = published
        assert is_sealed(payload)
        listed = json.loads(unseal(payload, {DOOR.kid: DOOR.public_key}).payload)["body"]
        keys = {one["uid"]: one["key"] for one in listed["participants"]}
        assert keys == {"door": DOOR.public, "alice": ALICE.public}


# -------------------- contacts that come and go


async def test_who_is_paired_is_seen_and_heard_without_a_restart() -> None:
    async with door_with() as door:
        online = as_bytes({"v": 1, "state": "online", "epoch": "p1", "kid": GUEST.kid})
        door.signaling._arrived("appliance/presence/carol/phone", online, True)
        said = door.message("hi", endpoint="phone", **{"from": "carol"})
        assert await door.hears(seal(said, GUEST), "carol") == "unknown_sender"
        await door.contacts.add("carol", "Carol", GUEST.public, [Right.CALL])
        door.signaling.follow_contacts()
        [present] = [one for one in door.inputs if isinstance(one, PresenceChanged)]
        assert (present.uid, present.online, present.epoch) == ("carol", True, "p1")
        assert await door.hears(seal(said, GUEST), "carol") is None


async def test_who_is_revoked_is_neither_seen_nor_heard_and_named_by_its_endpoints() -> None:
    async with door_with("allow") as door:
        online = as_bytes({"v": 1, "state": "online", "epoch": "p1", "name": "Alice"})
        door.signaling._arrived("appliance/presence/alice/phone-1", online, True)
        await door.hears(seal(door.message(), ALICE))
        gone = await door.contacts.revoke("alice")
        assert door.signaling.signed_by(gone) == {PHONE}
        door.signaling.follow_contacts()
        [*_, last] = [one for one in door.inputs if isinstance(one, PresenceChanged)]
        assert (last.uid, last.online) == ("alice", False)
        for payload in (seal(door.message(), ALICE), door.message()):
            assert await door.hears(payload) == "unknown_sender"


async def test_a_lost_phone_is_rung_no_more_and_the_others_of_that_person_are() -> None:
    """Retained or said again: its account at the broker is the person's, whose others need it."""
    async with door_with() as door:
        for endpoint, key in (("phone-1", ALICE), ("tablet", TABLET)):
            said = {"v": 1, "state": "online", "epoch": "p1", "name": "Alice", "kid": key.kid}
            topic = f"appliance/presence/alice/{endpoint}"
            door.signaling._arrived(topic, as_bytes(said), True)
        await door.contacts.revoke("alice", ALICE.kid)
        door.signaling.follow_contacts()
        for kid in (ALICE.kid, None, MALLORY.kid):
            lost = {"v": 1, "state": "online", "epoch": "p2", "name": "Alice", "kid": kid}
            for endpoint in ("phone-1", "another"):
                topic = f"appliance/presence/alice/{endpoint}"
                door.signaling._arrived(topic, as_bytes(lost), False)
        told = [one for one in door.inputs if isinstance(one, PresenceChanged)]
        assert [(one.endpoint, one.online) for one in told] == [
            ("phone-1", True),
            ("tablet", True),
            ("phone-1", False),
        ]


@pytest.mark.parametrize("unsigned", ["refuse", "allow"])
async def test_who_has_keys_is_there_by_one_of_them_where_only_signatures_count(
    unsigned: Literal["refuse", "allow"],
) -> None:
    async with door_with(unsigned) as door:
        for uid, endpoint, kid in (
            ("alice", "none", None),
            ("alice", "anothers", GATE.kid),
            ("alice", "own", ALICE.kid),
            ("bob", "keyless", None),
        ):
            said = as_bytes({"v": 1, "state": "online", "epoch": "p1", "kid": kid})
            door.signaling._arrived(f"appliance/presence/{uid}/{endpoint}", said, True)
        there = [one.endpoint for one in presences(door) if one.online]
        others = [] if unsigned == "refuse" else ["none", "anothers"]
        assert there == [*others, "own", "keyless"]


async def test_a_phone_that_signs_is_there_though_made_up_ones_have_copied_its_keys_name() -> None:
    """And what it signs does it, though its presence came behind theirs."""
    async with door_with() as door:
        said = as_bytes({"v": 1, "state": "online", "epoch": "p1", "kid": TABLET.kid})
        for number in range(ENDPOINTS_OF_EACH):
            door.signaling._arrived(f"appliance/presence/alice/made-up-{number}", said, True)
        door.signaling._arrived("appliance/presence/alice/tablet", said, True)
        assert door.signaling.rejected["flooded"] == 1
        assert not any(one.endpoint == "tablet" for one in presences(door))
        message = seal(door.message(endpoint="tablet"), TABLET)
        assert await door.hears(message) is None
        tablet = PresenceChanged("alice", "tablet", online=True, epoch="p1")
        assert presences(door)[-1] == tablet
        for number in range(ENDPOINTS_OF_EACH):
            door.signaling._arrived(f"appliance/presence/alice/another-{number}", said, True)
        assert presences(door)[-1] == tablet, "none of them pushed it out"


def presences(door: Door) -> list[PresenceChanged]:
    return [one for one in door.inputs if isinstance(one, PresenceChanged)]


async def test_its_key_is_in_its_presence() -> None:
    async with door_with() as door:
        assert json.loads(door.signaling._online_payload())["kid"] == DOOR.kid
