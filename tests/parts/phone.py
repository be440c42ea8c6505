"""An independent phone: paho, aiortc and the documented messages, and nothing of this project's code."""

from __future__ import annotations

import asyncio
import json
import math
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import numpy as np
import paho.mqtt.client as paho
from aiortc import (
    AudioStreamTrack,
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from av import AudioFrame, VideoFrame
from paho.mqtt.enums import CallbackAPIVersion

from tests.parts.network import without_checks
from tests.parts.pen import Pen, kid_of, read

RATE = 48000
PATIENCE_S = 30.0
"""Far longer than anything takes; only a fault waits for it."""
KEEPALIVE_S = 10
"""How long the broker may say nothing."""

Message = dict[str, Any]


class Tone(AudioStreamTrack):
    """A sine wave in real time, 20 ms a frame."""

    def __init__(self, hertz: float) -> None:
        super().__init__()
        self._hertz = hertz
        self._at = 0
        self._start = time.monotonic()

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0.0, self._start + self._at / RATE - time.monotonic()))
        count = RATE // 50
        angles = 2 * math.pi * self._hertz * (self._at + np.arange(count)) / RATE
        samples = (8000 * np.sin(angles)).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._at, Fraction(1, RATE)
        self._at += count
        return frame


class Media:
    """What comes from the other side: frame numbers read from the picture, and the sound."""

    def __init__(self) -> None:
        self.pictures = 0
        self.latest: VideoFrame | None = None
        self.samples: list[np.ndarray[Any, Any]] = []
        self.changed = asyncio.Condition()
        self._counters: list[int] = []
        self._rows: list[bytes] = []
        """Of pictures whose number nobody has asked for yet."""

    @property
    def counters(self) -> list[int]:
        """The numbers of the pictures, of those that have one."""
        rows, self._rows = self._rows, []
        self._counters += (number for row in rows if (number := read_row(row)) is not None)
        return self._counters

    async def watch(self, track: MediaStreamTrack) -> None:
        """Receive a track until it ends."""
        while True:
            try:
                frame = await track.recv()
            except Exception:
                return
            if isinstance(frame, VideoFrame):
                self.pictures += 1
                self.latest = frame
                self._rows.append(top_row(frame))
            elif isinstance(frame, AudioFrame):
                pcm = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                self.samples.append(pcm.astype(np.float64))
            async with self.changed:
                self.changed.notify_all()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something to become true of what was received. Raises TimeoutError, with what came."""
        try:
            async with asyncio.timeout(PATIENCE_S), self.changed:
                await self.changed.wait_for(true)
        except TimeoutError:
            shown = f"{self.pictures} pictures, of which {len(self.counters)} had a number"
            raise TimeoutError(f"{shown}, and {len(self.samples)} packets of sound") from None

    def tone_hz(self) -> float:
        """The loudest frequency of the last second."""
        sound = np.concatenate(self.samples[-100:])[-RATE:]  # packets of 20 ms, or of 10
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        return float(np.argmax(spectrum[20:]) + 20) * RATE / len(sound)


def top_row(frame: VideoFrame) -> bytes:
    """The brightness of the row that has the number."""
    luma = frame.planes[0]
    start = frame.height // 24 * luma.line_size
    return bytes(memoryview(luma)[start : start + frame.width])


def read_row(row: bytes) -> int | None:
    """The number in the top row: 24 bits and their CRC-8, as docs/test-card.md says."""
    width = len(row)
    word = 0
    for block in range(32):
        word = word << 1 | (row[(2 * block + 1) * width // 64] > 127)
    number, check = word >> 8, word & 0xFF
    crc = 0xFF
    for byte in number.to_bytes(3, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x107) if crc & 0x80 else crc << 1
    return number if crc == check else None


class Phone:
    """One endpoint of one person."""

    def __init__(
        self,
        uid: str,
        host: str,
        port: int,
        *,
        device: str,
        endpoint: str,
        version: int,
        pen: Pen | None = None,
        password: str | None = None,
        trusts: str | None = None,
    ) -> None:
        self.uid, self.endpoint, self.device = uid, endpoint, device
        self.epoch = secrets.token_hex(16)
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.seen: list[Message] = []
        self.door_epoch: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.media = Media()
        self.pen = pen
        """With which it signs what it sends; None: it does not."""
        self.unsigned: list[str] = []
        """Types of messages that came to it in plain words."""
        self.connection: RTCPeerConnection | None = None
        self.joined = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._seq = int(time.time() * 1000)  # above that of the same endpoint before
        self._ids: dict[str, None] = {}
        self._subscribed = asyncio.Event()
        self._watching: set[asyncio.Task[None]] = set()
        protocol = paho.MQTTv5 if version == 5 else paho.MQTTv311
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, f"{uid}-{endpoint}", protocol=protocol
        )
        self._presence = f"appliance/presence/{uid}/{endpoint}"
        offline = json.dumps({"v": 1, "state": "offline"})
        self._client.will_set(self._presence, offline, 1, True)
        if password is not None:
            self._client.username_pw_set(uid, password)
        if trusts is not None:
            self._client.tls_set_context(ssl.create_default_context(cadata=trusts))
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._has_subscribed
        self._client.on_message = self._arrived
        self._client.reconnect_delay_set(1, 1)
        self._client.connect(host, port, KEEPALIVE_S)
        self._client.loop_start()

    # -------------------- the broker

    def _connected(self, client: paho.Client, *_: Any) -> None:
        inbox = (f"appliance/call/{self.uid}/+", 1)
        client.subscribe([inbox, (f"appliance/presence/{self.device}/+", 1)])

    def _has_subscribed(self, *_: Any) -> None:
        self._loop.call_soon_threadsafe(self._subscribed.set)

    def _arrived(self, _client: Any, _data: Any, packet: paho.MQTTMessage) -> None:
        payload = bytes(packet.payload)
        body = json.loads(read(payload))
        signed = kid_of(payload) is not None
        self._loop.call_soon_threadsafe(self._take, packet.topic, body, signed)

    def _take(self, topic: str, body: Message, signed: bool) -> None:
        if topic.startswith("appliance/presence/"):
            if body["state"] == "online":
                if self.door_epoch.done():  # the door has connected anew
                    self.door_epoch = self._loop.create_future()
                self.door_epoch.set_result(body["epoch"])
            return
        if not signed:
            self.unsigned.append(body["type"])
        if body["to_endpoint"] not in (None, self.endpoint) or body["id"] in self._ids:
            return
        self._ids[body["id"]] = None
        self.seen.append(body)
        self.inbox.put_nowait(body)
        self._heard(body)

    def forget(self) -> None:
        """Let go of what is over, in a run of thousands of calls."""
        self.joined.clear()
        self.seen.clear()
        for id_ in list(self._ids)[:-256]:  # the others may still be said once more
            del self._ids[id_]
        self.media.samples.clear()

    def _heard(self, message: Message) -> None:
        """A new message came; for who reacts to some by itself."""

    async def online(self) -> None:
        """Tell that this endpoint is there, and know the door's connection."""
        async with asyncio.timeout(PATIENCE_S):
            await self._subscribed.wait()
            online = {
                "v": 1,
                "state": "online",
                "epoch": self.epoch,
                "name": self.uid.title(),
                "kid": self.pen.kid if self.pen else None,
            }
            self._client.publish(self._presence, json.dumps(online), 1, True)
            await self.door_epoch

    async def online_again(self) -> None:
        """Wait until it has come back to the broker by itself, and tell that it is there."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.is_online():  # noqa: ASYNC110 - paho tells its own thread alone
                await asyncio.sleep(0.05)
        self._subscribed.clear()
        self._connected(self._client)
        await self.online()

    def is_online(self) -> bool:
        """Whether it reaches the broker."""
        return bool(self._client.is_connected())

    def close(self) -> None:
        """Leave as a clean stop does, where its broker still is there."""
        if self.is_online():
            offline = json.dumps({"v": 1, "state": "offline"})
            self._client.publish(self._presence, offline, 1, True).wait_for_publish(5)
        self._client.disconnect()
        self._client.loop_stop()

    # -------------------- messages

    async def send(self, type_: str, call_id: str, body: Message, **changes: Any) -> Message:
        """Send a message to the door."""
        self._seq += 1
        envelope = {
            "v": 1,
            "id": secrets.token_hex(8),
            "type": type_,
            "call_id": call_id,
            "from": self.uid,
            "to": self.device,
            "endpoint": self.endpoint,
            "to_endpoint": "main",
            "epoch": await self.door_epoch,
            "seq": self._seq,
            "sent_at": int(time.time() * 1000),
            "ttl_s": 30,
            "clock": "unknown",
            "body": body,
        }
        topic = changes.pop("topic", f"appliance/call/{self.device}/{self.uid}")
        envelope.update(changes)
        payload = json.dumps(envelope).encode()
        self._client.publish(topic, self.pen.sign(payload) if self.pen else payload, 1)
        return envelope

    async def hear(self, type_: str) -> Message:
        """The next message of that type; others before it are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self.inbox.get()
                if message["type"] == type_:
                    return message

    # -------------------- calls

    async def answer(self, invite: Message, hertz: float = 880) -> Message:
        """Accept an invite that has no offer, and take the door's answer."""
        await self.accept(invite, hertz)
        return await self.connected("answer")

    async def accept(self, invite: Message, hertz: float = 880) -> None:
        """With an offer, which the door will answer."""
        connection = self._connect(hertz)
        await connection.setLocalDescription(await connection.createOffer())
        body = {"offer": _json(connection), "custom_data": None}
        await self.send("accept", invite["call_id"], body)

    async def call(self, call_id: str, hertz: float = 880, type_: str = "video") -> None:
        """Invite the door with an offer."""
        connection = self._connect(hertz, video=type_ == "video")
        await connection.setLocalDescription(await connection.createOffer())
        await self.send("invite", call_id, self.invitation(type_, _json(connection)))

    def invitation(self, type_: str = "video", offer: Message | None = None) -> Message:
        """The body of an invite to the door."""
        return {
            "session_id": secrets.token_hex(16),
            "call_type": type_,
            "receiver": {"type": "user", "id": self.device},
            "callees": [self.device],
            "caller": {"uid": self.uid, "name": self.uid.title()},
            "timeout_s": 30,
            "custom_data": None,
            "token": None,
            "offer": offer,
        }

    async def connected(self, by: str = "accept") -> Message:
        """The door accepted the invite, or was accepted, and its answer is in a message of that type."""
        message = await self.hear(by)
        await self._finish(message["body"]["answer"])
        return message

    async def _finish(self, answer: Message) -> None:
        assert self.connection is not None
        await self.connection.setRemoteDescription(RTCSessionDescription(**answer))
        async with asyncio.timeout(PATIENCE_S):
            await self.joined.wait()

    def _connect(self, hertz: float, *, video: bool = True) -> RTCPeerConnection:
        connection = self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.addTrack(Tone(hertz))
        if video:
            transceiver = connection.addTransceiver("video", direction="recvonly")
            codecs = RTCRtpSender.getCapabilities("video").codecs
            transceiver.setCodecPreferences(
                [codec for codec in codecs if codec.mimeType in ("video/H264", "video/rtx")]
            )

        @connection.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            task = self._loop.create_task(self.media.watch(track))
            self._watching.add(task)
            task.add_done_callback(self._watching.discard)

        @connection.on("connectionstatechange")
        def on_state() -> None:
            if connection.connectionState == "connected":
                self.joined.set()

        return connection

    @property
    def to_the_door(self) -> RTCPeerConnection:
        """Its connection with the device."""
        assert self.connection is not None
        return self.connection

    def falls_silent(self, silent: bool = True) -> None:
        """Let nothing of the media out to the device, as a dead network would; or let it out again."""
        transport = self.to_the_door.getTransceivers()[0].sender.transport
        for protocol in transport.transport._connection._protocols:
            if silent:
                without_checks(protocol)
            else:
                protocol.__dict__.pop("send_stun", None)

        async def lost(_data: bytes) -> None:
            """It goes nowhere."""

        if silent:
            transport._send_rtp = lost  # type: ignore[method-assign,assignment]
        else:
            del transport._send_rtp

    async def hang_up(self) -> None:
        """Close the media."""
        if self.connection is not None:
            await closed(self.connection)
        for task in list(self._watching):
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)


async def closed(connection: RTCPeerConnection) -> None:
    """Close a connection, with the task that aiortc leaves behind if it was still connecting."""
    for task in asyncio.all_tasks():
        coroutine = task.get_coro()
        frame = getattr(coroutine, "cr_frame", None)
        if (
            getattr(coroutine, "__qualname__", "") == "RTCPeerConnection.__connect"
            and frame is not None
            and frame.f_locals.get("self") is connection
        ):
            task.cancel()
    await asyncio.sleep(0)
    await connection.close()


def _json(connection: RTCPeerConnection) -> Message:
    description = connection.localDescription
    return {"type": description.type, "sdp": description.sdp}


@asynccontextmanager
async def phone(
    uid: str,
    host: str,
    port: int,
    *,
    device: str = "front-door",
    endpoint: str = "phone",
    version: int = 5,
    pen: Pen | None = None,
    password: str | None = None,
    trusts: str | None = None,
) -> AsyncIterator[Phone]:
    """A phone that is online for as long as the block lasts; with a `pen` it signs, and so has its door.

    `trusts` (PEM): the authority by which it believes the broker, which then is to have TLS.
    """
    one = Phone(
        uid,
        host,
        port,
        device=device,
        endpoint=endpoint,
        version=version,
        pen=pen,
        password=password,
        trusts=trusts,
    )
    try:
        await one.online()
        yield one
        assert not (pen and one.unsigned), f"the door has not signed {one.unsigned}"
    finally:
        await one.hang_up()
        await asyncio.to_thread(one.close)  # it waits for a broker that may live on this loop
