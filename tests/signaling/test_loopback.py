"""What the stand-in for a broker can be asked to do wrong; the rest is in the links' contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from appliance.calls.inputs import LinkState
from appliance.signaling.base import Publication, Subscription
from appliance.signaling.loopback import LoopbackBroker, LoopbackLink
from tests.parts.watched import Watched


@asynccontextmanager
async def client(
    broker: LoopbackBroker, name: str, will: Publication | None = None
) -> AsyncIterator[tuple[LoopbackLink, Watched[bytes], Watched[LinkState]]]:
    messages: Watched[bytes] = Watched()
    states: Watched[LinkState] = Watched()
    async with broker.connect(
        name,
        on_state=states.post,
        on_message=lambda _topic, payload, _retained: messages.post(payload),
        on_fault=lambda *_: None,
        will=will,
        subscriptions=[Subscription("#")],
    ) as link:
        await states.until(lambda state: state is LinkState.CONNECTED)
        yield link, messages, states


async def test_a_message_is_delivered_twice_when_asked_for_and_once_again_after() -> None:
    broker = LoopbackBroker()
    async with client(broker, "a") as (link, messages, _):
        broker.duplicate_next()
        link.publish("t", b"1")
        link.publish("t", b"2")
        await messages.until(lambda payload: payload == b"2")
        assert messages == [b"1", b"1", b"2"]


async def test_a_partition_hides_one_from_the_others_until_it_is_healed() -> None:
    broker = LoopbackBroker()
    async with (
        client(broker, "a", Publication("a", b"gone")) as (a, heard_by_a, states),
        client(broker, "b") as (b, heard_by_b, _),
    ):
        broker.partition("a")
        await heard_by_b.until(lambda payload: payload == b"gone")
        await states.until(lambda state: state is LinkState.OFFLINE)
        assert a.publish("t", b"lost") is False
        b.publish("t", b"missed")
        await heard_by_b.until(lambda payload: payload == b"missed")
        broker.heal("a")
        await states.until(lambda _: states[-1] is LinkState.CONNECTED)
        b.publish("t", b"back")
        await heard_by_a.until(lambda payload: payload == b"back")
        assert b"missed" not in heard_by_a


async def test_nothing_happens_within_the_call_that_causes_it() -> None:
    broker = LoopbackBroker()
    async with client(broker, "a") as (link, messages, _):
        acknowledged = asyncio.Event()
        link.publish("t", b"1", acknowledged=acknowledged.set)
        assert messages == []
        assert not acknowledged.is_set()
        await messages.until(lambda _: True)
        assert acknowledged.is_set()


async def test_what_was_on_its_way_when_the_broker_died_is_not_acknowledged() -> None:
    broker = LoopbackBroker()
    async with client(broker, "a") as (link, messages, _):
        acknowledged = asyncio.Event()
        link.publish("t", b"1", acknowledged=acknowledged.set)
        broker.stop()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not acknowledged.is_set()
        assert messages == []
