"""What a caller waits for: press to invite, and accept to the first decoded picture.

Each against the bare thing in the same run: a message through the same broker between two paho clients,
and an aiortc peer that answers an offer with a pre-encoded H.264 track.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import paho.mqtt.client as paho
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from paho.mqtt.enums import CallbackAPIVersion

from appliance.config import Panel
from appliance.media.card import Card
from appliance.media.encoding import H264Encoder
from appliance.model import Gesture
from tests.bench.table import Row
from tests.parts.house import House, config_for, house
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program
from tests.parts.phone import Media, Phone, Tone, phone

RUNS = 15
WIDTH, HEIGHT, FPS, KBPS = 640, 360, 25, 800


def run() -> list[Row]:
    """All figures, in one loop and one broker."""
    with tempfile.TemporaryDirectory() as name:
        broker = Mosquitto(program("mosquitto"), Path(name))
        broker.start()
        try:
            return asyncio.run(_measure(broker, Path(name)))
        finally:
            broker.kill()


async def _measure(broker: Mosquitto, folder: Path) -> list[Row]:
    round_trip = await _round_trips(broker)
    bare = [await _bare_first_picture() for _ in range(RUNS)]
    config = config_for(broker.port, panel=Panel(max_presses=0))
    async with house(config, folder) as door:
        rings, pictures = [], []
        async with phone("alice", "127.0.0.1", broker.port) as alice:
            uid = {"alice"}
            await door.until_true(lambda: uid <= door.appliance.engine.state.presence.keys())
            for _ in range(RUNS):
                ring_ms, picture_ms = await _call(door, alice)
                rings.append(ring_ms)
                pictures.append(picture_ms)
    return [
        Row("bare MQTT message, broker and back", round_trip, "ms"),
        Row("press to invite at a subscriber", statistics.median(rings), "ms", round_trip),
        Row("bare aiortc, offer to first decoded picture", statistics.median(bare), "ms"),
        Row(
            "accept to first decoded picture",
            statistics.median(pictures),
            "ms",
            statistics.median(bare),
            1.25,
        ),
    ]


async def _call(door: House, alice: Phone) -> tuple[float, float]:
    alice.media.counters.clear()
    alice.joined.clear()
    door.told.clear()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(door.appliance.board.press("bell_alice", Gesture.PRESS))
        invite = await alice.hear("invite")
        ring_ms = (time.perf_counter() - began) * 1000
    connection = alice._connect(880)
    await connection.setLocalDescription(await connection.createOffer())
    description = connection.localDescription
    offer = {"type": description.type, "sdp": description.sdp}
    began = time.perf_counter()
    await alice.send("accept", invite["call_id"], {"offer": offer, "custom_data": None})
    answer = await alice.hear("answer")
    await alice._finish(answer["body"]["answer"])
    await alice.media.until(lambda: bool(alice.media.counters))
    picture_ms = (time.perf_counter() - began) * 1000
    await alice.send("end", invite["call_id"], {"reason": "hang_up", "kicked_by": None})
    await door.until("call_ended")
    await alice.hang_up()
    return ring_ms, picture_ms


async def _round_trips(broker: Mosquitto) -> float:
    """One paho client to another through the broker, QoS 1, the size of an invite."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[None] = asyncio.Queue()
    subscribed = asyncio.Event()
    clients = [
        paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
        for name in ("sender", "receiver")
    ]
    sender, receiver = clients

    def subscribe(*_: Any) -> None:
        receiver.subscribe("bench", 1)

    receiver.on_connect = subscribe
    receiver.on_subscribe = lambda *_: _soon(loop, subscribed.set)
    receiver.on_message = lambda *_: _soon(loop, arrived.put_nowait, None)
    for client in clients:
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
    await subscribed.wait()
    times_ms = []
    for _ in range(RUNS):
        began = time.perf_counter()
        sender.publish("bench", b"x" * 700, 1)
        await arrived.get()
        times_ms.append((time.perf_counter() - began) * 1000)
    for client in clients:
        client.disconnect()
        client.loop_stop()
    return statistics.median(times_ms)


def _soon(loop: asyncio.AbstractEventLoop, call: Any, *arguments: Any) -> None:
    loop.call_soon_threadsafe(call, *arguments)


# -------------------- bare aiortc


class _Encoded(MediaStreamTrack):
    """Pictures of the same card that lie ready: the first two leave as soon as they are asked for.

    No camera can be better; aiortc as a receiver shows a picture when the next one begins.
    """

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._start = time.monotonic()
        self._at = 0

    async def recv(self) -> av.Packet[Any]:
        await asyncio.sleep(max(0.0, self._start + self._at / FPS - time.monotonic()))
        packet = av.Packet(_units()[self._at % len(_units())])
        packet.pts, packet.time_base = self._at * 90000 // FPS, Fraction(1, 90000)
        self._at += 1
        return packet


_UNITS: list[bytes] = []


def _units() -> list[bytes]:
    if not _UNITS:
        card = Card(WIDTH, HEIGHT)
        encoder = H264Encoder(WIDTH, HEIGHT, FPS, KBPS)
        for number in range(FPS):
            picture = card.draw(number, "12:00:00", number / FPS)
            _UNITS.append(encoder.encode(picture, number * 1_000_000 // FPS).data)
    return _UNITS


async def _bare_first_picture() -> float:
    _units()
    caller = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    callee = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    codecs = RTCRtpSender.getCapabilities("video").codecs
    h264 = [one for one in codecs if one.mimeType in ("video/H264", "video/rtx")]
    caller.addTrack(Tone(880))
    caller.addTransceiver("video", direction="recvonly").setCodecPreferences(h264)
    media = Media()
    tasks: list[asyncio.Task[None]] = []

    @caller.on("track")
    def on_track(track: MediaStreamTrack) -> None:
        tasks.append(asyncio.get_running_loop().create_task(media.watch(track)))

    await caller.setLocalDescription(await caller.createOffer())
    began = time.perf_counter()
    callee.addTrack(Tone(440))
    callee.addTransceiver(_Encoded(), direction="sendonly").setCodecPreferences(h264)
    offer = caller.localDescription
    await callee.setRemoteDescription(RTCSessionDescription(sdp=offer.sdp, type=offer.type))
    await callee.setLocalDescription(await callee.createAnswer())
    answer = callee.localDescription
    await caller.setRemoteDescription(RTCSessionDescription(sdp=answer.sdp, type=answer.type))
    await media.until(lambda: bool(media.counters))
    elapsed_ms = (time.perf_counter() - began) * 1000
    await caller.close()
    await callee.close()
    await asyncio.gather(*tasks, return_exceptions=True)
    return elapsed_ms
