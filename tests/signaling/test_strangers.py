"""What an account at the shipped broker can do to a device that does not know it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest

from appliance.calls.inputs import Input, LinkChanged, LinkState, MessageReceived, PresenceChanged
from appliance.config import Contact, Device, Mqtt, Security
from appliance.messages import Chat
from appliance.model import Right
from appliance.signaling.link import MqttSignaling
from appliance.signaling.mqtt import MqttLink
from appliance.trust.contacts import Contacts
from tests.parts.brokerhouse import Endpoint, ShippedBroker
from tests.parts.proxy import proxy_to
from tests.parts.watched import Watched
from tests.signaling.envelopes import as_bytes, wire

pytestmark = pytest.mark.broker

DOOR, ALICE, MALLORY = "front-door", "alice", "mallory"
MARK = "5b2f0c1e9a7d4c3f8e6a1d0b7c9f2e48"
LARGE = "x" * 40_000
"""Of the largest that the shipped broker takes, 64 KiB."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShippedBroker]:
    one = ShippedBroker(tmp_path_factory.mktemp("house"), (DOOR, ALICE, MALLORY))
    one.start()
    try:
        yield one
    finally:
        one.kill()


@contextlib.contextmanager
def somebody(broker: ShippedBroker, name: str, client_id: str = "") -> Iterator[Endpoint]:
    one = Endpoint(broker.port, name, broker.passwords[name], client_id=client_id)
    try:
        yield one
    finally:
        one.close()


@contextlib.asynccontextmanager
async def the_door(
    broker: ShippedBroker, folder: Path, port: int | None = None
) -> AsyncIterator[Watched[Input]]:
    """What it is told, once it is connected."""
    password = folder / "password"
    password.write_text(broker.passwords[DOOR])
    mqtt = Mqtt(
        host="127.0.0.1", port=port or broker.port, username=DOOR, password_file=str(password)
    )
    inputs: Watched[Input] = Watched()
    async with MqttSignaling(
        Device(id=DOOR),
        mqtt,
        Security("allow"),
        Contacts({ALICE: Contact("Alice", may=(Right.CALL, Right.ANSWER))}),
        inputs.post,
        # its connection is to last through whatever a busy machine does to it
        connect=partial(MqttLink, mqtt, mark=MARK, keepalive_s=60),
    ):
        await inputs.until(
            lambda one: isinstance(one, LinkChanged) and one.state is LinkState.CONNECTED
        )
        yield inputs


def there(epoch: str, name: str = "Alice") -> bytes:
    return json.dumps({"v": 1, "state": "online", "epoch": epoch, "name": name}).encode()


def said(text: str, number: int = 1) -> bytes:
    values = {"from": ALICE, "to": DOOR, "to_endpoint": "main", "epoch": None, "clock": "unknown"}
    return as_bytes(wire("chat", {"text": text}, **values, id=f"m{number}", seq=number))


async def test_what_a_stranger_has_left_there_keeps_no_contact_from_being_seen(
    broker: ShippedBroker, tmp_path: Path
) -> None:
    """More than the broker lets wait for one client: what comes behind it would be dropped."""
    with somebody(broker, MALLORY) as mallory, somebody(broker, ALICE) as alice:
        for number in range(60):
            topic = f"appliance/presence/{MALLORY}/x{number}"
            last = mallory.client.publish(topic, there("m", LARGE), 1, retain=True)
        last.wait_for_publish(30)
        topic = f"appliance/presence/{ALICE}/phone"
        alice.client.publish(topic, there("a1"), 1, retain=True).wait_for_publish(30)
        async with the_door(broker, tmp_path) as inputs:
            await inputs.until(lambda one: isinstance(one, PresenceChanged) and one.epoch == "a1")
    assert "dropped" not in broker.log


async def test_a_strangers_flood_drops_nothing_of_a_contacts_on_a_way_that_stands_still(
    broker: ShippedBroker, tmp_path: Path
) -> None:
    """As a narrow one does to a flood: far more than the kernel and the broker hold for one client."""
    async with proxy_to(broker.port) as way, the_door(broker, tmp_path, way.port) as inputs:
        way.way_back.clear()
        before = len(broker.log)
        # nothing is awaited here: the loop stands still for as long as this takes
        with somebody(broker, MALLORY) as mallory, somebody(broker, ALICE) as alice:
            for _ in range(2000):
                for topic in (f"call/{DOOR}/{MALLORY}", f"presence/{MALLORY}/x"):
                    mallory.client.publish(f"appliance/{topic}", LARGE[:8000].encode(), 0)
            mallory.client.publish("appliance/presence/mallory/x", b"", 1).wait_for_publish(60)
            topic = f"appliance/call/{DOOR}/{ALICE}"
            alice.client.publish(topic, said("hello"), 1).wait_for_publish(30)
        way.way_back.set()
        await inputs.until(lambda one: isinstance(one, MessageReceived))
    assert "dropped" not in broker.log[before:]


async def test_nobody_takes_the_place_of_a_device_at_the_broker(
    broker: ShippedBroker, tmp_path: Path
) -> None:
    """By all that is known of its name: each account may choose its client id freely."""
    async with the_door(broker, tmp_path) as inputs:
        guesses = (f"{DOOR}-main", DOOR, f"{DOOR}-main-", f"{DOOR}-main-{MARK[:-1]}")
        for number, guess in enumerate(guesses):
            with somebody(broker, ALICE, guess) as alice:
                topic = f"appliance/call/{DOOR}/{ALICE}"
                alice.client.publish(topic, said(guess, number), 1).wait_for_publish(30)
                await inputs.until(
                    lambda one, text=guess: (  # type: ignore[misc]
                        isinstance(one, MessageReceived) and one.message == Chat(text)
                    )
                )
        states = [one.state for one in inputs if isinstance(one, LinkChanged)]
        assert states == [LinkState.CONNECTING, LinkState.CONNECTED]
    assert "already connected" not in broker.log
