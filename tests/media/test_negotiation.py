"""What is believed of a description and a candidate before aiortc sees them."""

from __future__ import annotations

import pytest

from appliance.media.base import BadDescription
from appliance.media.negotiation import checked_candidate, h264_only, opus_only, read
from appliance.messages import IceCandidate, SessionDescription
from tests.parts.sdp import CANDIDATE, sdp


def test_the_sections_are_read_in_order() -> None:
    described = read(SessionDescription("offer", sdp()), "offer")
    assert [section.kind for section in described.sections] == ["audio", "video"]


def test_the_firewall_is_asked_here_as_well() -> None:
    for spoilt in ("", "v=0\r\n", sdp().replace("192.0.2.1", "door.example")):
        with pytest.raises(BadDescription, match=r"^the offer"):
            read(SessionDescription("offer", spoilt), "offer")


def test_an_answer_is_no_offer() -> None:
    with pytest.raises(BadDescription, match="an offer was expected, and this is: answer"):
        read(SessionDescription("answer", sdp("answer")), "offer")


def test_addresses_and_local_names_are_used_and_tcp_is_not() -> None:
    for host in ("192.0.2.1", "2001:db8::1", "3f1c5e0a.local"):
        line = CANDIDATE.replace("192.0.2.1", host)
        remote = checked_candidate(IceCandidate(line, sdp_mid="0"))
        assert remote is not None
        assert (remote.host, remote.is_named) == (host, host.endswith("local"))
    assert checked_candidate(IceCandidate(CANDIDATE.replace("udp", "tcp"), sdp_mid="0")) is None


@pytest.mark.parametrize(
    "candidate",
    [
        IceCandidate("rubbish", sdp_mid="0"),
        IceCandidate(CANDIDATE),
        IceCandidate(CANDIDATE.replace("192.0.2.1", "door.example"), sdp_mid="0"),
        IceCandidate(CANDIDATE + " x" * 300, sdp_mid="0"),
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
