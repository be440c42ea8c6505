"""What is read from the far side's RTCP."""

from __future__ import annotations

import pytest
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    pack_remb_fci,
)

from appliance.media.feedback import Feedback

OURS, ANOTHER = 0x1111, 0x2222


def report(ssrc: int) -> RtcpRrPacket:
    info = RtcpReceiverInfo(
        ssrc=ssrc,
        fraction_lost=64,
        packets_lost=3,
        highest_sequence=1,
        jitter=900,
        lsr=0,
        dlsr=0,
    )
    return RtcpRrPacket(ssrc=7, reports=[info])


def payload(fmt: int, fci: bytes = b"") -> RtcpPsfbPacket:
    return RtcpPsfbPacket(fmt=fmt, ssrc=7, media_ssrc=OURS, fci=fci)


@pytest.mark.parametrize("fmt", [RTCP_PSFB_PLI, RTCP_PSFB_FIR])
def test_both_ways_to_ask_for_a_keyframe_are_understood(fmt: int) -> None:
    feedback = Feedback()
    assert feedback.take(payload(fmt), OURS)
    assert feedback.keyframe_requests == 1


def test_loss_and_jitter_come_from_the_report_on_our_stream() -> None:
    feedback = Feedback()
    assert not feedback.take(report(ANOTHER), OURS)
    assert feedback == Feedback()
    assert not feedback.take(report(OURS), OURS)
    assert (feedback.fraction_lost, feedback.jitter_s) == (0.25, 0.01)


def test_the_estimate_of_the_bandwidth_counts_for_our_stream_alone() -> None:
    feedback = Feedback()
    feedback.take(payload(RTCP_PSFB_APP, pack_remb_fci(900_000, [ANOTHER])), OURS)
    assert feedback.remb_bit_s is None
    feedback.take(payload(RTCP_PSFB_APP, pack_remb_fci(1_000_000, [ANOTHER, OURS])), OURS)
    assert feedback.remb_bit_s == pytest.approx(1_000_000, rel=0.01)


@pytest.mark.parametrize("fci", [b"", b"REMB", b"LNTF\x00\x00\x00\x00", b"\xff" * 11])
def test_what_other_applications_say_is_left_alone(fci: bytes) -> None:
    feedback = Feedback()
    assert not feedback.take(payload(RTCP_PSFB_APP, fci), OURS)
    assert not feedback.take(RtcpSdesPacket(), OURS)
    assert feedback == Feedback()
