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

Matrix: TypeAlias = npt.NDArray[np.float32]

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


_BLOCK = 40
"""Of 16 kHz: so many are worked out by one row of a product of matrices, from two blocks of what came."""
_LONG = _BLOCK * FACTOR
_ROWS = WIDE_SAMPLES // _BLOCK


def _narrowing() -> tuple[Matrix, Matrix]:
    """What the block before, and the block itself, give to 40 samples of 16 kHz."""
    at = FACTOR * np.arange(_BLOCK)[None, :] + _LONG - np.arange(2 * _LONG)[:, None]
    return _halves(at, _low_pass())


def _widening() -> tuple[Matrix, Matrix]:
    """What the block before, and the block itself, give to 120 samples of 48 kHz."""
    at = np.arange(_LONG)[None, :] + _LONG - FACTOR * np.arange(2 * _BLOCK)[:, None]
    return _halves(at, FACTOR * _low_pass())


def _halves(at: npt.NDArray[np.intp], taps: Samples) -> tuple[Matrix, Matrix]:
    there = (at >= 0) & (at < TAPS)
    matrix = np.where(there, taps[np.where(there, at, 0)], np.float32(0))
    before, now = np.split(matrix.astype(np.float32), 2)
    return np.ascontiguousarray(before), np.ascontiguousarray(now)


_NARROWING, _WIDENING = _narrowing(), _widening()


class Narrowing:
    """48 kHz to 16 kHz: a frame of 20 ms in, 320 samples out. Remembers 2.5 ms."""

    def __init__(self) -> None:
        """As after silence."""
        self._blocks: Matrix = np.zeros((_ROWS + 1, _LONG), np.float32)

    def __call__(self, frame: bytes) -> Samples:
        """The next 20 ms."""
        blocks = self._blocks
        blocks[0] = blocks[-1]
        blocks[1:] = np.frombuffer(frame, "<i2").reshape(_ROWS, _LONG)
        before, now = _NARROWING
        out = blocks[:-1] @ before
        out += blocks[1:] @ now
        return out.reshape(-1)


class Widening:
    """16 kHz to 48 kHz: 320 samples in, a frame of 20 ms out. Remembers 2.5 ms."""

    def __init__(self) -> None:
        """As after silence."""
        self._blocks: Matrix = np.zeros((_ROWS + 1, _BLOCK), np.float32)

    def __call__(self, samples: Samples) -> bytes:
        """The next 20 ms; what does not fit into 16 bit is cut."""
        blocks = self._blocks
        blocks[0] = blocks[-1]
        blocks[1:] = samples.reshape(_ROWS, _BLOCK)
        before, now = _WIDENING
        out = blocks[:-1] @ before
        out += blocks[1:] @ now
        return whole(out)


def whole(samples: Samples) -> bytes:
    """Rounded to 16 bit, little endian; what does not fit is cut."""
    rounded = np.rint(samples)
    np.maximum(rounded, np.float32(-32768), out=rounded)
    np.minimum(rounded, np.float32(32767), out=rounded)
    return rounded.astype("<i2").tobytes()
