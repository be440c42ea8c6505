"""What becomes of a picture for which there is little: fewer of them first, then smaller ones.

At a few hundred kbit/s a large picture is mud thirty times a second. What is enough for its size and rate
was configured by somebody who looked at it; so the rungs are parts of that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

SLOWEST_FPS = 5
NARROWEST = 160
"""In pixels: below it nobody is recognized."""
UP = 1.3
"""So much more than a rung needs there must be before it is taken: no going to and fro."""
UP_AFTER_S = 5.0
"""And for so long, since a change of size costs everybody a keyframe."""

# below which part of the configured bitrate, every how-manieth picture, at which part of the size
RUNGS = (
    (1.0, 1, 1),
    (0.5, 2, 1),
    (0.3, 3, 1),
    (0.2, 2, 2),
    (0.12, 3, 2),
    (0.07, 3, 4),
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How pictures are to be encoded: kbit/s, pictures a second, and the divisor of width and height."""

    kbps: int
    framerate: int
    divisor: int = 1


class Ladder:
    """For one source, as it was configured."""

    def __init__(self, width: int, framerate: int, ceiling_kbps: int) -> None:
        """In pixels, pictures a second and kbit/s; one begins at the top."""
        self.now = Encoding(ceiling_kbps, framerate)
        self._fastest, self._ceiling_kbps = framerate, ceiling_kbps
        self._rungs = [rung for rung in RUNGS if rung[2] == 1 or width // rung[2] >= NARROWEST]
        self._rung = 0
        self._enough_since_s: float | None = None

    def to_the_top(self) -> None:
        """Begin anew."""
        self._rung, self._enough_since_s = 0, None

    def step(self, kbps: int, now_s: float, *, keep_size: bool) -> Encoding:
        """Where to stand with `kbps`: down at once, up a rung at a time; `keep_size`: not by the size."""
        part = kbps / self._ceiling_kbps
        while self._rung + 1 < len(self._rungs) and part < self._rungs[self._rung + 1][0]:
            self._rung += 1
            self._enough_since_s = None
        self._climb(part, now_s)
        _, every, divisor = self._rungs[self._rung]
        slowest = min(SLOWEST_FPS, self._fastest)
        found = Encoding(kbps, max(slowest, self._fastest // every), divisor)
        self.now = replace(found, divisor=self.now.divisor) if keep_size else found
        return self.now

    def _climb(self, part: float, now_s: float) -> None:
        if self._rung == 0 or part < min(1.0, self._rungs[self._rung][0] * UP):
            self._enough_since_s = None
        elif self._enough_since_s is None:
            self._enough_since_s = now_s
        elif now_s - self._enough_since_s >= UP_AFTER_S:
            self._rung -= 1
            self._enough_since_s = None
