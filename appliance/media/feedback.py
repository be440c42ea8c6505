"""What the other side tells about the pictures, or the sound, that it gets (RTCP)."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

from appliance.media.governor import Cause
from appliance.media.link import Report

VIDEO_CLOCK_HZ = 90_000
DLSR_HZ = 65_536
REMB_HOLDS_S = 5.0
"""An estimate of the bandwidth comes every second; one that is older is of another time."""
SENT_REPORTS = 8
"""So many sender reports are remembered, of the last seconds."""
UNREAD_REPORTS = 16
FIR_ENTRY = struct.Struct("!LB3x")
"""A stream and the number of the command; its packet's own media source is 0 (RFC 5104, 4.3.1.2)."""


def full_intra_requests(fci: bytes) -> list[tuple[int, int]]:
    """The streams of which a FIR wants a keyframe, and the number of each command (RFC 5104, 4.3.1.1).

    What is cut off is left out.
    """
    whole = len(fci) - len(fci) % FIR_ENTRY.size
    return [(ssrc, number) for ssrc, number in FIR_ENTRY.iter_unpack(fci[:whole])]


@dataclass(slots=True)
class Feedback:
    """The last that was told, and what the rate controller has not read yet."""

    remb_bit_s: int | None = None
    """Its estimate of the bandwidth (draft-alvestrand-rmcat-remb); aiortc offers no transport-cc."""
    fraction_lost: float | None = None
    """Of the packets since the report before (RFC 3550, section 6.4.1)."""
    jitter_s: float | None = None
    rtt_s: float | None = None
    """There and back, by the last report that tells (RFC 3550, section 6.4.1: LSR and DLSR)."""
    keyframe_requests: int = 0
    """How often it has asked for a keyframe."""
    reported: Callable[[Report], None] | None = None
    """Gets each report as it comes."""
    unread: deque[Report] = field(default_factory=lambda: deque(maxlen=UNREAD_REPORTS))
    _sent_at_s: dict[int, float | None] = field(default_factory=dict)
    """By the time that the report named; None where two named the same, since nothing was sent between."""
    _remb_at_s: float = 0.0
    _last_fir: tuple[int, int] | None = None
    """Who asked last, and the number of its command: the same again is a repetition of it."""

    def let_go(self) -> None:
        """The connection is closed: nobody is kept who would be told."""
        self.reported = None

    def sent(self, packet: AnyRtcpPacket, now_s: float) -> None:
        """Note when a sender report left, for the time until it is answered."""
        if isinstance(packet, RtcpSrPacket):
            middle = packet.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF
            known = middle in self._sent_at_s
            self._sent_at_s.pop(middle, None)
            self._sent_at_s[middle] = None if known else now_s
            if len(self._sent_at_s) > SENT_REPORTS:
                del self._sent_at_s[next(iter(self._sent_at_s))]

    def take(self, packet: AnyRtcpPacket, ssrc: int, now_s: float) -> Cause | None:
        """Note what `packet` says of the stream `ssrc`; gives why it asks for a keyframe, if it does."""
        if isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            for report in packet.reports:
                if report.ssrc == ssrc:
                    self._take_report(report, now_s)
        elif isinstance(packet, RtcpPsfbPacket):
            if packet.fmt == RTCP_PSFB_APP:
                self._take_remb(packet.fci, ssrc, now_s)
            elif packet.fmt == RTCP_PSFB_PLI or self._is_new_fir(packet, ssrc):
                self.keyframe_requests += 1
                return Cause.PLI if packet.fmt == RTCP_PSFB_PLI else Cause.FIR
        return None

    def _is_new_fir(self, packet: RtcpPsfbPacket, ssrc: int) -> bool:
        if packet.fmt != RTCP_PSFB_FIR:
            return False
        for target, number in full_intra_requests(packet.fci):
            if target == ssrc and (packet.ssrc, number) != self._last_fir:
                self._last_fir = packet.ssrc, number
                return True
        return False

    def _take_report(self, report: RtcpReceiverInfo, now_s: float) -> None:
        self.fraction_lost = report.fraction_lost / 256
        self.jitter_s = report.jitter / VIDEO_CLOCK_HZ
        sent_at_s = self._sent_at_s.get(report.lsr)
        rtt_s = None if sent_at_s is None else now_s - sent_at_s - report.dlsr / DLSR_HZ
        if rtt_s is not None:
            self.rtt_s = rtt_s = max(0.0, rtt_s)
        if now_s - self._remb_at_s > REMB_HOLDS_S:
            self.remb_bit_s = None
        remb_kbps = None if self.remb_bit_s is None else self.remb_bit_s / 1000
        told = Report(now_s, self.fraction_lost, rtt_s, self.jitter_s, remb_kbps)
        self.unread.append(told)
        if self.reported is not None:
            self.reported(told)

    def _take_remb(self, fci: bytes, ssrc: int, now_s: float) -> None:
        try:
            bit_s, ssrcs = unpack_remb_fci(fci)
        except (ValueError, struct.error):
            return  # some other application's message, or one that is cut off
        if ssrc in ssrcs:
            self.remb_bit_s, self._remb_at_s = bit_s, now_s
