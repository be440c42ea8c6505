"""A little more or less sound made to last 20 ms, so that it is not heard that two clocks differ.

By up to 0.42 % it is stretched, which moves a voice by a fourteenth of a semitone. More is cut out or put
in where the wave is most like itself, best where it is quiet: 2.5 to 10 ms at a time.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from appliance.media.base import FRAME_SAMPLES, SAMPLE_RATE_HZ
from appliance.media.opus import Samples

STRETCH_STEP_S = 0.004
"""For so much too much (or too little) one sample in 960 is left out (or put in),"""
MAX_STRETCH = 4
"""but never more than these: 0.42 %."""
SPLICE_FROM_S = 0.008
"""From here on, in quiet moments, a piece is cut out or put in,"""
HURRY_FROM_S = 0.04
"""and from here on whatever sounds."""
QUIET_RMS = 100.0
"""50 dB below full scale."""
SHORTEST, LONGEST = 120, 480
"""Of a piece."""
_NEEDED = FRAME_SAMPLES + LONGEST
"""So many samples ahead a piece to be cut out is looked for in."""

_CUT = 480
"""Where a splice begins,"""
_BLEND = 240
"""and how long it takes."""
_END = _CUT + _BLEND

Floats: TypeAlias = npt.NDArray[np.float32]

_NUMBERS = np.arange(FRAME_SAMPLES + MAX_STRETCH + 1, dtype=np.float64)
_PLACES = {
    count: np.arange(FRAME_SAMPLES) * (count / FRAME_SAMPLES)
    for count in range(FRAME_SAMPLES - MAX_STRETCH, FRAME_SAMPLES + MAX_STRETCH + 1)
}
"""Where each sample of a frame is taken from, for each number of samples that goes into it."""


def needed(excess_s: float) -> int:
    """How many samples ahead `fitted` can make use of."""
    if excess_s < STRETCH_STEP_S:
        return FRAME_SAMPLES
    return FRAME_SAMPLES + MAX_STRETCH + 1 if excess_s < SPLICE_FROM_S else _NEEDED


def fitted(ahead: Samples, excess_s: float) -> tuple[Samples, int]:
    """One frame of 960 samples, and how many of those `ahead` went into it.

    `excess_s`: how much too late the sound is played; below 0, too early. Of `ahead`, at least 960, as many
    are used as it takes and there are.
    """
    if abs(excess_s) >= SPLICE_FROM_S:
        wave = ahead[:_NEEDED].astype(np.float32)
        if lag := _lag(wave, excess_s):
            return _spliced(wave, lag), FRAME_SAMPLES + lag
    steps = math.trunc(excess_s / STRETCH_STEP_S)
    count = FRAME_SAMPLES + max(-MAX_STRETCH, min(steps, MAX_STRETCH))
    if count == FRAME_SAMPLES or count > len(ahead):
        return ahead[:FRAME_SAMPLES], FRAME_SAMPLES
    source = ahead[: count + 1]  # the one after tells where the last one is going
    return np.interp(_PLACES[count], _NUMBERS[: len(source)], source).astype(np.int16), count


def _lag(wave: Floats, excess_s: float) -> int:
    """How many samples to cut out, or below 0 to put in; 0 where it is not the moment."""
    if excess_s > 0 and len(wave) < _NEEDED:
        return 0
    if abs(excess_s) < HURRY_FROM_S and float(np.dot(wave, wave)) > QUIET_RMS**2 * len(wave):
        return 0
    most = min(LONGEST, int(abs(excess_s) * SAMPLE_RATE_HZ))
    if excess_s > 0:
        return SHORTEST + _most_alike(wave[_CUT + SHORTEST : _END + most], wave[_CUT:_END])
    return _most_alike(wave[_CUT - most : _END - SHORTEST], wave[_CUT:_END]) - most


def _most_alike(wave: Floats, template: Floats) -> int:
    """Where `wave` is most like `template`."""
    scores = np.correlate(wave, template, "valid")
    energy = np.convolve(wave * wave, np.ones(len(template), np.float32), "valid")
    return int(np.argmax(scores / np.sqrt(energy + 1)))


def _spliced(wave: Floats, lag: int) -> Samples:
    blend = np.linspace(0, 1, _BLEND, dtype=np.float32)
    parts = (
        wave[:_CUT],
        wave[_CUT:_END] * (1 - blend) + wave[_CUT + lag : _END + lag] * blend,
        wave[_END + lag : FRAME_SAMPLES + lag],
    )
    return np.concatenate(parts).astype(np.int16)
