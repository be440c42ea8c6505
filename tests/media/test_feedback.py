"""What is read from the far side's RTCP."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    pack_remb_fci,
)

from appliance.media.feedback import REMB_HOLDS_S, Feedback
from appliance.media.governor import Cause
from appliance.media.link import Report

OURS, ANOTHER = 0x1111, 0x2222


def report(ssrc: int, lsr: int = 0, dlsr: int = 0) -> RtcpRrPacket:
    info = RtcpReceiverInfo(
        ssrc=ssrc,
        fraction_lost=64,
        packets_lost=3,
        highest_sequence=1,
        jitter=900,
        lsr=lsr,
        dlsr=dlsr,
    )
    return RtcpRrPacket(ssrc=7, reports=[info])


def payload(fmt: int, fci: bytes = b"") -> RtcpPsfbPacket:
    return RtcpPsfbPacket(fmt=fmt, ssrc=7, media_ssrc=OURS, fci=fci)


def fir(*entries: tuple[int, int], asker: int = 7, rest: bytes = b"") -> RtcpPsfbPacket:
    fci = b"".join(struct.pack("!LB3x", ssrc, number) for ssrc, number in entries)
    return RtcpPsfbPacket(fmt=RTCP_PSFB_FIR, ssrc=asker, media_ssrc=0, fci=fci + rest)


@pytest.mark.parametrize(
    ("packet", "cause"),
    [
        (payload(RTCP_PSFB_PLI), Cause.PLI),
        (fir((OURS, 3)), Cause.FIR),
        (fir((ANOTHER, 3), (OURS, 9)), Cause.FIR),
        (fir((OURS, 3), rest=b"\0\0\x11"), Cause.FIR),
    ],
)
def test_both_ways_to_ask_for_a_keyframe_are_understood(
    packet: RtcpPsfbPacket, cause: Cause
) -> None:
    feedback = Feedback()
    assert feedback.take(packet, OURS, 1) == cause
    assert feedback.keyframe_requests == 1


@pytest.mark.parametrize(
    "packet", [fir(), fir((ANOTHER, 3)), payload(RTCP_PSFB_FIR), fir(rest=b"\0\0\x11\x11\0")]
)
def test_a_full_intra_request_counts_for_the_stream_that_it_names(packet: RtcpPsfbPacket) -> None:
    feedback = Feedback()
    assert feedback.take(packet, OURS, 1) is None
    assert feedback == Feedback()


def test_a_full_intra_request_that_is_repeated_has_its_old_number() -> None:
    feedback = Feedback()
    taken = [fir((OURS, 255)), fir((OURS, 255)), fir((OURS, 0)), fir((OURS, 0), asker=8)]
    causes = [feedback.take(packet, OURS, 1) for packet in taken]
    assert causes == [Cause.FIR, None, Cause.FIR, Cause.FIR]


def test_loss_and_jitter_come_from_the_report_on_our_stream() -> None:
    feedback = Feedback()
    assert not feedback.take(report(ANOTHER), OURS, 1)
    assert feedback == Feedback()
    assert not feedback.take(report(OURS), OURS, 1)
    assert (feedback.fraction_lost, feedback.jitter_s) == (0.25, 0.01)


def test_the_estimate_of_the_bandwidth_counts_for_our_stream_alone() -> None:
    feedback = Feedback()
    feedback.take(payload(RTCP_PSFB_APP, pack_remb_fci(900_000, [ANOTHER])), OURS, 1)
    assert feedback.remb_bit_s is None
    feedback.take(payload(RTCP_PSFB_APP, pack_remb_fci(1_000_000, [ANOTHER, OURS])), OURS, 1)
    assert feedback.remb_bit_s == pytest.approx(1_000_000, rel=0.01)


@pytest.mark.parametrize("fci", [b"", b"REMB", b"REMB\x09\0\0\1", b"LNTF\0\0\0\0", b"\xff" * 11])
def test_what_other_applications_say_is_left_alone(fci: bytes) -> None:
    feedback = Feedback()
    assert not feedback.take(payload(RTCP_PSFB_APP, fci), OURS, 1)
    assert not feedback.take(RtcpSdesPacket(), OURS, 1)
    assert feedback == Feedback()


def sender_report(seconds: int) -> RtcpSrPacket:
    info = RtcpSenderInfo(
        ntp_timestamp=seconds << 32, rtp_timestamp=0, packet_count=0, octet_count=0
    )
    return RtcpSrPacket(ssrc=OURS, sender_info=info)


def test_the_way_there_and_back_is_measured_by_the_report_that_is_answered() -> None:
    feedback = Feedback()
    for second in (10, 11, 12):
        feedback.sent(sender_report(second), float(second))
    feedback.take(report(OURS, lsr=11 << 16, dlsr=65_536 // 2), OURS, 11.57)
    assert feedback.rtt_s == pytest.approx(0.07)
    feedback.take(report(OURS, lsr=3 << 16), OURS, 12.0)
    assert feedback.rtt_s == pytest.approx(0.07), "of one that was never sent nothing is known"
    assert [told.rtt_s for told in feedback.unread] == [pytest.approx(0.07), None]
    for second in range(13, 40):
        feedback.sent(sender_report(second), float(second))
    feedback.take(report(OURS, lsr=11 << 16), OURS, 40.0)
    assert feedback.rtt_s == pytest.approx(0.07), "nor of one long ago"


def test_where_nothing_was_sent_between_two_reports_their_answer_tells_no_time() -> None:
    """They name the same time, that of the last packet: which of them was answered is not known."""
    feedback = Feedback()
    for at_s in (10.0, 11.0):
        feedback.sent(sender_report(10), at_s)
    feedback.take(report(OURS, lsr=10 << 16, dlsr=65_536), OURS, 11.2)
    feedback.sent(sender_report(12), 12.0)
    feedback.take(report(OURS, lsr=12 << 16, dlsr=65_536), OURS, 12.9)
    assert [told.rtt_s for told in feedback.unread] == [None, 0.0], "and none is negative"


def test_every_report_waits_for_the_controller_with_the_estimate_of_its_time() -> None:
    feedback = Feedback()
    feedback.take(payload(RTCP_PSFB_APP, pack_remb_fci(1_000_000, [OURS])), OURS, 1)
    feedback.take(report(OURS), OURS, 2)
    feedback.take(report(OURS), OURS, 2 + REMB_HOLDS_S)
    early, late = feedback.unread
    assert early.remb_kbps == pytest.approx(1000, rel=0.01)
    assert replace(early, remb_kbps=None) == Report(2, 0.25, None, 0.01)
    assert late == Report(2 + REMB_HOLDS_S, 0.25, None, 0.01), "too old by then"
