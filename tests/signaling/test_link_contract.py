"""The contract of a link, on every broker that there is: the stand-in, mosquitto and the embedded one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol, TypedDict

import pytest

from appliance.calls.inputs import LinkState
from appliance.config import Mqtt
from appliance.signaling.base import (
    Link,
    OnFault,
    OnMessage,
    OnState,
    Publication,
    Subscription,
)
from appliance.signaling.broker import EmbeddedBroker
from appliance.signaling.loopback import LoopbackBroker
from appliance.signaling.mqtt import MqttLink
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program
from tests.parts.proxy import Proxy, proxy_to
from tests.parts.watched import Watched

WILL = Publication("home/door", b"offline", retain=True)
Message = tuple[str, bytes, bool]


class Seen:
    """One client, and what its link told it."""

    def __init__(self) -> None:
        self.states: Watched[LinkState] = Watched()
        self.messages: Watched[Message] = Watched()
        self.faults: Watched[tuple[str, str]] = Watched()
        self.link: Link

    async def connected(self, times: int = 1) -> None:
        """Wait until it was connected so many times."""
        await self.states.until(lambda _: self.states.count(LinkState.CONNECTED) >= times)

    async def acknowledged(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish, and wait until the broker has it."""
        done = asyncio.Event()
        assert self.link.publish(topic, payload, retain=retain, acknowledged=done.set)
        async with asyncio.timeout(30):
            await done.wait()


class Callbacks(TypedDict):
    """What a link is given to call."""

    on_state: OnState
    on_message: OnMessage
    on_fault: OnFault


class Rig(Protocol):
    """A broker that can be broken, and links to it."""

    keeps_both: bool

    def link(
        self, seen: Seen, client_id: str, will: Publication | None, wanted: Sequence[Subscription]
    ) -> Link: ...
    async def cut(self, client_id: str) -> None: ...
    async def kill(self) -> None: ...
    async def restart(self) -> None: ...


class LoopbackRig:
    """The stand-in."""

    keeps_both = False

    def __init__(self) -> None:
        self.broker = LoopbackBroker()

    def link(
        self, seen: Seen, client_id: str, will: Publication | None, wanted: Sequence[Subscription]
    ) -> Link:
        return self.broker.connect(client_id, will=will, subscriptions=wanted, **_callbacks(seen))

    async def cut(self, client_id: str) -> None:
        self.broker.partition(client_id)
        await asyncio.sleep(0)
        self.broker.heal(client_id)

    async def kill(self) -> None:
        self.broker.stop()

    async def restart(self) -> None:
        self.broker.start()


class NetworkRig:
    """A broker behind a port, reached through one proxy per client."""

    def __init__(
        self,
        stack: contextlib.AsyncExitStack,
        port: int,
        kill: Callable[[], object],
        start: Callable[[], object],
        *,
        keeps_both: bool = False,
    ) -> None:
        self.keeps_both = keeps_both
        self._stack, self._port, self._kill, self._start = stack, port, kill, start
        self._proxies: dict[str, Proxy] = {}

    async def open_way(self, client_id: str) -> None:
        if client_id not in self._proxies:
            proxy = await self._stack.enter_async_context(proxy_to(self._port))
            self._proxies[client_id] = proxy

    def link(
        self, seen: Seen, client_id: str, will: Publication | None, wanted: Sequence[Subscription]
    ) -> Link:
        port = self._proxies[client_id].port
        config = Mqtt(host="127.0.0.1", port=port)
        return MqttLink(config, client_id, will=will, subscriptions=wanted, **_callbacks(seen))

    async def cut(self, client_id: str) -> None:
        self._proxies[client_id].cut()

    async def kill(self) -> None:
        result = self._kill()
        if asyncio.iscoroutine(result):
            await result

    async def restart(self) -> None:
        result = self._start()
        if asyncio.iscoroutine(result):
            await result


def _callbacks(seen: Seen) -> Callbacks:
    return {
        "on_state": seen.states.post,
        "on_message": lambda *message: seen.messages.post(message),
        "on_fault": lambda *fault: seen.faults.post(fault),
    }


@pytest.fixture(
    params=["loopback", pytest.param("mosquitto", marks=pytest.mark.broker), "embedded"]
)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    """Each broker in turn."""
    async with contextlib.AsyncExitStack() as stack:
        match request.param:
            case "loopback":
                yield LoopbackRig()
            case "mosquitto":
                broker = Mosquitto(program("mosquitto"), tmp_path)
                broker.start()
                stack.callback(broker.kill)
                yield NetworkRig(stack, broker.port, broker.kill, broker.start)
            case "embedded":
                current = contextlib.AsyncExitStack()
                first = await current.enter_async_context(EmbeddedBroker())
                stack.push_async_callback(current.aclose)

                async def restart() -> None:
                    await current.enter_async_context(EmbeddedBroker(first.port))

                yield NetworkRig(stack, first.port, current.aclose, restart, keeps_both=True)


@contextlib.asynccontextmanager
async def client(
    rig: Rig,
    client_id: str,
    *wanted: Subscription,
    will: Publication | None = None,
    wait: bool = True,
) -> AsyncIterator[Seen]:
    """A client of the broker; connected unless told not to wait."""
    if isinstance(rig, NetworkRig):
        await rig.open_way(client_id)
    seen = Seen()
    async with rig.link(seen, client_id, will, wanted) as link:
        seen.link = link
        if wait:
            await seen.connected()
        yield seen


async def test_what_one_publishes_another_gets_who_asked_for_it(rig: Rig) -> None:
    async with (
        client(rig, "a") as a,
        client(rig, "b", Subscription("home/+/bell")) as b,
        client(rig, "c", Subscription("home/#"), Subscription("other")) as c,
    ):
        await a.acknowledged("home/garden/gate", b"1")
        await a.acknowledged("home/door/bell", b"2")
        await a.acknowledged("other", b"3")
        await c.messages.until(lambda _: len(c.messages) == 3)
        await b.messages.until(lambda _: len(b.messages) == 1)
        assert b.messages == [("home/door/bell", b"2", False)]
        assert sorted(payload for _, payload, _ in c.messages) == [b"1", b"2", b"3"]
        assert a.messages == []


async def test_many_messages_come_all_and_in_order(rig: Rig) -> None:
    async with client(rig, "a", Subscription("t")) as a:
        payloads = [str(number).encode() for number in range(200)]
        for payload in payloads:
            assert a.link.publish("t", payload)
        await a.messages.until(lambda _: len(a.messages) >= len(payloads))
        assert [payload for _, payload, _ in a.messages] == payloads


async def test_who_comes_later_is_told_what_was_retained(rig: Rig) -> None:
    async with client(rig, "a") as a:
        await a.acknowledged("home/lamp", b"on", retain=True)
        await a.acknowledged("home/bell", b"rang")
        async with client(rig, "b", Subscription("home/+")) as b:
            await b.messages.until(lambda _: True)
            assert b.messages == [("home/lamp", b"on", True)]
            await a.acknowledged("home/lamp", b"off", retain=True)
            await b.messages.until(lambda message: message == ("home/lamp", b"off", False))
        await a.acknowledged("home/lamp", b"", retain=True)
        async with client(rig, "c", Subscription("home/+")) as c:
            await a.acknowledged("home/bell", b"again")
            await c.messages.until(lambda message: message[1] == b"again")
            assert len(c.messages) == 1


async def test_nobody_is_told_what_only_others_have_asked_for(rig: Rig) -> None:
    async with client(rig, "a", Subscription("home/+")) as a:
        await a.acknowledged("home/lamp", b"on", retain=True)
        async with client(rig, "b", Subscription("garden/+")) as b:
            await a.acknowledged("garden/gate", b"open")
            await b.messages.until(lambda _: True)
            assert b.messages == [("garden/gate", b"open", False)]


async def test_what_was_retained_comes_marked_or_not_at_all_where_it_is_not_wanted(
    rig: Rig,
) -> None:
    async with client(rig, "a") as a:
        await a.acknowledged("inbox/door", b"old", retain=True)
        async with client(rig, "b", Subscription("inbox/+", retained=False)) as b:
            await a.acknowledged("inbox/door", b"new")
            await b.messages.until(lambda message: message[1] == b"new")
            old = [one for one in b.messages if one[1] == b"old"]
            if getattr(b.link, "version", "") == "3.1.1":  # which cannot say that it is not wanted
                assert old == [("inbox/door", b"old", True)]
            else:
                assert old == []
            assert ("inbox/door", b"new", False) in b.messages


async def test_what_is_wanted_may_be_something_else_later(rig: Rig) -> None:
    """What is retained for the new comes, of what stays not again, and of what is gone no more."""
    async with client(rig, "a") as a:
        for topic in ("one", "two", "three"):
            await a.acknowledged(f"home/{topic}", b"kept", retain=True)
        first, *others = (Subscription(f"home/{one}") for one in ("one", "two", "three"))
        async with client(rig, "b", first, others[0]) as b:
            await b.messages.until(lambda _: len(b.messages) == 2)
            b.link.subscribe(others)
            await b.messages.until(lambda message: message == ("home/three", b"kept", True))
            for topic in ("one", "two", "three"):
                await a.acknowledged(f"home/{topic}", b"now")
            await b.messages.until(lambda _: ("home/three", b"now", False) in b.messages)
            assert [one for one in b.messages if one[0] == "home/one"] == [
                ("home/one", b"kept", True)
            ]
            assert len(b.messages) == 5
            await rig.cut("b")
            await b.connected(times=2)
            await b.messages.until(lambda _: len(b.messages) == 7)
            assert sorted(b.messages[5:]) == [
                ("home/three", b"kept", True),
                ("home/two", b"kept", True),
            ]


async def test_hundreds_of_subscriptions_are_made_and_taken_back(rig: Rig) -> None:
    async with client(rig, "a") as a:
        await a.acknowledged("t/299", b"kept", retain=True)
        many = [Subscription(f"t/{number}") for number in range(300)]
        async with client(rig, "b", *many) as b:
            await b.messages.until(lambda message: message == ("t/299", b"kept", True))
            b.link.subscribe(many[:1])
            await b.acknowledged("t/0", b"one")
            await b.messages.until(lambda message: message == ("t/0", b"one", False))
            await a.acknowledged("t/299", b"nobody hears this")
            await a.acknowledged("t/0", b"two")
            await b.messages.until(lambda message: message == ("t/0", b"two", False))
            assert len(b.messages) == 3


async def test_what_is_wanted_before_the_connection_is_there_comes_with_it(rig: Rig) -> None:
    async with client(rig, "a") as a:
        await a.acknowledged("home/lamp", b"on", retain=True)
        async with client(rig, "b", wait=False) as b:
            b.link.subscribe([Subscription("home/lamp")])
            await b.messages.until(lambda message: message == ("home/lamp", b"on", True))


async def test_a_lost_connection_publishes_the_will_and_is_made_anew(rig: Rig) -> None:
    async with (
        client(rig, "watcher", Subscription("home/door")) as watcher,
        client(rig, "door", Subscription("to/door"), will=WILL) as door,
    ):
        await rig.cut("door")
        await watcher.messages.until(lambda message: message[1] == b"offline")
        await door.connected(times=2)
        await watcher.acknowledged("to/door", b"still there?")
        await door.messages.until(lambda message: message[1] == b"still there?")
        assert door.states[:3] == [
            LinkState.CONNECTING,
            LinkState.CONNECTED,
            LinkState.CONNECTING,
        ]


async def test_a_clean_stop_says_the_same_as_the_will_and_ends_offline(rig: Rig) -> None:
    async with client(rig, "watcher", Subscription("home/door")) as watcher:
        async with client(rig, "door", will=WILL) as door:
            door.link.publish("home/door", b"online", retain=True)
        assert door.states[-1] is LinkState.OFFLINE
        assert door.link.publish("home/door", b"too late") is False
        await watcher.messages.until(lambda message: message[1] == b"offline")
        assert [payload for _, payload, _ in watcher.messages] == [b"online", b"offline"]
        async with client(rig, "later", Subscription("home/door")) as later:
            await later.messages.until(lambda message: message == ("home/door", b"offline", True))


async def test_a_broker_that_is_killed_and_comes_back_is_found_again(rig: Rig) -> None:
    async with client(rig, "door", Subscription("to/door"), will=WILL) as door:
        await rig.kill()
        await door.states.until(lambda state: state is LinkState.OFFLINE)
        assert door.link.publish("to/door", b"nobody hears this") is False
        await rig.restart()
        await door.connected(times=2)
        await door.acknowledged("to/door", b"back")
        await door.messages.until(lambda message: message[1] == b"back")
        assert [payload for _, payload, _ in door.messages] == [b"back"]


async def test_without_a_broker_the_link_says_why_once_and_waits(rig: Rig) -> None:
    await rig.kill()
    async with client(rig, "door", wait=False) as door:
        await door.states.until(lambda state: state is LinkState.OFFLINE)
        await door.faults.until(lambda _: True)
        assert door.link.state is LinkState.OFFLINE
        await rig.restart()
        await door.connected()
        codes = [code for code, _ in door.faults]
        assert len(codes) == len(set(codes))
    await rig.kill()


async def test_leaving_before_the_broker_was_ever_there_takes_no_time(rig: Rig) -> None:
    await rig.kill()
    async with client(rig, "door", will=WILL, wait=False):
        pass


async def test_who_takes_the_client_id_takes_the_place(rig: Rig) -> None:
    async with (
        client(rig, "watcher", Subscription("#")) as watcher,
        client(rig, "door", will=WILL) as first,
    ):
        lost = len(first.states)
        async with client(rig, "door", Subscription("to/door")) as second:
            await watcher.acknowledged("to/door", b"who is it?")
            await second.messages.until(lambda message: message[1] == b"who is it?")
            if not rig.keeps_both:  # as amqtt does
                await first.states.until(lambda _: len(first.states) > lost)
                await first.faults.until(lambda _: True)
                await watcher.messages.until(lambda message: message[1] == b"offline")
