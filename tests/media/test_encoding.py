"""The encoders, judged by their bytes (ITU-T H.264, RFC 6716) and by what a decoder makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from appliance.media import opus
from appliance.media.base import FRAME_SAMPLES, SILENT_FRAME, AccessUnit
from appliance.media.card import Card, read_counter
from appliance.media.encoding import (
    VOICE,
    H264Encoder,
    OpusEncoder,
    PlainOpusEncoder,
    h264_level,
)
from appliance.media.opus import BadPacket, LibopusEncoder, Setting
from tests.media.speech import likeness_db, packets_of, speech

SLICE, IDR, SPS, PPS = 1, 5, 7, 8


def nal_units(data: bytes) -> list[bytes]:
    """The NAL units of an access unit in Annex B, without start codes."""
    return [part.rstrip(b"\x00") for part in data.split(b"\x00\x00\x01")[1:]]


def kinds(unit: AccessUnit) -> list[int]:
    return [nal[0] & 0x1F for nal in nal_units(unit.data)]


def exp_golomb(nal: bytes) -> Iterator[int]:
    """The unsigned Exp-Golomb codes that begin a slice header (H.264, 9.1)."""
    bits = "".join(f"{byte:08b}" for byte in nal[1:12])
    while True:
        zeros = bits.index("1")
        yield int(bits[zeros : 2 * zeros + 1], 2) - 1
        bits = bits[2 * zeros + 1 :]


def encode(encoder: H264Encoder, card: Card, numbers: range, fps: int = 30) -> list[AccessUnit]:
    return [
        encoder.encode(card.draw(number, "12:34:56", number / fps), number * 1_000_000 // fps)
        for number in numbers
    ]


@pytest.mark.parametrize(
    ("size", "level"),
    [
        ((160, 90, 1), "1.0"),
        ((640, 480, 30), "3.0"),
        ((1280, 720, 30), "3.1"),
        ((1280, 720, 31), "3.2"),
        ((1920, 1080, 30), "4.0"),
    ],
)
def test_the_level_is_the_lowest_that_carries_size_and_rate(
    size: tuple[int, int, int], level: str
) -> None:
    assert h264_level(*size) == level


def test_what_no_level_carries_is_refused() -> None:
    with pytest.raises(ValueError, match="1920x1088 at 240/s"):
        h264_level(1920, 1088, 240)


def test_the_stream_is_constrained_baseline_of_the_right_level() -> None:
    first = encode(H264Encoder(1280, 720, 30, 1500), Card(1280, 720), range(1))[0]
    profile, constraints, level = nal_units(first.data)[0][1:4]
    assert profile == 66, "baseline"
    assert constraints & 0x40, "constraint_set1: what main-profile decoders take too"
    assert level == 31


def test_only_who_asks_gets_a_keyframe_and_it_can_be_begun_with() -> None:
    encoder, card = H264Encoder(320, 180, 30, 300), Card(320, 180)
    units = encode(encoder, card, range(60))
    assert [unit.keyframe for unit in units] == [True] + 59 * [False]
    encoder.request_keyframe()
    encoder.request_keyframe()
    units += encode(encoder, card, range(60, 70))
    assert [n for n, unit in enumerate(units) if unit.keyframe] == [0, 60]
    for unit in units:
        present = [kind for kind in kinds(unit) if kind in (SLICE, IDR, SPS, PPS)]
        assert present == ([SPS, PPS, IDR] if unit.keyframe else [SLICE]), "one slice, no delay"

    decoder = av.CodecContext.create("h264", "r")
    late = [frame for unit in units[60:] for frame in decoder.decode(av.Packet(unit.data))]
    late += decoder.decode(None)
    assert [read_counter(frame) for frame in late] == list(range(60, 70))


def test_a_picture_can_be_had_again_as_a_keyframe_until_the_next_is_soon() -> None:
    now_s = 8.0
    encoder, card = H264Encoder(320, 180, 30, 300, lambda: now_s), Card(320, 180)
    assert encoder.again(30) is None, "there is none yet"
    units = encode(encoder, card, range(10))
    encoder.request_keyframe()
    now_s += 1 / 128
    again = encoder.again(30)
    assert again is not None
    assert again.keyframe
    assert again.pts_us == units[-1].pts_us + 1_000_000 // 128, "its time goes on"
    assert encoder.again(30) is None, "once"
    encoder.request_keyframe()  # whoever asks now has got it
    units = [again, *encode(encoder, card, range(10, 15))]
    assert [unit.keyframe for unit in units] == [True] + 5 * [False]
    decoder = av.CodecContext.create("h264", "r")
    seen = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    seen += decoder.decode(None)
    assert [read_counter(frame) for frame in seen] == [9, 10, 11, 12, 13, 14]

    now_s += 0.026
    encoder.request_keyframe()
    assert encoder.again(30) is None, "the next is there sooner"
    assert encoder.keyframe_wanted
    assert encoder.again(5) is not None, "where pictures are few it is not"


def test_there_are_no_b_slices() -> None:
    for unit in encode(H264Encoder(320, 180, 30, 300), Card(320, 180), range(30)):
        for nal in nal_units(unit.data):
            if nal[0] & 0x1F in (SLICE, IDR):
                codes = exp_golomb(nal)
                _first_macroblock, slice_type = next(codes), next(codes)
                assert slice_type % 5 in (0, 2), "P or I"


def test_the_bitrate_follows_and_a_keyframe_stays_small() -> None:
    rng = np.random.default_rng(1)
    noise = [rng.integers(16, 235, (180, 320), dtype=np.uint8) for _ in range(4)]
    flat = np.full((90, 320), 128, np.uint8)
    pictures = [
        av.VideoFrame.from_ndarray(np.concatenate([luma, flat]), format="yuv420p") for luma in noise
    ]
    encoder = H264Encoder(320, 180, 30, 800)

    def second(number: int) -> int:
        """Encode a second of noise; its kbit/s."""
        units = [
            encoder.encode(pictures[n % 4], n * 33_333)
            for n in range(30 * number, 30 * number + 30)
        ]
        return sum(len(unit.data) for unit in units) * 8 // 1000

    full = [second(number) for number in range(3)][-1]
    assert 500 < full < 1100
    encoder.set_bitrate(200)
    lower = [second(number) for number in range(3, 7)][-1]
    assert lower < full / 2
    encoder.set_bitrate(5000)
    again = [second(number) for number in range(7, 11)][-1]
    assert 500 < again < 1100, "never above what was configured"
    encoder.request_keyframe()
    keyframe = encoder.encode(pictures[0], 33_333 * 400)
    assert keyframe.keyframe
    assert len(keyframe.data) * 8 < 800_000 * 0.4


@pytest.fixture(params=["libopus", "FFmpeg"])
def voice_encoder(request: pytest.FixtureRequest) -> LibopusEncoder | PlainOpusEncoder:
    if request.param == "FFmpeg":
        return PlainOpusEncoder()
    library = opus.installed()
    assert library is not None, "PyAV brings one along"
    return LibopusEncoder(library, VOICE)


def test_both_encoders_of_one_library_give_the_same_packets() -> None:
    library = opus.Libopus(list(opus.names(Path(av.__file__).parent))[-1])
    encoders = LibopusEncoder(library, VOICE), PlainOpusEncoder()
    noise = np.random.default_rng(1).integers(-9000, 9000, (40, 960)).astype("<i2")
    ours, theirs = ([one.encode(part.tobytes()) for part in noise] for one in encoders)
    assert ours == theirs


def test_what_libopus_refuses_is_told() -> None:
    library = opus.installed()
    assert library is not None
    with pytest.raises(BadPacket, match="COMPLEXITY of 11"):
        LibopusEncoder(library, {Setting.COMPLEXITY: 11})
    with pytest.raises(ValueError, match="1920 bytes"):
        LibopusEncoder(library, VOICE).encode(b"short")


def test_without_libopus_there_is_an_encoder_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VOICE, Setting.COMPLEXITY, 11)  # one that refuses what it is told
    assert len(OpusEncoder().encode(bytes(1920))) > 0
    monkeypatch.setattr(opus, "installed", lambda: None)
    assert len(OpusEncoder().encode(bytes(1920))) > 0


def test_opus_packets_hold_20_ms_of_one_channel(
    voice_encoder: LibopusEncoder | PlainOpusEncoder,
) -> None:
    encoder = voice_encoder
    tone = (6000 * np.sin(np.arange(FRAME_SAMPLES * 50) * 0.1)).astype("<i2")
    packets = [
        encoder.encode(tone[at : at + FRAME_SAMPLES].tobytes())
        for at in range(0, len(tone), FRAME_SAMPLES)
    ]
    assert len(packets) == 50
    assert all(packets), "nothing is held back"
    for packet in packets:
        config, stereo, count = packet[0] >> 3, packet[0] & 4, packet[0] & 3
        assert config in (1, 5, 9, 13, 15, 19, 23, 27, 31), "20 ms (RFC 6716, table 2)"
        assert (stereo, count) == (0, 0)
    assert sum(map(len, packets)) * 8 < 48_000, "about 32 kbit/s"


def test_a_voice_is_sent_a_second_time_in_the_packet_that_follows() -> None:
    """In-band error correction: the flag of RFC 6716, section 4.2.4, in the frame's second bit."""
    packets = packets_of(speech(4))
    assert all(packet[0] >> 3 < 16 for packet in packets), "with SILK, which has it"
    flagged = [bool(packet[1] & 0x40) for packet in packets]
    assert sum(flagged) / len(flagged) > 0.6
    assert sum(map(len, packets)) * 8 / 4 < 32_000, "and it all goes into the bitrate"


def test_the_more_is_lost_the_better_is_what_a_packet_has_of_the_one_before_it() -> None:
    spoken = speech(4)

    def corrected(percent: int) -> float:
        encoder, plain, hurt = OpusEncoder(), opus.decoder(), opus.decoder()
        encoder.expect_loss(percent)
        packets = [
            encoder.encode(spoken[at : at + FRAME_SAMPLES].tobytes())
            for at in range(0, len(spoken), FRAME_SAMPLES)
        ]
        likeness = []
        for number, packet in enumerate(packets):
            truth = plain.decode(packet)
            if number % 5 == 3:
                likeness.append(likeness_db(hurt.conceal(960, packets[number + 1]), truth))
            else:
                hurt.decode(packet)
        return float(np.median(likeness))

    assert corrected(30) > corrected(10) + 0.5


def test_silence_costs_next_to_nothing_and_stays_silent() -> None:
    encoder = OpusEncoder()
    decoder = av.CodecContext.create("libopus", "r")
    sound = [
        frame.to_ndarray()
        for _ in range(20)
        for frame in decoder.decode(av.Packet(encoder.encode(SILENT_FRAME)))
    ]
    assert sound
    assert all(np.abs(frame.astype(int)).max() <= 2 for frame in sound), "-84 dBFS"
