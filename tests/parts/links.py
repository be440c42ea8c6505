"""What a guest sends and gets over one peer connection: a voice, small pictures, and who is at its end."""

from __future__ import annotations

import asyncio
import math
import time
from fractions import Fraction
from typing import Protocol

import numpy as np
from aiortc import (
    AudioStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    VideoStreamTrack,
)
from av import AudioFrame, VideoFrame

from tests.parts.phone import RATE, Media

FPS = 10
Where = tuple[str, str]
"""An endpoint: uid and the name of its program."""


class Speaker(Protocol):
    """Whose voice it is, and how it sounds at this moment."""

    hertz: float
    loudness: int

    @property
    def silent(self) -> bool:
        """Muted, or on hold."""


class Voice(AudioStreamTrack):
    """A sine wave whose loudness can be changed while it lasts; 20 ms a frame."""

    def __init__(self, speaker: Speaker) -> None:
        super().__init__()
        self._speaker = speaker
        self._at = 0
        self._start = time.monotonic()

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0.0, self._start + self._at / RATE - time.monotonic()))
        count = RATE // 50
        angles = 2 * math.pi * self._speaker.hertz * (self._at + np.arange(count)) / RATE
        loudness = 0 if self._speaker.silent else self._speaker.loudness
        samples = (loudness * np.sin(angles)).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._at, Fraction(1, RATE)
        self._at += count
        return frame


class Film(VideoStreamTrack):
    """Small pictures of one colour."""

    def __init__(self, colour: tuple[int, int, int]) -> None:
        super().__init__()
        whole = VideoFrame.from_ndarray(np.full((90, 160, 3), colour, np.uint8), format="rgb24")
        self._picture = whole.reformat(format="yuv420p").to_ndarray()
        self._count = 0
        self._start = time.monotonic()

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(max(0.0, self._start + self._count / FPS - time.monotonic()))
        frame = VideoFrame.from_ndarray(self._picture, format="yuv420p")
        frame.pts, frame.time_base = self._count * (90000 // FPS), Fraction(1, 90000)
        self._count += 1
        return frame


class Link:
    """A peer connection with one other endpoint; `call_id` is under what the two know each other."""

    def __init__(self, where: Where, call_id: str, *, offers: bool, generation: int = 1) -> None:
        self.where, self.call_id, self.offers, self.generation = where, call_id, offers, generation
        self.media = Media()
        self.screen = Media()
        self.made_s = time.monotonic()
        self.connected = asyncio.Event()
        self.before: Link | None = None
        """The connection that this one replaces, kept until it is connected."""
        self.connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )


def only_h264(transceiver: RTCRtpTransceiver) -> None:
    codecs = RTCRtpSender.getCapabilities("video").codecs
    transceiver.setCodecPreferences(
        [codec for codec in codecs if codec.mimeType in ("video/H264", "video/rtx")]
    )
