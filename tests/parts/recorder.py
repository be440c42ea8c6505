"""Somebody at the broker who keeps everything that goes over it, and can say all of it again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


@dataclass(frozen=True)
class Kept:
    """One message as it came."""

    topic: str
    payload: bytes
    retained: bool


class Recorder:
    """Listens to all topics."""

    def __init__(self, port: int) -> None:
        self.kept: list[Kept] = []
        self._loop = asyncio.get_running_loop()
        self._port = port
        self._subscribed = asyncio.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "recorder", protocol=paho.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = self._has_subscribed
        self._client.on_message = self._came

    def _has_subscribed(self, *_: Any) -> None:
        self._loop.call_soon_threadsafe(self._subscribed.set)

    def _came(self, _client: Any, _data: Any, packet: paho.MQTTMessage) -> None:
        kept = Kept(packet.topic, bytes(packet.payload), bool(packet.retain))
        self._loop.call_soon_threadsafe(self.kept.append, kept)

    def inbox(self) -> list[Kept]:
        """What endpoints have said to one another."""
        return [one for one in self.kept if one.topic.startswith("appliance/call/")]

    async def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Say one thing; back when the broker has it."""
        info = self._client.publish(topic, payload, 1, retain=retain)
        await asyncio.to_thread(info.wait_for_publish, 30)

    async def open(self) -> None:
        """Connect, and be subscribed."""
        await asyncio.to_thread(self._client.connect, "127.0.0.1", self._port, 10)
        self._client.loop_start()
        await self._subscribed.wait()

    async def close(self) -> None:
        """Go away."""
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)
        del self._client  # with it go the sockets that it wakes its thread by


@asynccontextmanager
async def recording(port: int) -> AsyncIterator[Recorder]:
    """A recorder that listens."""
    recorder = Recorder(port)
    await recorder.open()
    try:
        yield recorder
    finally:
        await recorder.close()
