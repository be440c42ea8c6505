"""A broker in the middle: whoever runs it passes everything on, and changes what it likes of it.

Two real brokers, and a bridge between them that is this attacker's: each side is at one of them, and hears
of the other what the bridge says. It has no key of either side, and everything else: it reads all, keeps
back what it wants, knows ICE's passwords, and has peer connections and sockets of its own to put behind
what it has changed. What comes in there is counted, packet by packet.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import paho.mqtt.client as paho
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.parts.links import only_h264
from tests.parts.pen import Pen, kid_of, read
from tests.parts.phone import Media, Message, closed

HOWS = ("description", "fingerprints", "candidates")
"""What is put in the place of the true one: all of a description, or a part of it."""
WAYS = ("its own signature", "my signature in its name", "my signature", "none")
"""How what was changed is signed, in this order."""
REFUSED_AS = ("forged", "forged", "unverifiable", "unsigned")
"""And what whoever believes nobody without a key says of each."""


def kind_of(packet: bytes) -> str:
    """What a packet of a media port is, by its first byte (RFC 7983, section 7)."""
    if not packet:
        return "empty"
    first = packet[0]
    return "media" if 128 <= first <= 191 else "handshake" if 20 <= first <= 63 else "check"


class Ear(asyncio.DatagramProtocol):
    """A socket that answers nobody, and counts."""

    def __init__(self) -> None:
        self.came: Counter[str] = Counter()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.came[kind_of(data)] += 1


class Peer:
    """A peer connection of the middle's: what comes to its sockets is counted, what it decodes is seen."""

    def __init__(self, generation: int) -> None:
        """`generation`: of the connection that it is in the place of."""
        self.generation = generation
        self.came: Counter[str] = Counter()
        self.media = Media()
        self._watching: set[asyncio.Task[None]] = set()
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._pc.on("track", self._track)

    def _track(self, track: MediaStreamTrack) -> None:
        task = asyncio.get_running_loop().create_task(self.media.watch(track))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def offer(self) -> str:
        """An offer to be sent sound and pictures."""
        self._pc.addTransceiver("audio", direction="recvonly")
        only_h264(self._pc.addTransceiver("video", direction="recvonly"))
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return self._described()

    async def answer(self, offer: str) -> str:
        """An answer to the victim's offer."""
        await self._pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        return self._described()

    async def take(self, answer: str) -> None:
        """The victim's answer; one is enough."""
        if self._pc.signalingState == "have-local-offer":
            await self._pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    def _described(self) -> str:
        transports = [one.sender.transport.transport for one in self._pc.getTransceivers()]
        for protocol in {each for one in transports for each in one._connection._protocols}:
            self._count(protocol)
        return str(self._pc.localDescription.sdp)

    def _count(self, protocol: Any) -> None:
        really: Callable[[bytes, object], None] = protocol.datagram_received

        def datagram_received(data: bytes, addr: object) -> None:
            self.came[kind_of(data)] += 1
            really(data, addr)

        protocol.datagram_received = datagram_received

    async def sees(self) -> None:
        """Wait for the device's pictures, by the numbers in them, and its sound."""
        await self.media.until(lambda: bool(self.media.counters and self.media.samples))
        assert self.came["media"] > 0

    async def close(self) -> None:
        """It was never there."""
        await closed(self._pc)
        for task in list(self._watching):
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)


class Swapped(NamedTuple):
    """A description that the middle has put in the place of another."""

    how: str
    sdp: str
    kind: str


class Middle:
    """Between the brokers of two devices; `swaps` are the types of messages that it changes."""

    def __init__(self, ports: Mapping[str, int], address: str) -> None:
        """`ports`: at which broker each device is. `address`: where the middle's sockets are."""
        self.swaps: frozenset[str] = frozenset()
        self.hows: tuple[str, ...] = HOWS
        self.said: Counter[str] = Counter()
        """How often it has changed a message, by type: `WAYS` for each of `hows`."""
        self.refused: dict[str, Counter[str]] = {uid: Counter() for uid in ports}
        """As what each device has to refuse what it has been told since the bridge was opened."""
        self.passed: Counter[str] = Counter()
        """What it has passed on as it was, by type."""
        self.peers: dict[str, Peer] = {}
        """By whom they are put before: the peer that the device of that name is to talk to."""
        self.ear = Ear()
        self.failures: list[str] = []
        self._address = address
        self._pen = Pen()
        self._offers: dict[str, str] = {}
        """The latest offer that each device has written, for whom an answer has to be made up."""
        self._calls: set[str] = set()
        self._over: set[str] = set()
        """Calls of before, by their ids: of what comes late of them nothing is changed."""
        self._mine: dict[tuple[str, str], str] = {}
        """What was put in the place of a message's description, which is written again and again."""
        self._loop = asyncio.get_running_loop()
        self._at_work = asyncio.Lock()
        self._came: asyncio.Queue[tuple[str, str, bytes, bool]] = asyncio.Queue()
        self.ports = dict(ports)
        self._clients: dict[str, paho.Client] = {}

    # -------------------- the bridge

    async def open(self) -> None:
        """Be at both brokers, and hear everything there that is not of the bridge's own."""
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: self.ear, local_addr=(self._address, 0)
        )
        self._transport = transport
        self._ear_at = transport.get_extra_info("sockname")[1]
        for uid, port in self.ports.items():
            await self._connect(uid, port)
        self._working = self._loop.create_task(self._work(), name="the middle")

    async def _connect(self, uid: str, port: int) -> None:
        subscribed = asyncio.Event()
        client = paho.Client(CallbackAPIVersion.VERSION2, f"bridge-to-{uid}", protocol=paho.MQTTv5)
        options = SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True)
        client.on_connect = lambda client, *_: client.subscribe("appliance/#", options=options)

        def on_subscribe(*_: Any) -> None:
            self._loop.call_soon_threadsafe(subscribed.set)

        def on_message(_client: Any, _data: Any, packet: paho.MQTTMessage) -> None:
            came = (uid, packet.topic, bytes(packet.payload), bool(packet.retain))
            self._loop.call_soon_threadsafe(self._came.put_nowait, came)

        client.on_subscribe, client.on_message = on_subscribe, on_message
        await asyncio.to_thread(client.connect, "127.0.0.1", port, 10)
        client.loop_start()
        self._clients[uid] = client
        await subscribed.wait()

    async def close(self) -> None:
        """Go away, with all that was opened."""
        self._working.cancel()
        await asyncio.gather(self._working, return_exceptions=True)
        for client in self._clients.values():
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)
        self._clients.clear()  # with them go the sockets by which they wake their threads
        await self.begins_anew()
        self._transport.close()

    def came(self) -> Counter[str]:
        """What has come to all sockets of the middle's, by the kind of packet."""
        return sum((peer.came for peer in self.peers.values()), self.ear.came + Counter[str]())

    async def begins_anew(self, swaps: Iterable[str] = (), hows: tuple[str, ...] = HOWS) -> None:
        """Another call, in which messages of these types are changed; the one before is forgotten."""
        async with self._at_work:
            self.swaps, self.hows = frozenset(swaps), hows
            for peer in self.peers.values():
                await peer.close()
            for of_before in (self.peers, self.said, self.passed, self.ear.came):
                of_before.clear()
            self._mine.clear()
            self._offers.clear()
            self._over |= self._calls

    async def _work(self) -> None:
        while True:
            at, topic, payload, retain = await self._came.get()
            (other,) = [uid for uid in self._clients if uid != at]
            said = [payload]
            if topic.startswith(f"appliance/call/{other}/"):
                try:
                    async with self._at_work:
                        said = await self._as_it_likes(json.loads(read(payload)), payload)
                except Exception as error:  # a fault of the middle's own, which a test has to see
                    self.failures.append(f"{topic}: {error!r}")
            for one in said:
                self._clients[other].publish(topic, one, 1, retain)

    # -------------------- what it makes of a message

    async def _as_it_likes(self, message: Message, payload: bytes) -> list[bytes]:
        """What the receiver is told in its place."""
        if message["call_id"] in self._over:
            return [payload]
        self._calls.add(message["call_id"])
        type_, body = message["type"], message["body"]
        sender = message["from"]
        offer, answer = body.get("offer"), body.get("answer")
        if offer is not None:
            self._offers[sender] = offer["sdp"]
        peer = self.peers.get(sender)
        # an answer of before may be said once more
        if answer is not None and peer is not None and generation_of(message) == peer.generation:
            await peer.take(answer["sdp"])
        if type_ not in self.swaps:
            self.passed[type_] += 1
            return [payload]
        if type_ == "answer" and message["to"] not in self._offers:
            return []  # to the middle's own offer: its receiver has asked nobody
        swapped = [await self._swapped(message, how) for how in self.hows]
        self.said[type_] += 1
        self.refused[message["to"]].update(REFUSED_AS * len(swapped))
        return [
            signed
            for one in swapped
            for signed in self._signed(self._rewritten(message, one), payload)
        ]

    async def _swapped(self, message: Message, how: str) -> Swapped:
        body, to = message["body"], message["to"]
        there = body.get("offer") or body.get("answer")
        # who waits for an answer is answered; everybody else is offered something
        kind = "answer" if body.get("answer") and to in self._offers else "offer"
        mine = self._mine.get((to, message["id"]))
        if mine is None:
            if to in self.peers:
                await self.peers.pop(to).close()
            replaces = message["type"] == "offer"
            peer = self.peers[to] = Peer(generation_of(message) + replaces)
            mine = await (peer.answer(self._offers[to]) if kind == "answer" else peer.offer())
            self._mine[to, message["id"]] = mine
        theirs = there["sdp"] if there is not None else mine
        if how == "fingerprints":
            return Swapped(how, with_fingerprints_of(mine, theirs), kind)
        if how == "candidates":
            return Swapped(how, at_address(theirs, self._address, self._ear_at), kind)
        return Swapped(how, mine, kind)

    def _rewritten(self, message: Message, swapped: Swapped) -> bytes:
        body = dict(message["body"])
        body.pop("answer", None)
        body[swapped.kind] = {"type": swapped.kind, "sdp": swapped.sdp}
        if message["type"] == "offer":  # a connection in the place of the one that stands
            body["generation"] += 1
            body["reason"] = "reconnect"
        return json.dumps({**message, "body": body}).encode()

    def _signed(self, json_: bytes, payload: bytes) -> list[bytes]:
        """Signed in all of `WAYS`."""
        header, _, signature = payload.split(b".")
        return [
            b".".join((header, _encoded(json_), signature)),
            self._pen.sign(json_, kid_of(payload)),
            self._pen.sign(json_),
            json_,
        ]


def generation_of(message: Message) -> int:
    """Which of the connections of two it is about."""
    return int(message["body"].get("generation") or 1)


def with_fingerprints_of(mine: str, theirs: str) -> str:
    """A description that leads where it led, to somebody with another certificate."""
    own = re.findall(r"a=fingerprint:.*\r\n", mine)[:3]
    rest = iter(own * theirs.count("a=fingerprint:"))
    return re.sub(r"a=fingerprint:.*\r\n", lambda _: next(rest), theirs)


def at_address(theirs: str, address: str, port: int) -> str:
    """A description with its own certificate, that leads elsewhere."""
    said = f"a=candidate:1 1 udp 2130706431 {address} {port} typ host\r\n"
    without = re.sub(r"a=candidate:.*\r\n", "", theirs)
    return re.sub(r"(a=ice-pwd:.*\r\n)", lambda found: found[1] + said, without)


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@asynccontextmanager
async def middle(ports: Mapping[str, int], address: str) -> AsyncIterator[Middle]:
    """One that passes everything on, until it is told what to change."""
    one = Middle(ports, address)
    await one.open()
    try:
        yield one
    finally:
        await one.close()
    assert one.failures == [], one.failures
