"""What calls needed of the memory goes back to the system once they are over (malloc_trim(3), mallopt(3)).

The C library keeps what was freed, in pieces that fit the next call ever less well: 8 KiB a call. And it
has one such heap for almost every thread, of which a call has a dozen: 50 MiB more, of holes.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

AFTER_S = 1.0
"""What of a call is still being closed goes along; who rings again meanwhile waits for nothing."""

M_ARENA_MAX, HEAPS = -8, 2
"""glibc's malloc.h; one for the loop, and one for all others, which seldom want it at the same time."""


def few() -> bool:
    """Have all threads share few heaps, from now on; whether this C library knows of that."""
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    return option is not None and bool(option(M_ARENA_MAX, HEAPS))


def trimmer() -> Callable[[], object] | None:
    """What gives it back, in some milliseconds and without Python's lock; None: this libc has none."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return None
    trim.argtypes = [ctypes.c_size_t]
    return lambda: trim(0)


class Heap:
    """Gives back when the last of all calls is over."""

    def __init__(self) -> None:
        """No call has been seen yet."""
        self._in_use = False
        self._over = asyncio.Event()

    def observe(self, in_use: bool) -> None:
        """Whether there is a call now."""
        if self._in_use and not in_use:
            self._over.set()
        self._in_use = in_use

    async def watch(self, trim: Callable[[], object], after_s: float = AFTER_S) -> None:
        """Until cancelled."""
        while True:
            await self._over.wait()
            await asyncio.sleep(after_s)
            self._over.clear()
            if not self._in_use:
                await asyncio.to_thread(trim)
