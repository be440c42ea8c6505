"""Everybody who is told: a program on the socket, one at the broker, a listener, and a hook."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from appliance.bus import to_json
from appliance.events import EVENTS
from appliance.listeners import (
    ButtonClickListener,
    CallListener,
    LayoutListener,
    Listener,
    MediaEventsListener,
    ParticipantEventListener,
    SessionStatusListener,
)
from tests.conformance.rows import NEVER_PLAIN
from tests.parts.processes import in_order_of_start
from tests.parts.steward import Steward

Item = dict[str, Any]
LINE_MAX = 1 << 22


class SocketClient:
    """A program on this device: it follows all events, asks, and gives commands."""

    def __init__(self, path: Path) -> None:
        self.events: list[Item] = []
        self._path = path
        self._answers: dict[Any, asyncio.Future[Item]] = {}
        self._asked = 0

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_unix_connection(self._path, limit=LINE_MAX)
        self._reading = asyncio.get_running_loop().create_task(self._read())
        answer = await self.ask(subscribe=["*"])
        assert answer["ok"], answer
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        await self._reading

    async def ask(self, **request: Any) -> Item:
        """The answer to one request."""
        self._asked += 1
        answer: asyncio.Future[Item] = asyncio.get_running_loop().create_future()
        self._answers[self._asked] = answer
        self._writer.write(json.dumps({"id": self._asked, **request}).encode() + b"\n")
        return await answer

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await self._reader.readline():
                item = json.loads(line)
                if "ok" in item:
                    self._answers.pop(item["id"]).set_result(item)
                else:
                    assert "dropped" not in item, "the socket lost events"
                    self.events.append(item)


STEWARD = Steward()
"""Who signs."""


class BrokerClient:
    """A program at the broker: it follows the device's topics, and gives commands: plain ones, and
    signed those that are never taken plain.
    """

    def __init__(self, port: int, device: str) -> None:
        self.events: list[Item] = []
        self.states: list[tuple[str, str]] = []
        self.faults: list[str] = []
        self._device = device
        self._base = f"appliance/device/{device}"
        self._presence = f"appliance/presence/{device}/main"
        self._epoch: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._answers: dict[str, asyncio.Future[Item]] = {}
        self._asked = 0
        self._subscribed, self._device_is_there = asyncio.Event(), asyncio.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, f"{device}-follower", protocol=paho.MQTTv5
        )
        self._client.on_connect = lambda client, *_: client.subscribe(
            [(f"{self._base}/#", 1), (self._presence, 1)]
        )
        self._client.on_subscribe = self._has_subscribed
        self._client.on_message = self._came
        self._client.reconnect_delay_set(1, 1)
        self._port = port

    def _has_subscribed(self, *_: Any) -> None:
        self._loop.call_soon_threadsafe(self._subscribed.set)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._client.connect, "127.0.0.1", self._port, 10)
        self._client.loop_start()
        await self._subscribed.wait()
        # by the connection for these topics, without which its events are told to nobody
        await self._device_is_there.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def ask(self, name: str, args: Item) -> Item:
        """The reply to one command."""
        self._asked += 1
        answer: asyncio.Future[Item] = self._loop.create_future()
        request_id = str(self._asked)
        self._answers[request_id] = answer
        payload: str | bytes
        if name in NEVER_PLAIN:
            epoch = await asyncio.shield(self._epoch)
            payload = STEWARD.order(self._device, epoch, name, args, id=request_id)
        else:
            payload = json.dumps({"id": request_id, "client": "conformance", "args": args})
        self._client.publish(f"{self._base}/command/{name}", payload, 1)
        return await answer

    def command(self, name: str, args: Item) -> None:
        """Give a command to which no reply is waited for."""
        self._client.publish(f"{self._base}/command/{name}", json.dumps({"args": args}), 1)

    def _came(self, _client: Any, _data: Any, packet: paho.MQTTMessage) -> None:
        topic, payload = packet.topic.removeprefix(f"{self._base}/"), bytes(packet.payload)
        if topic == self._presence:
            self._loop.call_soon_threadsafe(self._seen_online, json.loads(payload))
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: the test is over
            self._loop.call_soon_threadsafe(self._take, topic, payload, packet.retain)

    def _seen_online(self, said: Item) -> None:
        if said["state"] == "online":
            if self._epoch.done():
                self._epoch = self._loop.create_future()
            self._epoch.set_result(said["epoch"])

    def _take(self, topic: str, payload: bytes, retained: bool) -> None:
        kind, _, rest = topic.partition("/")
        if kind == "event":
            item = json.loads(payload)
            if retained or rest.rsplit("/", 1)[-1] != item["type"].removeprefix("appliance."):
                self.faults.append(f"{topic} (retained: {retained}) has a {item['type']}")
            self.events.append(item)
        elif kind == "availability" and payload == b"online":
            self._device_is_there.set()
        elif kind == "state":
            self.states.append((rest, payload.decode()))
        elif kind == "reply":
            reply = json.loads(payload)
            waiting = self._answers.pop(str(reply["id"]), None)
            if waiting is not None:
                waiting.set_result(reply)


def _methods(told: list[tuple[str, Item]]) -> dict[str, Callable[..., None]]:
    """A method for every event, which writes down what it is called with."""

    def method(name: str, fields: tuple[str, ...]) -> Callable[..., None]:
        def handle(_self: Listener, *given: Any) -> None:
            told.append((name, dict(zip(fields, map(to_json, given), strict=True))))

        return handle

    return {f"on_{name}": method(name, event.data_fields()) for name, event in EVENTS.items()}


def listener(told: list[tuple[str, Item]]) -> Listener:
    """A listener of all six families that overrides everything."""
    families = (
        SessionStatusListener,
        ParticipantEventListener,
        MediaEventsListener,
        ButtonClickListener,
        LayoutListener,
        CallListener,
    )
    kind = type("Everything", families, _methods(told))
    made: Listener = kind()
    return made


HOOK = """#!/bin/sh
# when this process was started: in clock ticks since boot, and within one by its number
read -r stat < /proc/$$/stat
set -- $stat
shift 21
exec sed -n 's/.*"id": *"\\([0-9a-f]*-[0-9]*\\)", "source".*/'"$1 $$"' \\1/p' >> {file}
"""


class HookFolder:
    """A folder with one hook for all events, which writes down the id of each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "hooks"
        self.folder.mkdir(mode=0o700)
        self._file = folder / "hooked"
        self._file.touch()
        script = self.folder / "all"
        script.write_text(HOOK.format(file=self._file))
        script.chmod(0o700)

    def started(self) -> list[str]:
        """The ids of the events, in the order in which the hook was started for them."""
        lines = (line.split() for line in self._file.read_text().splitlines())
        ticks: dict[int, list[tuple[int, str]]] = {}
        for at, pid, id_ in lines:
            ticks.setdefault(int(at), []).append((int(pid), id_))
        return [id_ for at in sorted(ticks) for id_ in in_order_of_start(ticks[at])]
