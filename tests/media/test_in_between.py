"""Somebody between the two who could read and change everything but what is signed gets no media."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from asyncio.selector_events import _SelectorDatagramTransport  # type: ignore[attr-defined]
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL

from appliance.media.fanout import AudioFanout
from appliance.media.peer import Peer
from appliance.messages import SessionDescription
from appliance.signaling.broker import EmbeddedBroker
from tests.media.stranger import Stranger, until
from tests.media.test_peer import Diary, Watched, camera
from tests.parts.house import config_for, house
from tests.parts.phone import phone

__all__ = ["camera"]


class Tap:
    """What goes out of the sockets of each connection, by the first byte (RFC 7983, section 7)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: dict[int, Counter[str]] = {}
        really = _SelectorDatagramTransport.sendto

        def sendto(transport: Any, data: bytes, address: object = None) -> None:
            connection = getattr(transport._protocol, "receiver", None)
            kind = "media" if 128 <= data[0] <= 191 else "dtls" if 20 <= data[0] <= 63 else "other"
            self.sent.setdefault(id(connection), Counter())[kind] += 1
            really(transport, data, address)

        monkeypatch.setattr(_SelectorDatagramTransport, "sendto", sendto)

    def of(self, peer: Peer) -> Counter[str]:
        """What the peer's transports have sent."""
        transports = [one.sender.transport.transport for one in peer._pc.getTransceivers()]
        connections = {id(transport._connection) for transport in transports}
        return sum((self.sent.get(one, Counter()) for one in connections), Counter[str]())


def with_fingerprints_of(other: SessionDescription, own: SessionDescription) -> SessionDescription:
    """What was signed for its fingerprints, and leads to somebody else."""
    agreed = iter(re.findall(r"a=fingerprint:.*\r\n", other.sdp)[:3] * 2)
    sdp = re.sub(r"a=fingerprint:.*\r\n", lambda _: next(agreed), own.sdp)
    return SessionDescription(own.type, sdp)


@pytest.mark.parametrize("swapped", [False, True], ids=["the one it was agreed with", "another"])
async def test_who_has_another_certificate_than_was_signed_gets_no_packet_of_media(
    swapped: bool, camera: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device offers, and whoever sits at the other end of its packets has ICE's password."""
    tap, diary = Tap(monkeypatch), Diary()
    peer = Peer(diary, AudioFanout(), camera.fanout)
    async with Stranger(tone_hz=300) as alice, Stranger(tone_hz=300) as mallory:
        answering = mallory if swapped else alice
        offer = await peer.offer()
        answer = await answering.reply(offer)
        if swapped:
            answer = with_fingerprints_of(await alice.reply(offer), answer)
        await peer.accept(answer)
        if swapped:
            await until(lambda: diary.failures, "the refusal")
            assert diary.failures == ["untrusted"]
            assert (diary.connections, mallory.numbers, len(mallory.sound)) == (0, [], 0)
        else:
            await until(lambda: len(answering.numbers) > 5, "pictures")
        sent = tap.of(peer)
        assert sent["dtls"] > 0, "the handshake took place"
        assert (sent["media"] == 0) is swapped, sent
        await peer.close()
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_a_call_whose_description_was_exchanged_ends_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the way from the phone the broker puts other fingerprints into what it accepts with."""
    tap = Tap(monkeypatch)
    async with (
        EmbeddedBroker() as broker,
        house(config_for(broker.port), tmp_path) as door,
        phone("alice", "127.0.0.1", broker.port, version=4) as alice,
    ):
        await door.until_true(lambda: "alice" in door.appliance.engine.state.presence)
        await door.appliance.session.initiate_call("alice")
        invite = await alice.hear("invite")
        connection = alice._connect(880)
        await connection.setLocalDescription(await connection.createOffer())
        sdp = re.sub(
            r"(a=fingerprint:\S+ )(\S\S)",
            lambda found: f"{found[1]}{int(found[2], 16) ^ 0xFF:02X}",
            connection.localDescription.sdp,
        )
        offer = {"type": "offer", "sdp": sdp}
        await alice.send("accept", invite["call_id"], {"offer": offer, "custom_data": None})
        answer = await alice.hear("answer")
        assert door.appliance.studio is not None
        leg = next(iter(door.appliance.studio._legs.values()))
        assert leg._peer is not None
        finishing = asyncio.get_running_loop().create_task(alice._finish(answer["body"]["answer"]))
        ended = await door.until("call_ended")
        assert ended["data"]["reason"] == "untrusted"
        assert tap.of(leg._peer)["media"] == 0
        finishing.cancel()
        await asyncio.gather(finishing, return_exceptions=True)
        await alice.hang_up()


@pytest.mark.parametrize("early", [False, True], ids=["while it connects", "before it connects"])
async def test_whoever_begins_the_handshake_first_from_elsewhere_is_not_heard(early: bool) -> None:
    """A ClientHello to the port that is not the other side's (OWASP ASVS 5.0, 17.2.6)."""
    diary = Diary()
    peer = Peer(diary, AudioFanout(), None)
    async with Stranger(tone_hz=300) as alice, asyncio.TaskGroup() as tasks:
        offer = await peer.offer(video=False)
        answer = await alice.reply(offer)
        assert "a=setup:active" in answer.sdp, "this side is the server of the handshake"
        ports = re.findall(r" udp \d+ ([0-9.]+) (\d+) typ host", offer.sdp)
        assert ports
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mallory:
            if early:
                hello(mallory, ports)

            async def race() -> None:
                while not diary.connections and not diary.failures:
                    hello(mallory, ports)
                    await asyncio.sleep(0.002)

            tasks.create_task(race())
            await peer.accept(answer)
            await until(lambda: diary.connections or diary.failures, "the connection")
        assert (diary.connections, diary.failures) == (1, [])
        await peer.close()
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_what_anybody_sends_to_the_port_of_a_call_is_not_heard() -> None:
    """An empty datagram, from anywhere, makes aiortc's reading fail, and the call end."""
    diary = Diary()
    peer = Peer(diary, AudioFanout(), None)
    async with Stranger(tone_hz=300) as alice, asyncio.TaskGroup() as tasks:
        answer = await peer.answer(await alice.call(video=None))
        await alice.take(answer)
        await until(lambda: diary.connections, "the connection")
        listening = tasks.create_task(peer.listen())
        ports = re.findall(r" udp \d+ ([0-9.]+) (\d+) typ host", answer.sdp)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mallory:
            for host, port in ports:
                for data in (
                    b"",
                    b"\0",
                    b"\x01" * 20,
                    bytes(4) + b"\x21\x12\xa4\x42" + b"\xff" * 40,
                ):
                    mallory.sendto(data, (host, int(port)))
                hello(mallory, ports)
        frames = diary.frames
        await until(lambda: diary.frames > frames + 25, "sound, still")
        assert diary.failures == []
        await peer.close()
        listening.cancel()
    await asyncio.get_running_loop().shutdown_default_executor()


def hello(sender: socket.socket, ports: list[tuple[str, str]]) -> None:
    """The first flight of somebody's DTLS, as OpenSSL writes it, and an alert that ends one."""
    context = SSL.Context(SSL.DTLS_METHOD)
    connection = SSL.Connection(context)
    connection.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        connection.do_handshake()
    flight = connection.bio_read(4096)
    for host, port in ports:
        sender.sendto(flight, (host, int(port)))
        sender.sendto(bytes.fromhex("15fefd0000000000000000000202" + "28"), (host, int(port)))
