"""A sound card of software, with a clock of its own: it runs dry, overflows, hangs and is pulled out."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable

import numpy as np

from appliance.media.base import SAMPLE_RATE_HZ
from appliance.media.pcm import (
    CAPTURE_PERIODS,
    PERIOD_SAMPLES,
    PLAYBACK_PERIODS,
    Direction,
)

QUIET = np.zeros(0, np.int16)


def because(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def tone(hz: float, dbfs: float = -20) -> Callable[[int, int], bytes]:
    """What a microphone hears of a sine: the samples from a number on, so many."""
    amplitude = 32767 * 10 ** (dbfs / 20)

    def heard(begin: int, count: int) -> bytes:
        turns = 2 * np.pi * hz * (begin + np.arange(count)) / SAMPLE_RATE_HZ
        return bytes((amplitude * np.sin(turns)).astype("<i2").tobytes())

    return heard


TONE = tone(440)


class SoftCard:
    """`opens` is what a driver is given instead of `open_pcm`."""

    def __init__(self, *, fast: float = 1.0, says: Callable[[int, int], bytes] = TONE) -> None:
        """`fast` is its clock's speed, `says` what its microphone hears."""
        self.fast, self.says = fast, says
        self.refuses: OSError | None = None
        """Why it cannot be opened."""
        self.broken: OSError | None = None
        """Why it stops."""
        self.goes_on = threading.Event()
        """While it is not set, whoever asks something of it waits for ever."""
        self.goes_on.set()
        self.frozen = False
        """Whether its clock stands still."""
        self.played = bytearray()
        """What was heard of it, silence where it had run dry included."""
        self.opened = 0
        self.open: set[SoftPcm] = set()

    def opens(self, direction: Direction, device: str) -> SoftPcm:
        self.goes_on.wait()
        if self.refuses is not None:
            raise self.refuses
        if any(pcm.direction is direction for pcm in self.open):
            raise because(errno.EBUSY)
        self.opened += 1
        pcm = SoftPcm(self, direction)
        self.open.add(pcm)
        return pcm

    def samples(self) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        return np.frombuffer(bytes(self.played), "<i2")

    def unplug(self) -> None:
        self.refuses, self.broken = because(errno.ENOENT), because(errno.ENODEV)

    def plug_in(self) -> None:
        self.refuses = self.broken = None


class SoftPcm:
    """One end of it, open."""

    def __init__(self, card: SoftCard, direction: Direction) -> None:
        self.card, self.direction = card, direction
        periods = PLAYBACK_PERIODS if direction is Direction.PLAYBACK else CAPTURE_PERIODS
        self._room = periods * PERIOD_SAMPLES
        self._filled = 0
        self._number = 0
        self._at_s: float | None = None
        self.must_run_dry = False
        """Once,"""
        self.dry = False
        """or each time."""

    def _go(self) -> None:
        """Let the card's clock go on to now."""
        self.card.goes_on.wait()
        if self.card.broken is not None:
            raise self.card.broken
        now_s = time.monotonic()
        if self._at_s is None:
            self._at_s = now_s
        passed = (
            0 if self.card.frozen else int((now_s - self._at_s) * SAMPLE_RATE_HZ * self.card.fast)
        )
        self._at_s += passed / SAMPLE_RATE_HZ / self.card.fast
        self._filled += -passed if self.direction is Direction.PLAYBACK else passed

    def wait(self, limit_s: float) -> None:
        self._go()
        time.sleep(min(limit_s, 0.004))

    def write(self, samples: bytes) -> int | None:
        if self.dry:
            return None
        if self._at_s is not None:
            self._go()
        if self._at_s is not None and (self._filled < 0 or self.must_run_dry):
            self.must_run_dry, self._at_s, self._filled = False, None, 0
            return None
        self._go()
        taken = min(len(samples) // 2, self._room - self._filled)
        self._filled += taken
        self.card.played += samples[: 2 * taken]
        return 2 * taken

    def read(self) -> bytes | None:
        self._go()
        if self._filled > self._room or self.must_run_dry:
            self.must_run_dry, self._at_s, self._filled = False, None, 0
            return None
        if self._filled < PERIOD_SAMPLES:
            return b""
        self._filled -= PERIOD_SAMPLES
        self._number += PERIOD_SAMPLES
        return self.card.says(self._number - PERIOD_SAMPLES, PERIOD_SAMPLES)

    def latency_s(self) -> float:
        return max(0, self._filled) / SAMPLE_RATE_HZ

    def close(self) -> None:
        self.card.open.discard(self)
