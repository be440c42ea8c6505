"""The parameter sets at the head of a keyframe."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest

from appliance.media.annexb import parameter_sets, picture_size
from appliance.media.card import Card
from appliance.media.encoding import H264Encoder


def test_those_of_an_encoder_are_found_before_its_picture_and_nowhere_else() -> None:
    encoder, card = H264Encoder(320, 180, 30, 300), Card(320, 180)
    first, second = (encoder.encode(card.draw(n, "12:00:00", 0), n * 33_333) for n in range(2))
    sets = parameter_sets(first.data)
    kinds = [part[0] & 0x1F for part in sets.split(b"\x00\x00\x00\x01")[1:]]
    assert kinds == [7, 8]
    assert len(sets) < 100
    assert parameter_sets(second.data) == b""


def test_start_codes_of_either_length_are_known_and_other_units_left_out() -> None:
    sps, pps, sei, idr = b"\x67\x42\xc0\x1f", b"\x68\xce\x01", b"\x06\x05\x01", b"\x65\x88\x84"
    mixed = b"\x00\x00\x00\x01\x09\x10" + b"\x00\x00\x01" + sps + b"\x00\x00\x00\x01" + sei
    mixed += b"\x00\x00\x01" + pps + b"\x00\x00\x01" + idr + b"\x00\x00\x01" + sps
    assert parameter_sets(mixed) == b"\x00\x00\x00\x01" + sps + b"\x00\x00\x00\x01" + pps


def test_what_is_none_has_none() -> None:
    for data in (b"", b"\x00\x00\x01", b"abc", b"\x00\x00\x00\x01"):
        assert parameter_sets(data) == b""


@pytest.mark.parametrize(
    "size", [(320, 180), (1280, 720), (640, 360), (160, 90), (1920, 1088), (642, 362)]
)
def test_the_size_is_read_from_the_parameter_sets(size: tuple[int, int]) -> None:
    encoder = H264Encoder(*size, 5, 300)
    sets = parameter_sets(encoder.encode(Card(*size).draw(0, "12:00:00", 0), 0).data)
    assert picture_size(sets) == size


@pytest.mark.parametrize("profile", ["High", "Main"])
@pytest.mark.parametrize("format", ["yuv420p", "yuv422p"])
def test_the_size_is_read_in_other_profiles_too(profile: str, format: str) -> None:
    if format == "yuv422p":
        profile = "High 4:2:2"
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = 854, 482, format
    codec.time_base, codec.profile = Fraction(1, 30), profile
    codec.options = {"tune": "zerolatency", "x264-params": "interlaced=0"}
    frame = av.VideoFrame(854, 482, format)
    frame.pts = 0
    (packet,) = codec.encode(frame)
    assert picture_size(parameter_sets(bytes(packet))) == (854, 482)


def test_where_no_size_can_be_read_there_is_none() -> None:
    for sets in (
        b"",
        b"\x00\x00\x01\x68\xce",
        b"\x00\x00\x01\x67",
        b"\x00\x00\x01\x67\x42\xc0\x1f\x00\x00",
    ):
        assert picture_size(sets) is None
