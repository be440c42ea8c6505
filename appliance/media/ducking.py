"""Half duplex, where there is no echo canceller: the microphone is quieter while the other side speaks.

How loud an echo can be is learned: the microphone's loudest beside the loudspeaker's, half a second at a
time. Who is clearly louder than that has the floor and is heard, whoever else speaks, so nobody has to wait
for the end of the other's sentence. It opens and closes by a ramp, and a pause between two words is no end.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from appliance.media.base import FRAME_MS, FRAME_SAMPLES, check_frame

Samples: TypeAlias = npt.NDArray[np.float32]

DUCKED_DB = -36.0
HANG_MS = 200
"""The far side still sounds in the room this long after its last word."""
OPENS_DB = 5.0
"""In 20 ms, so all the way in some 150 ms. It closes in one frame, also by a ramp: an echo's first syllable
is not to slip through."""

FAR_VOICE_DBFS = -52.0
OVER_NOISE_DB = 9.0
"""A voice is this much above the far side's own noise."""
NOISE_RISES_DB = 0.02
"""In 20 ms: what has gone on for half a minute is noise."""
NOISIEST_DBFS = -42.0
"""What is louder than this and OVER_NOISE_DB is never taken for noise."""

NEAR_VOICE_DBFS = -50.0
LOUDER_DB = 9.0
"""So much above the loudest echo that is to be expected, who is here has the floor."""
TAKES_FRAMES = 2
"""For so long: what is short is a knock."""
HOLDS_FRAMES = 15
"""And keeps it for 300 ms after the last loud syllable."""
UNKNOWN_DB = 6.0
"""The microphone hears the loudspeaker so much louder than it was told to be, until it is known better."""
LEARNS_FRAMES = 25
LEARNS_DOWN = 0.5
"""Of the difference, in half a second: to what is least, since somebody here may be speaking too."""
LEARNS_UP_DB = 0.5
"""In half a second: who is here does not spoil it, and a knob that was turned up is found out in time."""
NOTHING_DBFS = -96.0


class Ducking:
    """An EchoCanceller of two levels; at 48 kHz and without delay."""

    def __init__(self) -> None:
        """The microphone is open."""
        self._lock = threading.Lock()
        self._fresh: list[float] = []
        """Levels of what was written since the last near frame."""
        self._levels: deque[float] = deque([NOTHING_DBFS], maxlen=1)
        """Those of the frames whose sound may be in the room now, the latest last."""
        self._noise_dbfs = FAR_VOICE_DBFS
        self._hang = 0
        self._coupling_db = UNKNOWN_DB
        self._peaks: list[tuple[float, float]] = []
        """Far and near, of the half second that is being learned from."""
        self._loud = 0
        self._floor = 0
        self._gain_db = 0.0
        self._closed = False

    def far(self, frame: bytes, /) -> None:
        """20 ms that are being written to the loudspeaker now."""
        check_frame(frame)
        level = _level_dbfs(_samples(frame))
        with self._lock:
            if len(self._fresh) < HANG_MS // FRAME_MS:
                self._fresh.append(level)

    def near(self, frame: bytes, delay_ms: int, /) -> bytes:
        """20 ms of the microphone, quieter while the other side is heard here and nobody here speaks up."""
        check_frame(frame)
        if self._closed:
            return frame
        with self._lock:
            fresh, self._fresh = self._fresh, []
        samples = _samples(frame)
        wanted_db = self._judge(fresh, _level_dbfs(samples), delay_ms)
        begin_db = self._gain_db
        self._gain_db = min(wanted_db, begin_db + OPENS_DB)
        if begin_db == self._gain_db == 0:
            return frame
        ramp = np.linspace(begin_db / 20, self._gain_db / 20, FRAME_SAMPLES, dtype=np.float32)
        return bytes(np.rint(samples * 10**ramp).astype("<i2").tobytes())

    def close(self) -> None:
        """Let the microphone be."""
        self._closed = True

    def _judge(self, fresh: list[float], near_dbfs: float, delay_ms: int) -> float:
        """The gain that is wanted, in dB."""
        self._hear(fresh or [NOTHING_DBFS], delay_ms)
        self._floor = max(0, self._floor - 1)
        if self._hang == 0:
            self._loud = 0
            self._peaks.clear()
            return 0.0
        far_dbfs = max(self._levels)
        echo_dbfs = far_dbfs + self._coupling_db
        louder = near_dbfs > max(NEAR_VOICE_DBFS, echo_dbfs + LOUDER_DB)
        self._loud = self._loud + 1 if louder else 0
        if self._loud >= TAKES_FRAMES:
            self._floor = HOLDS_FRAMES
        self._learn(far_dbfs, near_dbfs)
        return 0.0 if self._floor else DUCKED_DB

    def _hear(self, fresh: list[float], delay_ms: int) -> None:
        """Take in the levels of the far side."""
        reach = (max(0, delay_ms) + HANG_MS) // FRAME_MS
        if self._levels.maxlen != reach:
            self._levels = deque(self._levels, maxlen=reach)
        self._levels.extend(fresh)
        self._hang = max(0, self._hang - 1)
        for level in fresh:
            noise = max(NOTHING_DBFS, min(level, self._noise_dbfs + NOISE_RISES_DB, NOISIEST_DBFS))
            self._noise_dbfs = noise
            if level > max(FAR_VOICE_DBFS, noise + OVER_NOISE_DB):
                self._hang = reach

    def _learn(self, far_dbfs: float, near_dbfs: float) -> None:
        """How much of the loudspeaker is in the microphone."""
        if self._floor:
            self._peaks.clear()
            return
        self._peaks.append((far_dbfs, near_dbfs))
        if len(self._peaks) < LEARNS_FRAMES + len(self._levels):
            return
        far, near = zip(*self._peaks, strict=True)
        self._peaks.clear()
        found_db = max(near) - max(far)
        if found_db < self._coupling_db:
            self._coupling_db += LEARNS_DOWN * (found_db - self._coupling_db)
        else:
            self._coupling_db = min(UNKNOWN_DB, self._coupling_db + LEARNS_UP_DB)


def _samples(frame: bytes) -> Samples:
    return np.frombuffer(frame, "<i2").astype(np.float32)


def _level_dbfs(samples: Samples) -> float:
    """0 for a full-scale sine."""
    power = float(samples @ samples) / FRAME_SAMPLES
    return NOTHING_DBFS if power < 1 else 10 * math.log10(2 * power / 32768**2)
