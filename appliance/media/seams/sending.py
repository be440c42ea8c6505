"""The loop that sends what is encoded already, in the place of aiortc's own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pylibsrtp
from aiortc import RTCRtpSender
from aiortc.codecs.h264 import H264Encoder
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcdtlstransport import State
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpsender import random_sequence_number
from aiortc.rtp import RTP_HISTORY_SIZE, RtpPacket, wrap_rtx
from aiortc.utils import random32

from appliance.media.sending import Packet, SentPacket, Stream, ntp_now, once_for_all_peers
from appliance.media.tracks import PacketTrack

logger = logging.getLogger(__name__)

OF_A_SENDER = "_RTCRtpSender__"
"""Before the private names of a sender that its own loop uses."""
TRACK = OF_A_SENDER + "track"
NTP_TIME, RTP_TIME = OF_A_SENDER + "ntp_timestamp", OF_A_SENDER + "rtp_timestamp"
PACKETS, OCTETS = OF_A_SENDER + "packet_count", OF_A_SENDER + "octet_count"
NO_TRACK_S = 0.02
SENT_BYTES, SENT_PACKETS = "_RTCDtlsTransport__tx_bytes", "_RTCDtlsTransport__tx_packets"


def send_ready_made(sender: RTCRtpSender, twice: Callable[[], bool] = lambda: False) -> None:
    """Let `sender` send what is encoded already by a loop that does no more than that.

    Sound is sent a second time, behind the packet after it, while `twice` says so: who has got a packet
    throws the second one away by its number (RFC 3711, section 3.3.2). Its statistics, its reports and what
    it keeps for those who miss something are as they would be. To be called before it is connected.
    """

    def of(name: str) -> Any:
        return getattr(sender, OF_A_SENDER + name)

    history: dict[int, SentPacket] = of("rtp_history")

    async def run(codec: RTCRtpCodecParameters) -> None:
        of("rtp_started").set()
        try:
            await _Sending(sender, codec, history, twice).run()
        except (asyncio.CancelledError, ConnectionError, MediaStreamError):
            pass  # it was stopped, or there is nothing more: as in its own
        except Exception:
            logger.exception("what is encoded cannot be sent")
        if sender.track is not None:
            sender.track.stop()
            setattr(sender, OF_A_SENDER + "track", None)
        of("rtp_exited").set()

    async def again(sequence_number: int) -> None:
        kept = history.get(sequence_number % RTP_HISTORY_SIZE)
        if kept is None or kept.sequence_number != sequence_number:
            return
        data = kept.data
        if of("rtx_payload_type") is not None:
            number = of("rtx_sequence_number")
            setattr(sender, OF_A_SENDER + "rtx_sequence_number", (number + 1) & 0xFFFF)
            extensions = of("rtp_header_extensions_map")
            packet = wrap_rtx(
                RtpPacket.parse(data, extensions), of("rtx_payload_type"), number, sender._rtx_ssrc
            )
            data = packet.serialize(extensions)
        await sender.transport._send_rtp(data)

    sender._run_rtp = run  # type: ignore[method-assign]
    sender._retransmit = again  # type: ignore[method-assign]


class _Sending:
    """The stream of one sender, and what is told of it."""

    def __init__(
        self,
        sender: RTCRtpSender,
        codec: RTCRtpCodecParameters,
        history: dict[int, SentPacket],
        twice: Callable[[], bool],
    ) -> None:
        self._sender, self._history = sender, history
        self._twice = twice if sender.kind == "audio" else lambda: False
        self._sealed = b""
        """The latest packet as it was encrypted, while each is sent twice."""
        self._told: dict[str, Any] = vars(sender)

        def empty(sent_at: int) -> bytes:
            packet = RtpPacket(payload_type=codec.payloadType or 0, ssrc=sender._ssrc)
            packet.extensions.abs_send_time = sent_at
            packet.extensions.mid = self._told[OF_A_SENDER + "mid"]
            return packet.serialize(self._told[OF_A_SENDER + "rtp_header_extensions_map"])

        self._stream = Stream(empty, random_sequence_number(), random32())
        self._payloads = _pictures if sender.kind == "video" else _sound
        self._packets = self._octets = 0

    async def run(self) -> None:
        """Send what the track has, until it has nothing more."""
        while True:
            track: MediaStreamTrack | None = self._told[TRACK]
            if track is None:
                await asyncio.sleep(NO_TRACK_S)  # as in its own loop: nothing tells of one
                continue
            if isinstance(track, PacketTrack):
                track.send_at_once = self._at_once
            packet: Any = await track.recv()
            if not self._sender._enabled:
                continue
            assert isinstance(packet, Packet)
            now = ntp_now()
            for sent in self._made(packet, now):
                self._note(sent)
                await self._send(sent.data)
            self._tell(now)

    def _at_once(self, packet: Packet) -> bool:
        """Send it without waking up `run`, which gets what is not as usual."""
        sender = self._sender
        if not sender._enabled:
            return True
        dtls = sender.transport
        ice: RTCIceTransport = dtls.transport
        connection = ice._connection
        pair = connection._nominated.get(1)
        if pair is None or dtls._state is not State.CONNECTED:
            return False
        if ice._send != connection.send or "_send_rtp" in vars(dtls):  # somebody looks
            return False
        now, protect, counted = ntp_now(), dtls._tx_srtp.protect, vars(dtls)
        send, address = pair.protocol.transport.sendto, pair.remote_addr
        for sent in self._made(packet, now):
            self._note(sent)
            try:
                data = protect(sent.data)
            except (pylibsrtp.Error, ValueError):
                return False  # it fails there too, and is told
            for one in self._with_before(data):
                send(one, address)
                counted[SENT_BYTES] += len(one)
                counted[SENT_PACKETS] += 1
        self._tell(now)
        return True

    async def _send(self, data: bytes) -> None:
        """Send it as aiortc does, and the one before it once more where that is wanted."""
        dtls = self._sender.transport
        if not self._twice():
            self._sealed = b""
            await dtls._send_rtp(data)
            return
        counted = vars(dtls)
        for one in self._with_before(dtls._tx_srtp.protect(data)):
            await dtls.transport._send(one)
            counted[SENT_BYTES] += len(one)
            counted[SENT_PACKETS] += 1

    def _with_before(self, sealed: bytes) -> tuple[bytes, ...]:
        """An encrypted packet and, while each is to be sent twice, the one before it.

        Encrypting a number twice is refused (RFC 3711, section 9.1), hence the very same bytes.
        """
        before, self._sealed = self._sealed, bytes(sealed) if self._twice() else b""
        return (sealed, before) if before and self._sealed else (sealed,)

    def _made(self, packet: Packet, now: int) -> list[SentPacket]:
        return self._stream.packets(self._payloads(packet), packet.pts, now)

    def _note(self, sent: SentPacket) -> None:
        self._history[sent.sequence_number % RTP_HISTORY_SIZE] = sent
        self._packets += 1
        self._octets += len(sent.data) - sent.head_bytes

    def _tell(self, now: int) -> None:
        told = self._told
        told[NTP_TIME], told[RTP_TIME] = now, self._stream.timestamp
        told[PACKETS], told[OCTETS] = self._packets, self._octets


@once_for_all_peers
def _pictures(unit: bytes) -> list[bytes]:
    return H264Encoder._packetize(H264Encoder._split_bitstream(unit))


def _sound(packet: Packet) -> list[bytes]:
    return [packet.data]
