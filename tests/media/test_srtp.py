"""What protects media, and what comes of packets that do not verify, or that do and flood."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MethodType
from typing import Any
from weakref import ref

import pylibsrtp
import pytest
from aiortc import RTCPeerConnection
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport
from OpenSSL import SSL

from appliance.media.admission import MAX_FAR_HOSTS, MAX_PORTS
from appliance.media.fanout import AudioFanout
from appliance.media.peer import Peer
from appliance.media.seams import admitting, guarding
from appliance.messages import SessionDescription
from tests.media.stranger import Stranger, until
from tests.media.test_peer import Diary, Watched, camera

__all__ = ["camera"]

STRONG = {
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
}
PROFILES = {b"SRTP_AEAD_AES_256_GCM", b"SRTP_AEAD_AES_128_GCM", b"SRTP_AES128_CM_SHA1_80"}
"""What of RFC 8827, section 6.5, and RFC 7714 there is; none with a tag of 32 bits."""


@dataclass
class Talk:
    """A connection, and the hands of who is at the other end of it."""

    peer: Peer
    diary: Diary
    alice: Stranger

    @property
    def hers(self) -> RTCDtlsTransport:
        return self.alice.pc.getTransceivers()[0].sender.transport

    @property
    def ours(self) -> RTCDtlsTransport:
        return self.peer._pc.getTransceivers()[0].sender.transport

    async def says(self, *packets: bytes) -> None:
        """Packets as they are, from where she is."""
        for packet in packets:
            await self.hers.transport._send(packet)

    def sealed(self, packet: bytes) -> bytes:
        """With her key of SRTP."""
        return self.hers._tx_srtp.protect(packet)

    def sealed_if_it_can(self, packet: bytes) -> bytes:
        """The same; as it is where libsrtp will not have it."""
        try:
            return self.sealed(packet)
        except pylibsrtp.Error:
            return packet

    async def goes_on(self) -> None:
        """Sound comes still."""
        frames = self.diary.frames
        await until(lambda: self.diary.frames > frames + 25, "sound, still")
        assert self.diary.failures == []

    async def counted(self, why: str, number: int) -> None:
        await until(lambda: self.peer.left_out()[why] >= number, f"{number} that were {why}")


@asynccontextmanager
async def talk(*, offers: bool = False, video: Watched | None = None) -> AsyncIterator[Talk]:
    """Connected, with sound; the device `offers`, and is then the server of the handshake."""
    diary = Diary()
    peer = Peer(diary, AudioFanout(), video.fanout if video else None)
    async with Stranger(tone_hz=300) as alice, asyncio.TaskGroup() as tasks:
        if offers:
            await peer.accept(await alice.reply(await peer.offer(video=video is not None)))
        else:
            await alice.take(await peer.answer(await alice.call(video=None)))
        await until(lambda: diary.connections, "the connection")
        listening = tasks.create_task(peer.listen())
        one = Talk(peer, diary, alice)
        await one.goes_on()
        yield one
        await peer.close()
        listening.cancel()
    await asyncio.get_running_loop().shutdown_default_executor()


def rtp(number: int, *, ssrc: int = 7, kind: int = 96, payload: bytes = b"x" * 40) -> bytes:
    return struct.pack("!BBHII", 0x80, kind, number % 0x10000, number * 960 % 2**32, ssrc) + payload


def certificates_of(pc: RTCPeerConnection) -> list[RTCCertificate]:
    """Which aiortc has made for it."""
    found: list[RTCCertificate] = getattr(pc, "_RTCPeerConnection__certificates")  # noqa: B009
    return found


# -------------------- the keys (OWASP ASVS 5.0, 17.2.1 and 17.2.2)


async def test_each_connection_has_a_key_of_its_own_which_goes_with_it() -> None:
    seen: set[str] = set()
    certificates: list[ref[RTCCertificate]] = []
    for _ in range(3):
        peer = Peer(Diary(), AudioFanout(), None)
        offer = await peer.offer(video=False)
        prints = set(re.findall(r"a=fingerprint:sha-256 (\S+)", offer.sdp))
        assert len(prints) == 1
        assert not prints & seen, "it was used before"
        seen |= prints
        (certificate,) = certificates_of(peer._pc)
        certificates.append(ref(certificate))
        await peer.close()
        del peer, certificate
    await until(lambda: [one() for one in certificates] == [None] * 3, "the end of the keys")
    await asyncio.get_running_loop().shutdown_default_executor()


@pytest.mark.parametrize("offers", [True, False], ids=["as the server", "as the client"])
async def test_only_strong_ciphers_are_agreed(offers: bool) -> None:
    async with talk(offers=offers) as one:
        tls = one.ours._ssl
        assert tls is not None
        assert tls.get_protocol_version() in (guarding.DTLS_1_2, 0xFEFC)
        assert tls.get_cipher_name() in STRONG
        assert tls.get_selected_srtp_profile() in PROFILES
        offered = set(tls.get_cipher_list())
        assert offered & STRONG
        assert all(name in STRONG or name.startswith("TLS_") for name in offered), (
            "and nothing else is offered"
        )


@pytest.mark.parametrize(
    ("weak", "offers"),
    [("cipher", True), ("cipher", False), ("version", True), ("profile", False)],
)
async def test_who_knows_weak_ones_only_is_not_spoken_to(weak: str, offers: bool) -> None:
    def context(certificate: RTCCertificate, srtp_profiles: Any) -> SSL.Context:
        found = RTCCertificate._create_ssl_context(certificate, srtp_profiles)
        found.set_cipher_list(b"ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
        match weak:
            case "version":
                found.set_min_proto_version(0xFEFF)
                found.set_max_proto_version(0xFEFF)
            case "profile":
                found.set_cipher_list(b"ECDHE-ECDSA-AES128-GCM-SHA256")
                found.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_32")
        return found

    diary = Diary()
    peer = Peer(diary, AudioFanout(), None)
    async with Stranger(tone_hz=300) as alice:
        (certificate,) = certificates_of(alice.pc)
        setattr(certificate, "_create_ssl_context", MethodType(context, certificate))  # noqa: B010
        if offers:
            await peer.accept(await alice.reply(await peer.offer(video=False)))
        else:
            await alice.take(await peer.answer(await alice.call(video=None)))
        await until(lambda: diary.failures, "the refusal")
        assert (diary.connections, diary.frames) == (0, 0)
        await peer.close()
    await asyncio.get_running_loop().shutdown_default_executor()


# -------------------- what does not verify (17.2.3, 17.2.4)


async def test_what_is_forged_said_again_or_no_srtp_is_dropped_and_counted() -> None:
    rng = random.Random(1)
    async with talk() as one:
        before = one.peer._reception.playout.counts
        (source,) = one.ours._rtp_router.ssrc_table.keys() - {None}
        good = [one.sealed(rtp(number)) for number in range(20)]
        forged = [packet[:-1] + bytes([packet[-1] ^ 1]) for packet in good]
        forged += [packet[:20] + bytes([packet[20] ^ 1]) + packet[21:] for packet in good]
        forged += [packet[:3] + bytes([packet[3] ^ 64]) + packet[4:] for packet in good]
        plain = [rtp(number, ssrc=source) for number in range(20)]
        short = [good[0][:length] for length in range(1, 20)]
        noise = [bytes([0x80]) + rng.randbytes(rng.randint(1, 1200)) for _ in range(40)]
        control = [bytes([0x81, 201]) + rng.randbytes(rng.randint(6, 200)) for _ in range(20)]
        bad = [*forged, *plain, *short, *noise, *control]
        await one.says(*bad)
        await one.counted("not verified", len(bad))
        await one.says(*good, *good)
        await one.counted("not verified", len(bad) + len(good))
        await one.goes_on()
        assert one.peer.left_out()["not verified"] == len(bad) + len(good), "each, and no other"
        after = one.peer._reception.playout.counts
        assert (after.bad, after.out_of_place) == (before.bad, before.out_of_place)


async def test_what_verifies_and_is_no_rtp_or_rtcp_does_no_harm() -> None:
    rng = random.Random(2)
    async with talk() as one:
        (kind,) = {codec.payloadType for codec in seams_codecs(one.ours)}
        heads = (
            bytes([0x8F]),  # fifteen contributing sources that are not there
            bytes([0x90]),  # an extension that is not there
            bytes([0xA0]),  # padding of more than there is
            bytes([0x80]),
        )
        for number in range(200):
            head = rng.choice(heads) + rtp(number, kind=kind, payload=b"")[1:]
            body = rng.choice([b"", b"\xff" * 4, rng.randbytes(rng.randint(1, 300))])
            await one.says(one.sealed_if_it_can(head + body))
        for _ in range(200):
            report = bytes([0x80 | rng.randrange(32), rng.randint(200, 206)])
            rest = rng.randbytes(4 * rng.randint(1, 30))
            packet = report + struct.pack("!H", rng.choice([1, len(rest) // 4, 999])) + rest
            await one.says(one.hers._tx_srtp.protect_rtcp(packet))
        await one.goes_on()


def seams_codecs(transport: RTCDtlsTransport) -> list[Any]:
    """What the receiver of sound takes."""
    (receiver,) = transport._rtp_router.receivers
    return list(receiver._RTCRtpReceiver__codecs.values())  # type: ignore[attr-defined]


# -------------------- a flood of what verifies (17.2.5)


async def test_a_flood_by_the_other_side_itself_is_bounded_and_the_call_goes_on(
    camera: Watched,
) -> None:
    """Other sources, jumps of numbers and of time stamps, ten times as much as a call: beside it another
    call, and in the end this one is closed as any other.
    """
    rng = random.Random(3)
    async with talk() as other, talk(offers=True, video=camera) as one:
        kinds = [kind for kind in one.ours._rtp_router.payload_type_table if kind < 128]
        for number in range(500):
            ssrc = rng.choice([7, 8, 9, rng.randrange(2**32)])
            jump = rng.choice([number, rng.randrange(0x10000), number + 30_000])
            await one.says(
                one.sealed_if_it_can(
                    rtp(jump, ssrc=ssrc, kind=rng.choice(kinds), payload=bytes(200))
                )
            )
            await asyncio.sleep(0)  # in which the loop reads one packet
        await until(lambda: one.peer.left_out().total() > 100, "what was left out")
        await until(lambda: one.ours.transport._connection._queue.empty(), "the rest")
        table = one.ours._rtp_router.ssrc_table
        assert len(table) <= 31, "a report of RTCP has room for so many"
        for receiver in one.ours._rtp_router.receivers:
            waiting = getattr(receiver, admitting.DECODER_QUEUE)
            assert waiting.qsize() <= 100
        await other.goes_on()
        assert one.diary.failures == []


# -------------------- by who can write the other side's address into his packets (17.2.6)


def records(*kinds: bytes) -> list[bytes]:
    """Records of DTLS that nobody has signed: alerts that end a handshake or a connection, and others."""
    alerts = [b"\x15\xfe\xfd" + bytes(7) + bytes([at, 0, 2]) for at in range(3)]
    found = [alert + end for alert in alerts for end in (b"\x02\x28", b"\x01\x00", b"\x02\x0a")]
    return [*found, *kinds]


def hello() -> bytes:
    """The first flight of somebody's handshake."""
    connection = SSL.Connection(SSL.Context(SSL.DTLS_METHOD))
    connection.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(4096)


@pytest.mark.parametrize("offers", [True, False], ids=["as the server", "as the client"])
async def test_once_they_have_shaken_hands_no_record_that_is_forged_changes_anything(
    offers: bool,
) -> None:
    rng = random.Random(4)
    later = [
        bytes([kind]) + b"\xfe\xfd\x00\x01" + rng.randbytes(6) + b"\x00\x20" + rng.randbytes(32)
        for kind in (20, 21, 22, 23, 24, 25, 63)
    ]
    spoilt = [bytes([22]) + rng.randbytes(rng.randint(1, 300)) for _ in range(20)]
    async with talk(offers=offers) as one:
        await one.says(*records(hello(), b"\x14\xfe\xfd" + bytes(10), *later, *spoilt), hello())
        await one.goes_on()
        await asyncio.sleep(guarding.ALERT_WAITS_S)  # until the alerts are heard
        await one.goes_on()


@pytest.mark.parametrize("offers", [True, False], ids=["as the server", "as the client"])
async def test_an_alert_that_anybody_can_write_ends_no_handshake(
    offers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes first, from the address that ICE has found."""
    start, sent = RTCDtlsTransport.start, []

    async def behind_alerts(transport: RTCDtlsTransport, parameters: Any) -> None:
        for record in records():
            await transport.transport._send(record)
            sent.append(record)
        await start(transport, parameters)

    monkeypatch.setattr(RTCDtlsTransport, "start", behind_alerts)
    async with talk(offers=offers) as one:
        assert sent
        assert one.diary.connections == 1


# -------------------- at whom it knocks


async def test_a_description_makes_the_device_knock_at_few_hosts_that_are_not_near() -> None:
    """Signed by a contact, with the addresses of others (ICE's checks go there and nothing else)."""
    peer = Peer(Diary(), AudioFanout(), None)
    async with Stranger(tone_hz=300) as alice:
        offer = await alice.call(video=None)
        line = "a=candidate:1 1 udp 1 {} {} typ host\r\n"
        far = [line.format(f"8.8.{host}.1", 5000) for host in range(16)]
        near = [line.format("192.168.77.1", 5000 + port) for port in range(12)]
        end = offer.sdp.index("a=candidate")
        sdp = offer.sdp[:end] + "".join(far + near) + offer.sdp[end:]
        await peer.answer(SessionDescription("offer", sdp))
        connection = peer._pc.getTransceivers()[0].sender.transport.transport._connection
        await until(lambda: connection._check_list, "the ways to check")
        places = {pair.remote_addr for pair in connection._check_list}
        assert len({host for host, _ in places if host.startswith("8.8.")}) == MAX_FAR_HOSTS
        assert len({port for host, port in places if host == "192.168.77.1"}) == MAX_PORTS
        await peer.close()
    await asyncio.get_running_loop().shutdown_default_executor()
