"""How loud somebody is."""

from __future__ import annotations

import math

import numpy as np

SILENCE_DBFS = -100.0
FULL_SCALE_SINE_RMS = 32768 / math.sqrt(2)
"""0 dBFS is the level of a sine that just fits (AES17)."""


def level_dbfs(frame: bytes) -> float:
    """How loud a frame is: 0 for a full-scale sine, -100 for silence and below."""
    samples = np.frombuffer(frame, "<i2").astype(np.float32)
    rms = math.sqrt(float(np.dot(samples, samples)) / max(1, len(samples)))
    return max(SILENCE_DBFS, 20 * math.log10(rms / FULL_SCALE_SINE_RMS)) if rms else SILENCE_DBFS
