"""What becomes of media that came: sound is taken where it comes in, video decoded or not, begun anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pylibsrtp
from aioice import Connection
from aiortc import RTCRtpReceiver, clock
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcdtlstransport import State
from aiortc.rtcrtpreceiver import NackGenerator, StreamStatistics
from aiortc.rtp import is_rtcp

from appliance.media.playout import VoicePacket
from appliance.media.seams.admitting import Way, way_of
from appliance.media.voice_packets import voice_packet

FIRST_RTP, LAST_RTP = 128, 191
"""The first bytes of RTP and RTCP (RFC 7983, section 7)."""
SEEN_EVERY = 32
"""That a source is there is noted with so many packets once: it is asked for ten seconds of it."""
CODECS = "_RTCRtpReceiver__codecs"
STREAMS = "_RTCRtpReceiver__remote_streams"
SEEN = "_RTCRtpReceiver__active_ssrc"
RECEIVED_BYTES, RECEIVED_PACKETS = "_RTCDtlsTransport__rx_bytes", "_RTCDtlsTransport__rx_packets"
JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
"""Where a receiver keeps what reorders its packets: the slot for a playout buffer of our own."""
MISSING = "_RTCRtpReceiver__nack_generator"
"""Where it keeps which packets of video have not come."""
VIDEO_BUFFER_PACKETS = 512
"""As aiortc's own."""


def take_at_once(receiver: RTCRtpReceiver, take: Callable[[VoicePacket], None]) -> None:
    """Give the sound of `receiver` to `take` as soon as it comes; to be called when all is agreed."""
    dtls = receiver.transport
    way = way_of(dtls.transport._connection)
    way.dtls, way.takers[receiver] = dtls, take


def is_taken(connection: Connection, way: Way, data: bytes) -> bool:
    """Take a packet of sound where it comes in: a task that waits for it would wake the loop up again.

    All that aiortc's receiver does with one is done here too. It gets the first of each source, and
    whatever is not as usual.
    """
    dtls = way.dtls
    if dtls is None or not FIRST_RTP <= data[0] <= LAST_RTP or is_rtcp(data):
        return False
    receiver: Any = dtls._rtp_router.ssrc_table.get(int.from_bytes(data[8:12], "big"))
    take = way.takers.get(receiver)
    if take is None or dtls._state is not State.CONNECTED or not receiver._enabled:
        return False
    told = vars(receiver)
    ice = dtls.transport
    if ice._recv != connection.recv or "_handle_rtp_packet" in told:  # somebody looks
        return False
    kind = data[1] & 0x7F
    if kind not in told[CODECS]:
        return False
    counted: Any = vars(dtls)
    counted[RECEIVED_BYTES] += len(data)
    counted[RECEIVED_PACKETS] += 1
    try:
        packet = voice_packet(dtls._rx_srtp.unprotect(data))
    except pylibsrtp.Error:
        packet = None  # it is nobody's, or comes again
    if packet is not None:
        way.gate.verified(data)
        statistics = told[STREAMS].get(packet.ssrc)
        if statistics is None:
            statistics = told[STREAMS][packet.ssrc] = StreamStatistics(told[CODECS][kind].clockRate)
        statistics.add(packet)
        if not packet.sequence_number % SEEN_EVERY:
            told[SEEN][packet.ssrc] = clock.current_datetime()
        take(packet)
    return True


def use_jitter_buffer(receiver: RTCRtpReceiver, buffer: JitterBuffer) -> None:
    """Let `buffer` reorder what comes from now on."""
    setattr(receiver, JITTER_BUFFER, buffer)


def receive_video(receiver: RTCRtpReceiver, on: bool, /) -> None:
    """Decode what comes, or take no notice of it."""
    receiver._enabled = on


async def begin_anew(receiver: RTCRtpReceiver) -> None:
    """Go on with the next keyframe, and ask for it (PLI, RFC 4585 section 6.3.1).

    Nothing is kept of before, or it would ask and wait for what was not taken notice of.
    """
    use_jitter_buffer(receiver, JitterBuffer(VIDEO_BUFFER_PACKETS, is_video=True))
    setattr(receiver, MISSING, NackGenerator())
    for source in receiver.getSynchronizationSources():
        await receiver._send_rtcp_pli(source.source)


def expect(receiver: RTCRtpReceiver, ssrcs: Iterable[int]) -> None:
    """Bring the packets of these sources to `receiver`.

    Of two receivers of one codec aiortc would drop what is sent again (RFC 4588), since that has a source
    of its own, which only the description names.
    """
    table = receiver.transport._rtp_router.ssrc_table
    for ssrc in ssrcs:
        table[ssrc] = receiver
