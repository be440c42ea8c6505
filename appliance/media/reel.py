"""Pictures on a time line without a hole: each lasts until the next, and where none comes it is black."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import av
import numpy as np

from appliance.media.base import AccessUnit, PictureFormat
from appliance.media.encoding import H264Encoder

GAP_S = 0.4
"""A picture that lasts for so long (or 2.5 times what it should) is followed by black: the camera is
paused, kept back or broken. It is repeated as often, since a file that is being written has to know how
long a picture lasts before it is on the disk."""
NEXT_US = 1000
BLACK_KBPS = 100


class Shot(NamedTuple):
    """A picture in its place, in µs from the beginning."""

    unit: AccessUnit
    at_us: int
    duration_us: int


class Reel:
    """Takes pictures as they come, in order, and gives each as soon as its duration is known.

    After black a keyframe goes on, and nothing else: what is encoded as what has changed since the picture
    before would be drawn into the black.
    """

    def __init__(
        self, framerate: int, black: AccessUnit, broken: Callable[[], None] = lambda: None
    ) -> None:
        """`black` is a keyframe; `broken` is called where it begins and no other keyframe has come yet."""
        self._gap_us = round(max(GAP_S, 2.5 / framerate) * 1e6)
        self._black, self._broken = black, broken
        self._coming: deque[tuple[AccessUnit, int]] = deque()
        self._held: tuple[AccessUnit, int] | None = None

    def put(self, unit: AccessUnit, at_us: int) -> None:
        """A picture that was taken `at_us` after the beginning."""
        self._coming.append((unit, at_us))

    def take(self, until_us: int) -> Iterator[Shot]:
        """What is known for sure, given that all pictures of before `until_us` have come."""
        while True:
            if self._coming and self._coming[0][1] <= until_us:
                yield from self._next(*self._coming.popleft())
            elif self._held is None:
                if until_us < self._gap_us:
                    return
                self._held = self._black, 0
            elif until_us - self._held[1] >= self._gap_us:
                unit, at_us = self._held
                yield Shot(unit, at_us, self._gap_us)
                self._held = self._black, at_us + self._gap_us
                if unit is not self._black and not any(one.keyframe for one, _ in self._coming):
                    self._broken()
            else:
                return

    def finish(self, end_us: int) -> Iterator[Shot]:
        """All the rest; the last one lasts until `end_us`."""
        yield from self.take(end_us)
        if self._held is not None:
            unit, at_us = self._held
            self._held = None
            yield Shot(unit, at_us, max(NEXT_US, end_us - at_us))

    def _next(self, unit: AccessUnit, at_us: int) -> Iterator[Shot]:
        if self._held is None:
            # the very first one stands from the beginning on, unless it is late
            self._held = (unit, 0) if at_us < self._gap_us else (self._black, 0)
            if self._held[0] is unit:
                return
        before, since_us = self._held
        if before is self._black and not unit.keyframe:
            return
        at_us = max(at_us, since_us + NEXT_US)
        self._held = unit, at_us
        yield Shot(before, since_us, at_us - since_us)


def black(looks: PictureFormat) -> AccessUnit:
    """A black keyframe of that size."""
    planes = np.full((looks.height * 3 // 2, looks.width), 128, np.uint8)
    planes[: looks.height] = 16
    encoder = H264Encoder(looks.width, looks.height, looks.framerate, BLACK_KBPS)
    return encoder.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p"), 0)
