"""What the other side tells about the video that it gets (RTCP)."""

from __future__ import annotations

from dataclasses import dataclass

from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

VIDEO_CLOCK_HZ = 90_000


@dataclass(slots=True)
class Feedback:
    """The last that was told, for a rate controller."""

    remb_bit_s: int | None = None
    """Its estimate of the bandwidth (draft-alvestrand-rmcat-remb); aiortc offers no transport-cc."""
    fraction_lost: float | None = None
    """Of the packets since the report before (RFC 3550, section 6.4.1)."""
    jitter_s: float | None = None
    keyframe_requests: int = 0

    def take(self, packet: AnyRtcpPacket, ssrc: int) -> bool:
        """Note what `packet` says of the stream `ssrc`; whether it asks for a keyframe (PLI, FIR)."""
        if isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            for report in packet.reports:
                if report.ssrc == ssrc:
                    self.fraction_lost = report.fraction_lost / 256
                    self.jitter_s = report.jitter / VIDEO_CLOCK_HZ
        elif isinstance(packet, RtcpPsfbPacket):
            if packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
                self.keyframe_requests += 1
                return True
            if packet.fmt == RTCP_PSFB_APP:
                self._take_remb(packet.fci, ssrc)
        return False

    def _take_remb(self, fci: bytes, ssrc: int) -> None:
        try:
            bit_s, ssrcs = unpack_remb_fci(fci)
        except ValueError:
            return  # some other application's message
        if ssrc in ssrcs:
            self.remb_bit_s = bit_s
