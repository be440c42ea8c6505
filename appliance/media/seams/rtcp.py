"""Feedback on what is sent (RTCP): seen before aiortc sees it, and brought to the sender that it is for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpSender
from aiortc.rtcdtlstransport import RtpRouter
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_RTPFB_NACK,
    RTP_HISTORY_SIZE,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
)

from appliance.media.feedback import Feedback, full_intra_requests
from appliance.media.governor import Cause
from appliance.media.resending import judge

HISTORY = "_RTCRtpSender__rtp_history"
"""Where a sender keeps its last packets, by their sequence number modulo `RTP_HISTORY_SIZE`."""


def observe_rtcp(
    sender: RTCRtpSender, feedback: Feedback, request_keyframe: Callable[[Cause], None]
) -> None:
    """See the feedback on the video before aiortc does, which ignores PLI for ready-made packets.

    What it would do harm with does not get to it: it would send again what is of no use any more, and is
    made for no bandwidth estimate that is cut off.
    """
    handle, send = sender._handle_rtcp_packet, sender._send_rtcp
    history = getattr(sender, HISTORY)

    async def observe(packet: AnyRtcpPacket) -> None:
        cause = feedback.take(packet, sender._ssrc, time.monotonic())
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            verdict = judge(packet.lost, history, RTP_HISTORY_SIZE)
            cause = Cause.LOST if verdict.keyframe else None
            packet.lost = verdict.again
        if cause is not None:
            request_keyframe(cause)
        if not (isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP):
            await handle(packet)

    async def note(packets: list[AnyRtcpPacket]) -> None:
        for packet in packets:
            feedback.sent(packet, time.monotonic())
        await send(packets)

    sender._handle_rtcp_packet = observe  # type: ignore[method-assign]
    sender._send_rtcp = note  # type: ignore[method-assign]


def route_full_intra_requests(sender: RTCRtpSender) -> None:
    """Bring a FIR to the senders that it names, over the connection of `sender`.

    aiortc would bring it to the source 0, which is nobody. To do so twice changes nothing.
    """
    router: RtpRouter = sender.transport._rtp_router
    if "route_rtcp" in vars(router):
        return
    route = router.route_rtcp

    def with_fir(packet: AnyRtcpPacket) -> set[Any]:
        recipients: set[Any] = route(packet)
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_FIR:
            named = (router.senders.get(ssrc) for ssrc, _ in full_intra_requests(packet.fci))
            recipients.update(one for one in named if one is not None)
        return recipients

    router.route_rtcp = with_fir  # type: ignore[method-assign]
