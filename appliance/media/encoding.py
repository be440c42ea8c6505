"""Encoders in software: H.264 by libx264 for low delay, and Opus for a voice."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from fractions import Fraction

import av
from av.video.frame import PictureType

from appliance.media import opus
from appliance.media.base import FRAME_SAMPLES, SAMPLE_RATE_HZ, AccessUnit
from appliance.media.opus import BadPacket, LibopusEncoder, Setting
from appliance.media.voiceloss import LEAST_PERCENT

logger = logging.getLogger(__name__)

MICROSECONDS = Fraction(1, 1_000_000)
SAMPLES = Fraction(1, SAMPLE_RATE_HZ)

VOICE_BIT_S = 32_000
VOICE_EFFORT = 1
"""libopus's complexity, 0 to 10. From 2 on it codes what is above 8 kHz as well, of which a voice at a door
has little, and takes two to three times as long; the packets for error correction are there in any case.
"""
EXPECTED_LOSS_PERCENT = LEAST_PERCENT
VOICE = {
    Setting.BITRATE: VOICE_BIT_S,
    Setting.VBR: 1,
    Setting.VBR_CONSTRAINT: 0,
    Setting.COMPLEXITY: VOICE_EFFORT,
    Setting.INBAND_FEC: 1,
    Setting.PACKET_LOSS_PERCENT: EXPECTED_LOSS_PERCENT,
}

REPEATS = 0.75
"""A picture is encoded once more until so much of the time to the next is over: then that one is soon."""
MET_S = 0.02
"""Who has asked for a keyframe as lately as one was repeated has got it."""

VBV_S = 0.3
"""How much of the bitrate one picture may take at once: bounds the burst of a keyframe."""

# ITU-T H.264, table A-1: level, macroblocks per second, macroblocks per picture
_LEVELS = (
    ("1.0", 1_485, 99),
    ("1.1", 3_000, 396),
    ("1.2", 6_000, 396),
    ("1.3", 11_880, 396),
    ("2.1", 19_800, 792),
    ("2.2", 20_250, 1_620),
    ("3.0", 40_500, 1_620),
    ("3.1", 108_000, 3_600),
    ("3.2", 216_000, 5_120),
    ("4.0", 245_760, 8_192),
    ("4.2", 522_240, 8_704),
)

# ultrafast costs the least, but leaves blocks visible; the deblocking filter and small intra blocks give
# back 1.5 dB for a tenth more work, and a picture better than superfast's (tests/bench/media.py)
_PRESET = "ultrafast"
_X264 = (
    "keyint=infinite:scenecut=0",  # a keyframe only when somebody asks for one
    "repeat-headers=1",  # SPS and PPS with each, for who comes later
    "bframes=0:slices=1:sliced-threads=0",
    "deblock=0,0:partitions=i4x4",
)


def h264_level(width: int, height: int, framerate: int) -> str:
    """The lowest level of H.264 that carries this size at this rate, as in `3.1` for 720p30.

    Raises ValueError for more than level 4.2 takes.
    """
    blocks = -(-width // 16) * -(-height // 16)
    for level, per_second, per_picture in _LEVELS:
        if blocks <= per_picture and blocks * framerate <= per_second:
            return level
    raise ValueError(f"{width}x{height} at {framerate}/s is more than H.264 level 4.2 takes")


class H264Encoder:
    """Constrained baseline, no delay: each picture in gives one access unit out.

    `encode` belongs to one thread; `request_keyframe` and `set_bitrate` may come from any.
    """

    def __init__(
        self,
        width: int,
        height: int,
        framerate: int,
        bitrate_kbps: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Width and height in pixels, both even; `bitrate_kbps` is also the ceiling."""
        self._clock = clock
        self._latest: tuple[av.VideoFrame, int, float] | None = None
        """What was encoded last, its time, and when that was."""
        self._repeated_at_s = -MET_S
        self.width, self.height = width, height
        self._ceiling_kbps = bitrate_kbps
        self._wanted_kbps = bitrate_kbps
        self._keyframe_wanted = True
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.framerate = Fraction(framerate, 1)
        codec.time_base = MICROSECONDS
        codec.bit_rate = bitrate_kbps * 1000
        codec.profile = "Baseline"  # which libx264 marks as constrained
        codec.thread_count = 1  # more threads would cost more and wait for one another
        codec.options = {
            "preset": _PRESET,
            "tune": "zerolatency",
            "level": h264_level(width, height, framerate),
            "forced-idr": "1",
            "maxrate": str(bitrate_kbps * 1000),
            "bufsize": str(int(bitrate_kbps * 1000 * VBV_S)),
            "x264-params": ":".join(_X264),
        }
        self._codec = codec
        self._kbps = bitrate_kbps

    @property
    def keyframe_wanted(self) -> bool:
        """The next picture is to be an IDR."""
        return self._keyframe_wanted

    def request_keyframe(self) -> None:
        """Make the next picture an IDR."""
        if self._clock() - self._repeated_at_s >= MET_S:
            self._keyframe_wanted = True

    def set_bitrate(self, kbps: int) -> None:
        """Aim at `kbps` from the next picture on, without a keyframe; at most the first one."""
        self._wanted_kbps = max(25, min(kbps, self._ceiling_kbps))

    def encode(self, frame: av.VideoFrame, pts_us: int) -> AccessUnit:
        """Encode a yuv420p picture; `pts_us` must rise."""
        if self._wanted_kbps != self._kbps:
            self._kbps = self._wanted_kbps
            self._codec.bit_rate = self._kbps * 1000
        keyframe, self._keyframe_wanted = self._keyframe_wanted, False
        self._latest = frame, pts_us, self._clock()
        return self._encode(frame, pts_us, keyframe=keyframe)

    def again(self, framerate: float) -> AccessUnit | None:
        """The latest picture once more, as an IDR, so that who wants one need not wait for the next.

        None where that is about to come: there are `framerate` of them in a second. What is encoded next
        goes on from here. The picture must still be what it was.
        """
        if self._latest is None:
            return None
        frame, pts_us, at_s = self._latest
        passed_s = self._clock() - at_s
        if passed_s > REPEATS / framerate:
            return None
        self._latest = None  # nothing else of that moment
        unit = self._encode(frame, pts_us + max(1, int(passed_s * 1e6)), keyframe=True)
        self._repeated_at_s = self._clock()
        self._keyframe_wanted = False  # whoever has asked meanwhile gets it too
        return unit

    def _encode(self, frame: av.VideoFrame, pts_us: int, *, keyframe: bool) -> AccessUnit:
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        frame.pts, frame.time_base = pts_us, MICROSECONDS
        packets = self._codec.encode(frame)
        return AccessUnit(b"".join(bytes(packet) for packet in packets), pts_us, keyframe)


class OpusEncoder:
    """Opus (RFC 6716) for speech: mono, 20 ms, with in-band error correction."""

    def __init__(self) -> None:
        """One stream; `encode` belongs to one thread. By libopus itself where it can be had."""
        self._encoder = _voice_encoder()
        self._loss_percent = EXPECTED_LOSS_PERCENT

    def expect_loss(self, percent: int) -> None:
        """So much of it is lost on the way: the more, the more goes into error correction.

        FFmpeg's encoder cannot be told while it runs, and keeps what it began with.
        """
        if percent != self._loss_percent:
            self._loss_percent = percent
            if isinstance(self._encoder, LibopusEncoder):
                self._encoder.set(Setting.PACKET_LOSS_PERCENT, percent)

    def encode(self, frame: bytes) -> bytes:
        """One frame in, one Opus packet out."""
        return self._encoder.encode(frame)


def _voice_encoder() -> LibopusEncoder | PlainOpusEncoder:
    library = opus.installed()
    if library is not None:
        try:
            return LibopusEncoder(library, VOICE)
        except BadPacket as fault:
            logger.warning("%s: a voice is encoded through FFmpeg", fault)
    return PlainOpusEncoder()


class PlainOpusEncoder:
    """The same through FFmpeg."""

    def __init__(self) -> None:
        """One stream."""
        codec = av.CodecContext.create("libopus", "w")
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", SAMPLE_RATE_HZ
        codec.time_base = SAMPLES
        codec.bit_rate = VOICE_BIT_S
        codec.options = {
            "application": "voip",
            "frame_duration": "20",
            "fec": "1",
            "packet_loss": str(EXPECTED_LOSS_PERCENT),
            "compression_level": str(VOICE_EFFORT),
        }
        self._codec = codec
        self._frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME_SAMPLES)
        self._frame.sample_rate, self._frame.time_base = SAMPLE_RATE_HZ, SAMPLES
        self._samples = 0

    def encode(self, frame: bytes) -> bytes:
        """One frame in, one Opus packet out."""
        self._frame.planes[0].update(frame)
        self._frame.pts = self._samples
        self._samples += FRAME_SAMPLES
        return b"".join(bytes(packet) for packet in self._codec.encode(self._frame))
