"""Something like a voice: a gliding pitch with its harmonics, in syllables, and its packets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from appliance.media.base import FRAME_SAMPLES, SAMPLE_RATE_HZ
from appliance.media.encoding import OpusEncoder
from appliance.media.opus import Samples


def speech(seconds: float) -> Samples:
    at_s = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pitch_hz = 150 + 60 * np.sin(2 * np.pi * 0.7 * at_s)
    phase = np.cumsum(2 * np.pi * pitch_hz / SAMPLE_RATE_HZ)
    wave = sum(np.sin(order * phase) / order for order in range(1, 20))
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * at_s)
    return np.asarray(4000 * wave * syllables, np.int16)


def tone(hz: float, seconds: float, amplitude: int = 8000) -> Samples:
    turns = np.arange(int(seconds * SAMPLE_RATE_HZ)) * hz / SAMPLE_RATE_HZ
    return np.asarray(amplitude * np.sin(2 * np.pi * turns), np.int16)


def packets_of(samples: Samples) -> list[bytes]:
    """As this device sends it."""
    encoder = OpusEncoder()
    return [
        encoder.encode(samples[at : at + FRAME_SAMPLES].tobytes())
        for at in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
    ]


def likeness_db(one: npt.NDArray[np.int16], other: npt.NDArray[np.int16]) -> float:
    """How far the difference is below `other`."""
    truth = other.astype(np.float64)
    error = one.astype(np.float64) - truth
    return float(10 * np.log10(np.sum(truth**2) / max(float(np.sum(error**2)), 1.0)))
