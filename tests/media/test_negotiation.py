"""What is believed of a description and a candidate before aiortc sees them."""

from __future__ import annotations

import pytest

from appliance.media.base import BadDescription
from appliance.media.negotiation import (
    MAX_CANDIDATES,
    checked_candidate,
    h264_only,
    opus_only,
    sections_of,
    without_host_names,
)
from appliance.messages import IceCandidate, SessionDescription

CANDIDATE = "candidate:1 1 udp 2122260223 {} 51234 typ host"
SDP = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"


def offer(sdp: str) -> SessionDescription:
    return SessionDescription("offer", sdp)


def test_the_sections_are_read_in_order() -> None:
    assert sections_of(offer(SDP), "offer") == ["audio", "video"]


@pytest.mark.parametrize(
    ("sdp", "says"),
    [
        ("", "no media section"),
        ("v=0\r\nm=text 9 RTP/AVP 98\r\n", "unknown kind"),
        ("v=0\r\n" + "m=audio 9 RTP/AVP 0\r\n" * 9, "more than 8 media sections"),
        (
            SDP + f"a={CANDIDATE.format('192.0.2.1')}\r\n" * (MAX_CANDIDATES + 1),
            "more than 64 candid",
        ),
        (SDP + "a=x:" + "x" * 33_000, "more than 32768 bytes"),
    ],
)
def test_descriptions_out_of_bounds_are_refused(sdp: str, says: str) -> None:
    with pytest.raises(BadDescription, match=says):
        sections_of(offer(sdp), "offer")


def test_an_answer_is_no_offer() -> None:
    with pytest.raises(BadDescription, match="an offer was expected, and this is: answer"):
        sections_of(SessionDescription("answer", SDP), "offer")


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "3f1c5e0a.local"])
def test_addresses_and_local_names_are_used(host: str) -> None:
    line = CANDIDATE.format(host)
    assert checked_candidate(IceCandidate(line, sdp_mid="0")) == line.removeprefix("candidate:")
    sdp = f"{SDP}a={line}\r\n"
    assert without_host_names(sdp) == sdp


@pytest.mark.parametrize(
    "line", [CANDIDATE.format("door.example"), CANDIDATE.format("192.0.2.1").replace("udp", "tcp")]
)
def test_names_that_need_a_look_up_and_tcp_are_of_no_use(line: str) -> None:
    assert checked_candidate(IceCandidate(line, sdp_mid="0")) is None


def test_candidates_with_names_are_taken_out_of_a_description() -> None:
    named = f"a={CANDIDATE.format('door.example')}\r\n"
    assert without_host_names(SDP + named + "a=mid:0\r\n" + named) == SDP + "a=mid:0\r\n"


@pytest.mark.parametrize(
    "candidate",
    [
        IceCandidate("rubbish", sdp_mid="0"),
        IceCandidate(CANDIDATE.format("192.0.2.1")),
        IceCandidate(CANDIDATE.format("192.0.2.1") + " x" * 300, sdp_mid="0"),
    ],
)
def test_what_is_no_candidate_is_refused(candidate: IceCandidate) -> None:
    with pytest.raises(BadDescription):
        checked_candidate(candidate)


def test_only_one_codec_of_each_kind_is_offered() -> None:
    assert [codec.mimeType for codec in opus_only()] == ["audio/opus"]
    video = [codec for codec in h264_only() if codec.mimeType != "video/rtx"]
    assert [codec.mimeType for codec in video] == ["video/H264"]
    assert video[0].parameters["profile-level-id"] == "42e01f"
    assert video[0].parameters["packetization-mode"] == "1"
