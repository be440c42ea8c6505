"""The one place where a source's thread hands over to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from appliance.media.base import AccessUnit
from appliance.media.governor import KEYFRAME_INTERVAL_S

T = TypeVar("T")

WAITING_LIMIT = 15
"""Pictures on their way: half a second at 30 a second, in which the loop did nothing else."""


class Handover(Generic[T]):
    """A door from one thread into the loop: `put` outside, `take` is called inside, in order.

    Once closed, nothing comes through, not even what was already under way.
    """

    def __init__(self, take: Callable[[T], None]) -> None:
        """To be made on the loop that `take` is to be called on."""
        self._loop = asyncio.get_running_loop()
        self._take = take
        self._open = True

    def put(self, item: T) -> None:
        """From any thread, and never waits."""
        if self._open:
            self._loop.call_soon_threadsafe(self._arrive, item)

    def close(self) -> None:
        """On the loop. The thread should have ended before the loop does."""
        self._open = False

    def _arrive(self, item: T) -> None:
        if self._open:
            self._take(item)


class PictureHandover(Handover[AccessUnit]):
    """A door with a queue of bounded length: what finds it full is dropped, up to the next keyframe.

    That is asked for as soon as there is room, at most once in 0.3 s of the pictures' own time.
    """

    def __init__(
        self, take: Callable[[AccessUnit], None], request_keyframe: Callable[[], None]
    ) -> None:
        """`request_keyframe` is called on the thread that puts."""
        super().__init__(self._count)
        self.dropped = 0
        self._take_on = take
        self._request_keyframe = request_keyframe
        self._put = self._taken = 0
        self._dropping = False
        self._asked_us: int | None = None
        """The time stamp of the picture with which a keyframe was last asked for."""

    def put(self, item: AccessUnit) -> None:
        """From the source's thread."""
        room = self._put - self._taken < WAITING_LIMIT
        if room and (item.keyframe or not self._dropping):
            self._dropping = False
            self._put += 1
            super().put(item)
            return
        self._dropping = True
        self.dropped += 1
        if room and self._may_ask(item.pts_us):
            self._asked_us = item.pts_us
            self._request_keyframe()

    def _may_ask(self, now_us: int) -> bool:
        if self._asked_us is None or now_us < self._asked_us:  # the source has begun anew
            return True
        return now_us - self._asked_us >= KEYFRAME_INTERVAL_S * 1e6

    def _count(self, unit: AccessUnit) -> None:
        self._taken += 1
        self._take_on(unit)
