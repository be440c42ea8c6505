"""What is known of a connection's packets: who is heard, which are received, how many are left out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aioice import Connection
from aiortc import RTCPeerConnection
from aiortc.rtcdtlstransport import RTCDtlsTransport, RtpRouter
from aiortc.rtp import RtpPacket

from appliance.media.admission import Admission, Gate
from appliance.media.playout import VoicePacket

WAY = "_appliance_way"
"""Where a connection has what is known of its packets."""
DECODER_QUEUE = "_RTCRtpReceiver__decoder_queue"
"""What of a receiver's pictures waits for its thread."""


class Way:
    """What of a connection is let in, and which of it is taken where it comes in."""

    __slots__ = ("admission", "dtls", "gate", "takers")

    def __init__(self) -> None:
        """Nobody is heard so far."""
        self.gate = Gate()
        self.admission: Admission | None = None
        self.dtls: RTCDtlsTransport | None = None
        self.takers: dict[object, Callable[[VoicePacket], None]] = {}


def way_of(connection: Connection) -> Way:
    """What is known of the packets of `connection`; it begins with the first question."""
    # kept by the connection itself: it is asked for with each packet, and ends with it
    way: Way | None = vars(connection).get(WAY)
    if way is None:
        way = vars(connection)[WAY] = Way()
    return way


def admit(transport: RTCDtlsTransport) -> Admission:
    """Let an admission look at each RTP packet that has verified, before it is received; give it.

    What has not verified aiortc drops before that. To do so twice changes nothing.
    """
    router: RtpRouter = transport._rtp_router
    way = way_of(transport.transport._connection)
    if way.admission is not None:
        return way.admission
    admission = way.admission = Admission()
    route, loop = router.route_rtp, asyncio.get_running_loop()
    gate = way.gate
    on_rtp, on_rtcp = transport._handle_rtp_data, transport._handle_rtcp_data

    def admitted(packet: RtpPacket) -> Any:
        known = router.ssrc_table.get(packet.ssrc)
        waiting = 0 if known is None else getattr(known, DECODER_QUEUE).qsize()
        if not admission.admits(packet.ssrc, packet.sequence_number, waiting, loop.time()):
            return None
        return route(packet)

    def rtp(data: bytes, arrival_time_ms: int) -> Awaitable[None]:
        gate.verified(data)
        return on_rtp(data, arrival_time_ms)

    def rtcp(data: bytes) -> Awaitable[None]:
        gate.verified(data)
        return on_rtcp(data)

    router.route_rtp = admitted  # type: ignore[method-assign]
    transport._handle_rtp_data = rtp  # type: ignore[method-assign, assignment]
    transport._handle_rtcp_data = rtcp  # type: ignore[method-assign, assignment]
    return admission


def left_out(pc: RTCPeerConnection) -> Counter[str]:
    """How many packets were not let in or not received so far, by why."""
    found: Counter[str] = Counter()
    for transport in {one.sender.transport for one in pc.getTransceivers()}:
        connection = transport.transport._connection
        way = way_of(connection)
        if way.admission is not None:
            found += way.gate.counts + way.admission.counts
            found["not verified"] += max(0, way.gate.unverified - connection._queue.qsize())
    return +found
