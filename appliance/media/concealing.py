"""What is played where a packet is missing and the decoder has no answer: the last period once more."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MIN_PERIOD = 120
"""2.5 ms, a voice of 400 Hz;"""
MAX_PERIOD = 720
"""15 ms, one of 67 Hz. In samples at 48 kHz."""
TEMPLATE = 480
"""So much must be like what was a period before."""
DECAY_SAMPLES = 2880
"""After 60 ms a third of it is left: what goes on unchanged sounds like a machine."""


class Concealment:
    """Keeps the last of what was heard, and goes on with it. Samples are int16, 48 kHz, mono."""

    def __init__(self) -> None:
        """Nothing has been heard: that is what is repeated."""
        self._past: npt.NDArray[np.int16] = np.zeros(TEMPLATE + MAX_PERIOD, np.int16)
        self._period: npt.NDArray[np.float32] | None = None
        self._concealed = 0

    def heard(self, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """Take note of real sound, and return it, begun where the concealment has ended."""
        if self._period is not None:
            samples = joined(int(self._past[-1]), samples)
            self._period, self._concealed = None, 0
        self._keep(samples)
        return samples

    def conceal(self, count: int) -> npt.NDArray[np.int16]:
        """`count` samples that continue the last ones, fading."""
        if self._period is None:
            self._period = self._last_period()
        places = self._concealed + np.arange(count)
        wave = self._period[places % len(self._period)] * np.exp(-places / DECAY_SAMPLES)
        self._concealed += count
        samples = joined(int(self._past[-1]), wave.astype(np.int16))
        self._keep(samples)
        return samples

    def _keep(self, samples: npt.NDArray[np.int16]) -> None:
        self._past = np.concatenate([self._past, samples])[-(TEMPLATE + MAX_PERIOD) :]

    def _last_period(self) -> npt.NDArray[np.float32]:
        past = self._past.astype(np.float32)
        return past[-best_lag(past[-TEMPLATE:], past[:-MIN_PERIOD], MIN_PERIOD) :]


def best_lag(template: npt.NDArray[np.float32], past: npt.NDArray[np.float32], nearest: int) -> int:
    """How far back in `past` there is what `template` is most like.

    `past` ends `nearest` samples before `template` does, and is no shorter.
    """
    scores = np.correlate(past, template, "valid")
    energy = np.convolve(past * past, np.ones(len(template), np.float32), "valid")
    return nearest + len(scores) - 1 - int(np.argmax(scores / np.sqrt(energy + 1)))


def joined(last: int, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """`samples` after a sample of the value `last`, without a step between them: over 2.5 ms."""
    width = min(MIN_PERIOD, len(samples))
    if width == 0 or samples[0] == last:
        return samples
    bridged = samples.astype(np.float32)
    bridged[:width] += (last - bridged[0]) * np.linspace(1, 0, width, dtype=np.float32)
    return np.clip(bridged, -32768, 32767).astype(np.int16)
