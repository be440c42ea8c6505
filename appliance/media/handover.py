"""The one place where a source's thread hands over to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


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
