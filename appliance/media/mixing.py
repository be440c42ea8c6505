"""Several voices, each at its own pace, as one steady track: by the times at which they were heard."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from appliance.media.base import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

SLACK_S = 0.25
"""A voice goes on without a seam for as long as it is no more than this early or late."""
SETTLE_S = 0.3
"""What is older is complete: no voice is still to come. More than the slack."""

_SLACK = round(SLACK_S * SAMPLE_RATE_HZ)


class Mix:
    """A time line of samples that begins at `start_s`, in seconds of the monotonic clock.

    A voice's frames follow one another however unevenly they come. Where it falls back too far there is
    silence; where it is too far ahead a frame is left out, which also makes up for clocks that differ.
    """

    def __init__(self, start_s: float) -> None:
        """Silent so far."""
        self.frames = 0
        """How many frames of 20 ms have been taken."""
        self._start_s = start_s
        self._next: dict[str, int] = {}
        self._line = np.zeros(SAMPLE_RATE_HZ, np.int32)

    def put(self, voice: str, frame: bytes, at_s: float) -> None:
        """20 ms of `voice` that ended at the time `at_s`."""
        due = round((at_s - self._start_s) * SAMPLE_RATE_HZ) - FRAME_SAMPLES
        begin = self._next.get(voice, due)
        if begin - due > _SLACK:
            return
        if due - begin > _SLACK:
            begin = due
        self._next[voice] = begin + FRAME_SAMPLES
        self._add(begin - self.frames * FRAME_SAMPLES, np.frombuffer(frame, "<i2"))

    def take(self, until_s: float) -> Iterator[bytes]:
        """The frames that end before that time and have not been taken yet."""
        due = int((until_s - self._start_s) / FRAME_S)
        while self.frames < due:
            frame = np.clip(self._line[:FRAME_SAMPLES], -32768, 32767).astype("<i2").tobytes()
            self._line[:-FRAME_SAMPLES] = self._line[FRAME_SAMPLES:]
            self._line[-FRAME_SAMPLES:] = 0
            self.frames += 1
            yield frame

    def _add(self, offset: int, samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> None:
        if offset < 0:  # it was long on its way
            samples, offset = samples[-offset:], 0
        missing = offset + len(samples) - len(self._line)
        if missing > 0:
            longer = np.zeros(len(self._line) + missing + SAMPLE_RATE_HZ, np.int32)
            longer[: len(self._line)] = self._line
            self._line = longer
        self._line[offset : offset + len(samples)] += samples
