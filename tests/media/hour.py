"""A sender and a sound card, each with a clock of its own, and a voice between them: an hour in seconds."""

from __future__ import annotations

import numpy as np

from appliance.media.voices import Voice

PERIOD, FRAME = 480, 960
RATE = 48_000


def sine(
    hz: float, dbfs: float, begin: int, count: int
) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    turns = 2 * np.pi * hz * (begin + np.arange(count)) / RATE
    return (32767 * 10 ** (dbfs / 20) * np.sin(turns)).astype("<i2")


SECOND = sine(440, -20, 0, RATE).astype(np.float32).reshape(50, FRAME)


class Hour:
    """A sender by this machine's clock and a card by its own, as fast as the machine can compute it."""

    def __init__(self, ppm: float, jitter_ms: float = 0.0, seed: int = 1) -> None:
        self.voice = Voice()
        self.in_hand: list[int] = []
        self.heard: list[np.ndarray[tuple[int], np.dtype[np.float32]]] = []
        self._period_s = PERIOD / RATE / (1 + ppm / 1e6)
        self._late = np.random.default_rng(seed).uniform(0, jitter_ms / 1000, 200_000)

    def run(self, seconds: float, keep_s: float = 0.0) -> None:
        take_s = 0.0
        for number in range(int(seconds * 50)):
            put_s = number * 0.02 + float(self._late[number % len(self._late)])
            while take_s < put_s:
                self._take(take_s, kept=take_s > seconds - keep_s)
                take_s += self._period_s
            self.voice.put(SECOND[number % 50], put_s)

    def _take(self, take_s: float, kept: bool) -> None:
        taken = self.voice.take(PERIOD, take_s)
        self.in_hand.append(len(self.voice))
        if kept and taken is not None:
            self.heard.append(taken)
