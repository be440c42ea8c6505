"""The other side's sound, as frames for the loudspeaker."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from appliance.media.base import FRAME_BYTES

SILENCE_DBFS = -100.0
FULL_SCALE_SINE_RMS = 32768 / math.sqrt(2)
"""0 dBFS is the level of a sine that just fits (AES17)."""


async def frames_of(track: MediaStreamTrack) -> AsyncIterator[bytes]:
    """Frames of 20 ms until the track ends, however long the packets were that came (RFC 6716: 2.5 to
    120 ms).
    """
    kept = b""
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        assert isinstance(frame, AudioFrame)
        kept += mono(frame)
        while len(kept) >= FRAME_BYTES:
            yield kept[:FRAME_BYTES]
            kept = kept[FRAME_BYTES:]


def mono(frame: AudioFrame) -> bytes:
    """All channels of a decoded frame as one; aiortc decodes Opus to 48 kHz, s16, interleaved."""
    samples = np.frombuffer(frame.planes[0], "<i2")  # type: ignore[call-overload]
    mixed = (
        samples[: frame.samples * frame.layout.nb_channels].reshape(frame.samples, -1).mean(axis=1)
    )
    return bytes(mixed.astype("<i2").tobytes())


def level_dbfs(frame: bytes) -> float:
    """How loud a frame is: 0 for a full-scale sine, -100 for silence and below."""
    samples = np.frombuffer(frame, "<i2").astype(np.float32)
    rms = math.sqrt(float(np.dot(samples, samples)) / max(1, len(samples)))
    return max(SILENCE_DBFS, 20 * math.log10(rms / FULL_SCALE_SINE_RMS)) if rms else SILENCE_DBFS
