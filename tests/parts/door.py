"""An independent door: paho, aiortc and the documented messages, and nothing of this project's code.

It does nothing by itself but send media: a test says what it sends, and hears what it is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import paho.mqtt.client as paho
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.sdp import candidate_from_sdp
from av import AudioFrame, VideoFrame
from paho.mqtt.enums import CallbackAPIVersion

from tests.parts.phone import Tone

PATIENCE_S = 30.0
"""Far longer than anything takes; only a fault waits for it."""

FPS = 10
Message = dict[str, Any]


class Street(VideoStreamTrack):
    """What a door's camera sees: a wall, a lamp, and somebody who sways a little."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._start = time.monotonic()
        width, height = 320, 180  # encoded anew for each who looks
        self._rows, self._columns = np.mgrid[0:height, 0:width].astype(np.float32)
        self._rows /= height
        self._columns /= width
        shade = np.clip(1.1 - np.hypot(self._columns - 0.75, self._rows - 0.15), 0, 1)
        wall = np.stack([70 * shade + 20, 96 * shade + 26, 110 * shade + 34], axis=-1)
        bricks = ((self._rows * 18) % 1 < 0.07) | ((self._columns * 12) % 1 < 0.03)
        self._wall = np.where(bricks[..., None], wall * 0.8, wall).astype(np.uint8)

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(max(0.0, self._start + self._count / FPS - time.monotonic()))
        middle = 0.45 + 0.03 * np.sin(self._count / FPS * 2)
        scene = self._wall.copy()
        across = (self._columns - middle) * 16 / 9
        scene[np.hypot(across / 0.30, (self._rows - 1.02) / 0.42) < 1] = (176, 74, 58)
        scene[np.hypot(across / 0.11, (self._rows - 0.42) / 0.17) < 1] = (228, 188, 160)
        scene[np.hypot(across / 0.125, (self._rows - 0.33) / 0.12) < 1] = (58, 44, 40)
        frame = VideoFrame.from_ndarray(scene, format="rgb24")
        frame.pts, frame.time_base = self._count * (90000 // FPS), Fraction(1, 90000)
        self._count += 1
        return frame


class Ears:
    """What comes from the page: how much sound and picture, and how loud it is."""

    def __init__(self) -> None:
        self.pictures = 0
        self.loudness = 0.0
        self.changed = asyncio.Condition()

    async def attend(self, track: MediaStreamTrack) -> None:
        """Receive a track until it ends."""
        with contextlib.suppress(Exception):  # aiortc ends a track by an error
            while True:
                frame = await track.recv()
                if isinstance(frame, AudioFrame):
                    sound = frame.to_ndarray().astype(np.float64)
                    self.loudness = float(np.sqrt(np.mean(sound**2)))
                elif isinstance(frame, VideoFrame):
                    self.pictures += 1
                async with self.changed:
                    self.changed.notify_all()

    async def hears(self, loudness: float = 100) -> None:
        """Wait until somebody speaks."""
        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(lambda: self.loudness > loudness)

    async def hears_nothing(self) -> None:
        """Wait until it is silent."""
        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(lambda: self.loudness < 1)

    async def sees(self, pictures: int = 3) -> None:
        """Wait for pictures."""
        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(lambda: self.pictures >= pictures)


@dataclass
class Leg:
    """A connection with one endpoint, and what came over it and over those before it."""

    connection: RTCPeerConnection
    ears: Ears
    """Microphone and camera."""
    screen: Ears
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    accept: Message = field(default_factory=dict)
    """Where one offered: the message that took it."""


class Door:
    """The endpoint `main` of a device; `faults` says what a sender did against the document."""

    def __init__(self, host: str, port: int, *, uid: str, name: str, root: str) -> None:
        self.uid, self.name, self.root = uid, name, root
        self.epoch = secrets.token_hex(16)
        self.present: dict[tuple[str, str], str] = {}
        self.seen: list[Message] = []
        self.faults: list[str] = []
        self.repeats: Counter[str] = Counter()
        self.legs: dict[tuple[str, str], Leg] = {}
        self._inbox: list[Message] = []
        self._changed = asyncio.Condition()
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ids: set[str] = set()
        self._highest: dict[tuple[str, str], int] = {}
        self._seq = 0
        self._subscribed = asyncio.Event()
        self._presence = f"{root}/presence/{uid}/main"
        client = self._client = paho.Client(
            CallbackAPIVersion.VERSION2, f"{uid}-main", protocol=paho.MQTTv311
        )
        client.will_set(self._presence, OFFLINE, 1, True)
        client.on_connect = self._connected
        client.on_subscribe = self._has_subscribed
        client.on_message = self._arrived
        client.reconnect_delay_set(1, 1)
        client.connect(host, port, 10)
        client.loop_start()

    # -------------------- the broker

    def _connected(self, client: paho.Client, *_: Any) -> None:
        client.subscribe([(f"{self.root}/call/{self.uid}/+", 1), (f"{self.root}/presence/#", 1)])
        online = {"v": 1, "state": "online", "epoch": self.epoch, "name": self.name, "kid": None}
        client.publish(self._presence, json.dumps(online), 1, True)

    def _has_subscribed(self, *_: Any) -> None:
        self._loop.call_soon_threadsafe(self._subscribed.set)

    def _arrived(self, _client: Any, _data: Any, packet: paho.MQTTMessage) -> None:
        said = json.loads(packet.payload) if packet.payload else {}
        self._loop.call_soon_threadsafe(self._spawn, packet.topic, said, packet.retain)

    def _spawn(self, topic: str, said: Message, retained: bool) -> None:
        task = self._loop.create_task(self._take(topic.split("/")[1:], said, retained))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, topic: list[str], said: Message, retained: bool) -> None:
        if topic[0] == "presence":
            where = (topic[1], topic[2])
            if said.get("state") == "online":
                self.present[where] = said["epoch"]
            else:
                self.present.pop(where, None)
        elif self._is_new(topic[2], said, retained):
            self.seen.append(said)
            self._inbox.append(said)
            if said["type"] == "candidate":
                await self._add_candidate((said["from"], said["endpoint"]), said["body"])
        async with self._changed:
            self._changed.notify_all()

    def _is_new(self, sender: str, said: Message, retained: bool) -> bool:
        """Whether it was not heard before; what is against the document is noted."""
        line = (sender, said["endpoint"])
        wrong = {
            "retained": retained,
            "names another sender": said["from"] != sender,
            "names another receiver": said["to"] != self.uid,
            "is for another endpoint": said["to_endpoint"] not in (None, "main"),
            "is of another epoch": said["epoch"] not in (None, self.epoch),
            "has no version": said["v"] != 1,
        }
        self.faults += [f"{said['type']} {what}" for what, so in wrong.items() if so]
        if said["id"] in self._ids:
            self.repeats[said["id"]] += 1
            return False
        self._ids.add(said["id"])
        if said["seq"] <= self._highest.get(line, -1):
            self.faults.append(f"{said['type']} steps back to seq {said['seq']}")
        self._highest[line] = said["seq"]
        return True

    async def close(self) -> None:
        """Leave as a clean stop does."""
        await self.close_media()
        self._client.publish(self._presence, OFFLINE, 1, True)
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)
        del self._client  # with it go the sockets that it wakes its thread by
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -------------------- messages

    async def ready(self) -> None:
        """Wait until its inbox is there."""
        async with asyncio.timeout(PATIENCE_S):
            await self._subscribed.wait()

    async def until_present(self, uid: str, endpoints: int = 1) -> list[str]:
        """Wait until that many endpoints of somebody are online."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.endpoints(uid)) >= endpoints)
        return self.endpoints(uid)

    def presence_of(self, uid: str) -> set[str]:
        """The epochs of somebody's online endpoints."""
        return {epoch for (of, _), epoch in self.present.items() if of == uid}

    async def until_present_again(self, uid: str, before: set[str]) -> None:
        """Wait until somebody is online with a connection that was not there before."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: bool(self.presence_of(uid) - before))

    async def until_repeated(self, id_: str) -> None:
        """Wait until the same message came once more."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: self.repeats[id_] > 0)

    async def until_gone(self, uid: str) -> None:
        """Wait until somebody is offline."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: not self.endpoints(uid))

    def endpoints(self, uid: str) -> list[str]:
        """The online endpoints of somebody."""
        return [endpoint for of, endpoint in self.present if of == uid]

    def send(
        self, to: str, endpoint: str | None, type_: str, call_id: str, body: Message, **changes: Any
    ) -> Message:
        """Send a message; `changes` replace fields of its envelope."""
        self._seq += 1
        envelope = {
            "v": 1,
            "id": secrets.token_hex(8),
            "type": type_,
            "call_id": call_id,
            "from": self.uid,
            "to": to,
            "endpoint": "main",
            "to_endpoint": endpoint,
            "epoch": self.present.get((to, endpoint)) if endpoint else None,
            "seq": self._seq,
            "sent_at": int(time.time() * 1000),
            "ttl_s": 30,
            "clock": "unknown",
            "body": body,
            **changes,
        }
        self.send_raw(to, envelope)
        return envelope

    def send_raw(self, to: str, envelope: Message) -> None:
        """Send an envelope as it is, once more for instance."""
        self._client.publish(f"{self.root}/call/{to}/{self.uid}", json.dumps(envelope), 1)

    def reply(self, message: Message, type_: str, body: Message) -> Message:
        """Send a message to where another came from, in the same call."""
        return self.send(message["from"], message["endpoint"], type_, message["call_id"], body)

    async def hear(self, *types: str) -> Message:
        """The next message of one of these types; others stay for later."""
        found: list[Message] = []

        def look() -> bool:
            for message in self._inbox:
                if message["type"] in types:
                    self._inbox.remove(message)
                    found.append(message)
                    return True
            return False

        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(look)
        return found[0]

    # -------------------- calls

    def ring(
        self, uid: str, *, call_id: str | None = None, type_: str = "video", **body: Any
    ) -> str:
        """Invite every online endpoint of somebody, as a device does: without an offer."""
        call_id = call_id or secrets.token_hex(16)
        everywhere: list[str | None] = [*self.endpoints(uid)] or [None]
        for endpoint in everywhere:
            self.send(uid, endpoint, "invite", call_id, self.invitation(uid, type_) | body)
        return call_id

    def invitation(self, uid: str, type_: str = "video") -> Message:
        """The body of an invite."""
        return {
            "session_id": secrets.token_hex(16),
            "call_type": type_,
            "receiver": {"type": "user", "id": uid},
            "callees": [uid],
            "caller": {"uid": self.uid, "name": self.name},
            "timeout_s": 30,
            "custom_data": None,
            "token": None,
        }

    async def admit(self, accept: Message) -> Leg:
        """Answer an accept (or a join) that brought an offer, and wait until media flows."""
        leg, answer = await self._answer(accept)
        self.reply(accept, "answer", {"answer": answer, "generation": 1})
        return await self.connected(leg)

    async def take(self, invite: Message) -> Leg:
        """Accept an invite that brought an offer, and wait until media flows."""
        leg, answer = await self._answer(invite)
        self.reply(invite, "accept", {"answer": answer, "custom_data": None})
        return await self.connected(leg)

    async def replace(self, offer: Message) -> Leg:
        """Answer the offer of the next connection, and leave the old one."""
        old = self.legs[(offer["from"], offer["endpoint"])]
        leg, answer = await self._answer(offer)
        generation = offer["body"]["generation"]
        self.reply(offer, "answer", {"answer": answer, "generation": generation})
        await self.connected(leg)
        await old.connection.close()
        return leg

    async def ring_with_offer(self, uid: str, type_: str = "video") -> Leg:
        """Invite one endpoint of somebody as a person's page does: with an offer."""
        (endpoint,) = self.endpoints(uid)
        leg = self._leg((uid, endpoint))
        leg.connection.addTrack(Tone(440))
        if type_ == "video":
            leg.connection.addTrack(Street())
        offer = await self._offer(leg)
        body = {**self.invitation(uid, type_), "offer": offer}
        self.send(uid, endpoint, "invite", secrets.token_hex(16), body)
        return leg

    async def accepted(self, leg: Leg, accept: Message) -> None:
        """The offer was taken: wait until media flows."""
        leg.accept = accept
        answer = RTCSessionDescription(**accept["body"]["answer"])
        await leg.connection.setRemoteDescription(answer)
        await self.connected(leg)

    async def widen(self, leg: Leg) -> None:
        """Offer a picture beside the sound, in the generation that stands."""
        leg.connection.addTrack(Street())
        body = {"offer": await self._offer(leg), "generation": 1, "reason": "switch_to_video"}
        self.reply(leg.accept, "offer", body)
        answer = (await self.hear("answer"))["body"]["answer"]
        await leg.connection.setRemoteDescription(RTCSessionDescription(**answer))

    async def renegotiate(self, offer: Message) -> None:
        """Answer an offer of the generation that stands."""
        connection = self.legs[(offer["from"], offer["endpoint"])].connection
        await connection.setRemoteDescription(RTCSessionDescription(**offer["body"]["offer"]))
        answer = await self._describe(connection)
        generation = offer["body"]["generation"]
        self.reply(offer, "answer", {"answer": answer, "generation": generation})

    @property
    def ears(self) -> Ears:
        """What comes from whom it connected with last."""
        return [*self.legs.values()][-1].ears

    async def connected(self, leg: Leg) -> Leg:
        """Wait until ICE and DTLS are done."""
        async with asyncio.timeout(PATIENCE_S):
            await leg.flowing.wait()
        return leg

    async def close_media(self) -> None:
        """Close every connection."""
        for leg in self.legs.values():
            await leg.connection.close()

    async def _answer(self, message: Message) -> tuple[Leg, Message]:
        leg = self._leg((message["from"], message["endpoint"]))
        offer = message["body"]["offer"]
        await leg.connection.setRemoteDescription(RTCSessionDescription(**offer))
        return leg, await self._describe(leg.connection)

    def _leg(self, where: tuple[str, str]) -> Leg:
        # without MAX_BUNDLE aiortc never starts a third section
        connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        before = self.legs.pop(where, None)
        leg = Leg(connection, *((before.ears, before.screen) if before else (Ears(), Ears())))
        self.legs[where] = leg
        videos = 0

        def attend(track: MediaStreamTrack) -> None:
            nonlocal videos
            videos += track.kind == "video"
            self._attend(track, leg.screen if videos > 1 else leg.ears)

        def look() -> None:
            if connection.connectionState == "connected":
                leg.flowing.set()

        connection.on("track", attend)
        connection.on("connectionstatechange", look)
        return leg

    async def _offer(self, leg: Leg) -> Message:
        await leg.connection.setLocalDescription(await leg.connection.createOffer())
        description = leg.connection.localDescription
        return {"type": description.type, "sdp": description.sdp}

    async def _describe(self, connection: RTCPeerConnection) -> Message:
        sent = {transceiver.kind for transceiver in connection.getTransceivers()}
        sent -= {each.kind for each in connection.getSenders() if each.track is not None}
        for kind in sent:  # the first section of each: a door shares no screen
            connection.addTrack(Tone(440) if kind == "audio" else Street())
        await connection.setLocalDescription(await connection.createAnswer())
        description = connection.localDescription
        return {"type": description.type, "sdp": description.sdp}

    def _attend(self, track: MediaStreamTrack, ears: Ears) -> None:
        task = self._loop.create_task(ears.attend(track))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _add_candidate(self, where: tuple[str, str], body: Message) -> None:
        init = body["candidate"]
        if init is None or not init["candidate"] or where not in self.legs:
            return
        candidate = candidate_from_sdp(init["candidate"].partition(":")[2])
        candidate.sdpMid, candidate.sdpMLineIndex = init["sdpMid"], init["sdpMLineIndex"]
        await self.legs[where].connection.addIceCandidate(candidate)


OFFLINE = json.dumps({"v": 1, "state": "offline"})


@asynccontextmanager
async def door(
    host: str,
    port: int,
    *,
    uid: str = "front-door",
    name: str = "Front door",
    root: str = "appliance",
) -> AsyncIterator[Door]:
    """A door that is online for as long as the block lasts."""
    one = Door(host, port, uid=uid, name=name, root=root)
    try:
        await one.ready()
        yield one
    finally:
        await one.close()
