"""Signed commands: their form and what they are bound to, and how the edge judges them."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from appliance.calls.inputs import Input, LinkChanged, LinkState
from appliance.config import Contact, Device, Mqtt, Security
from appliance.messages import Address
from appliance.signaling import orders
from appliance.signaling.link import MqttSignaling
from appliance.signaling.loopback import LoopbackBroker
from appliance.signaling.orders import Order, decode
from appliance.signaling.rejected import Rejected
from appliance.signaling.trust import KeyTrust
from appliance.trust.contacts import Contacts
from appliance.trust.jws import seal
from appliance.trust.keys import DeviceKey
from tests.parts.watched import Watched

DOOR, ALICE, MALLORY = (DeviceKey.make() for _ in range(3))


def wire(**changes: Any) -> dict[str, Any]:
    changes = {name.rstrip("_"): value for name, value in changes.items()}
    return {
        "v": 1,
        "id": "r1",
        "client": "page",
        "name": "unlock",
        "args": {"relay": "door"},
        "from": "alice",
        "to": "door",
        "endpoint": "phone-1",
        "epoch": "e1",
        "seq": 7,
        "sent_at": 1_795_252_800_123,
        "ttl_s": 30,
        "clock": "unknown",
    } | changes


def text(**changes: Any) -> bytes:
    return json.dumps(wire(**changes)).encode()


def code(payload: bytes, name: str = "unlock") -> str:
    with pytest.raises(Rejected) as caught:
        decode(name, "door", payload)
    return caught.value.code


def test_a_command_is_read() -> None:
    order = decode("unlock", "door", text())
    assert (order.name, order.args, order.id, order.client) == (
        "unlock",
        {"relay": "door"},
        "r1",
        "page",
    )
    assert (order.sender, order.to) == (Address("alice", "phone-1"), Address("door"))
    assert (order.epoch, order.seq, order.ttl_s, order.synced) == ("e1", 7, 30, False)


def test_it_is_bound_to_its_name_and_its_device() -> None:
    assert code(text(), "hold_call") == "misaddressed"
    assert code(text(to="gate")) == "misaddressed"


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (text(v=2), "unsupported_version"),
        (text(epoch=None), "malformed"),
        (text(id=""), "malformed"),
        (text(client="../x"), "malformed"),
        (text(args=[]), "malformed"),
        (text(seq=-1), "malformed"),
        (text(ttl_s=0), "malformed"),
        (text(clock="maybe"), "malformed"),
        (b"[]", "malformed"),
        (b"\xff", "malformed"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "malformed"),
        (text(args={"x": "y" * 5000}), "oversized"),
        (text().replace(b'"v": 1', b'"v": 1, "name": "unlock", "name": "unlock"'), "malformed"),
    ],
)
def test_what_is_not_as_it_is_to_be_is_refused(payload: bytes, what: str) -> None:
    assert code(payload) == what


# -------------------- at the edge


class Door:
    def __init__(self, signaling: MqttSignaling) -> None:
        self.signaling = signaling
        self.seq = itertools.count(1)

    def order(self, key: DeviceKey = ALICE, name: str = "unlock", **changes: Any) -> bytes:
        values = {"epoch": self.signaling._epoch, "seq": next(self.seq)}
        values["id"] = f"r{values['seq']}"
        return seal(text(**values | changes), key)

    def takes(self, payload: bytes, name: str = "unlock") -> Order | str | None:
        try:
            return self.signaling.take_order(name, payload)
        except Rejected as fault:
            return fault.code


@contextlib.asynccontextmanager
async def door_with(contacts: Contacts) -> AsyncIterator[Door]:
    inputs: Watched[Input] = Watched()
    async with MqttSignaling(
        Device(id="door"),
        Mqtt(),
        Security("refuse"),
        contacts,
        inputs.post,
        connect=LoopbackBroker().connect,
        trust=KeyTrust(DOOR, contacts, "refuse"),
    ) as signaling:
        await inputs.until(
            lambda one: isinstance(one, LinkChanged) and one.state is LinkState.CONNECTED
        )
        yield Door(signaling)


async def test_a_command_is_taken_once_in_order_and_by_the_senders_key() -> None:
    contacts = Contacts({"alice": Contact(keys=(ALICE.public,)), "bob": Contact()})
    async with door_with(contacts) as door:
        first = door.order()
        assert isinstance(door.takes(first), Order)
        assert door.takes(first) is None
        assert isinstance(door.takes(door.order(seq=10)), Order)
        assert door.takes(door.order(seq=10, id="other")) == "replayed"
        assert door.takes(door.order(epoch="of-before")) == "wrong_epoch"
        assert door.takes(door.order(MALLORY)) == "unverifiable"
        assert door.takes(door.order(from_="bob")) == "unverifiable"
        assert door.takes(door.order(from_="mallory")) == "unknown_sender"
        assert door.takes(first[:-4] + b"AAAA") == "forged"
        assert door.takes(door.order(), "hold_call") == "misaddressed"
        assert door.takes(text()) == "malformed"
        assert door.takes(b"A" * (orders.MAX_SEALED + 1)) == "oversized"
        await contacts.revoke("alice", ALICE.kid)
        assert door.takes(door.order(seq=99)) == "unverifiable"
        refused = sum(door.signaling.rejected.values())
        assert refused == 10, "each is counted by its reason"


async def test_a_flood_of_commands_is_held_back() -> None:
    async with door_with(Contacts({})) as door:
        codes = {door.takes(b"nonsense") for _ in range(200)}
    assert codes == {"malformed", "flooded"}


async def test_a_flood_in_anothers_name_or_nobodys_leaves_a_contact_its_commands() -> None:
    """Of another contact, of strangers, of nobody; and on another topic in the contact's own name."""
    contacts = Contacts({"alice": Contact(keys=(ALICE.public,)), "bob": Contact()})
    async with door_with(contacts) as door:
        for _ in range(300):
            door.takes(b"nonsense")
            door.takes(door.order(MALLORY, from_="bob"))
            door.takes(door.order(MALLORY, from_="mallory"))
            door.takes(door.order(MALLORY, from_="alice"), "pause_video")
        assert isinstance(door.takes(door.order()), Order)
        assert door.signaling.rejected["flooded"] > 600
