"""From 48 kHz to 16 kHz and back, frame by frame: wideband, as a telephone calls it.

A Kaiser window of 120 taps around a low-pass at 7.4 kHz: flat to a tenth of a dB up to 6.6 kHz, and 60 dB
down from 8.2 kHz, where 16 kHz would fold it back. Each way takes 59.5 samples of 48 kHz, 2.5 ms for both.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from appliance.media.base import FRAME_SAMPLES, SAMPLE_RATE_HZ

Samples: TypeAlias = npt.NDArray[np.float32]
"""One dimension, in the scale of 16 bit: full scale is 32768."""

FACTOR = 3
WIDE_RATE_HZ = SAMPLE_RATE_HZ // FACTOR
WIDE_SAMPLES = FRAME_SAMPLES // FACTOR
"""In 20 ms."""
CUTOFF_HZ = 7400
TAPS = 120
BETA = 6.0
DELAY_SAMPLES = TAPS - 1
"""There and back, in samples of 48 kHz."""


def _low_pass() -> Samples:
    turns = 2 * CUTOFF_HZ / SAMPLE_RATE_HZ
    at = np.arange(TAPS) - (TAPS - 1) / 2
    taps = turns * np.sinc(turns * at) * np.kaiser(TAPS, BETA)
    return np.asarray(taps / taps.sum(), np.float32)


_PHASES = [_low_pass()[phase::FACTOR].copy() for phase in range(FACTOR)]
"""Every third tap: each of them meets every third sample, and only those that are kept are worked out."""
_PHASE_TAPS = TAPS // FACTOR


class Narrowing:
    """48 kHz to 16 kHz: a frame of 20 ms in, 320 samples out. Remembers 2.5 ms."""

    def __init__(self) -> None:
        """As after silence."""
        self._line = np.zeros(TAPS - 1 + FRAME_SAMPLES, np.float32)

    def __call__(self, frame: bytes) -> Samples:
        """The next 20 ms."""
        line = self._line
        line[: TAPS - 1] = line[FRAME_SAMPLES:]
        line[TAPS - 1 :] = np.frombuffer(frame, "<i2")
        out = np.zeros(WIDE_SAMPLES, np.float32)
        for phase, taps in enumerate(_PHASES):
            thirds = line[FACTOR - 1 - phase :: FACTOR]
            out += np.convolve(thirds, taps, "valid")[:WIDE_SAMPLES]
        return out


class Widening:
    """16 kHz to 48 kHz: 320 samples in, a frame of 20 ms out. Remembers 2.5 ms."""

    def __init__(self) -> None:
        """As after silence."""
        self._line = np.zeros(_PHASE_TAPS - 1 + WIDE_SAMPLES, np.float32)

    def __call__(self, samples: Samples) -> bytes:
        """The next 20 ms; what does not fit into 16 bit is cut."""
        line = self._line
        line[: _PHASE_TAPS - 1] = line[WIDE_SAMPLES:]
        line[_PHASE_TAPS - 1 :] = samples
        out = np.empty((WIDE_SAMPLES, FACTOR), np.float32)
        for phase, taps in enumerate(_PHASES):
            out[:, phase] = np.convolve(line, taps, "valid")
        return whole(FACTOR * out.ravel())


def whole(samples: Samples) -> bytes:
    """Rounded to 16 bit, little endian; what does not fit is cut."""
    return bytes(np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes())
