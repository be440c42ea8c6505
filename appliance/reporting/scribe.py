"""Who writes the call log's file: one thread hands lines to the kernel, another has the disk take them.

The first waits for nothing but the kernel, and even that may take as long as the disk does: what is
appended while the disk takes what was there before may have to wait for it. So the loop waits for the first
for a moment only, and never for the second, which begins as soon as the first is done, whatever the loop
and all other threads are doing: until then a power cut takes the line.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Self

from appliance.reporting.ledger import Ledger

HANDOVER_S = 0.1
"""How long the loop waits for the kernel; it takes a tenth of a millisecond where the disk is idle."""

Tell = Callable[[int, OSError | None], None]
"""Called on the loop: everything up to that number is with the disk, or it has refused it."""


class Scribe:
    """Writes in the order in which it is asked; `async with`, whose end waits for the disk."""

    def __init__(self, ledger: Ledger, tell: Tell, handover_s: float = HANDOVER_S) -> None:
        """The numbers that `tell` is given are those of whoever asks; they only rise."""
        self._ledger = ledger
        self._tell = tell
        self._handover_s = handover_s
        self._handed = 0
        self._sync_is_due = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._writing = ThreadPoolExecutor(1, "call log")
        self._syncing = ThreadPoolExecutor(1, "call log's disk")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.finish()
        self._writing.shutdown()
        self._syncing.shutdown()

    async def finish(self) -> None:
        """Return once the disk has, or has refused, all that was asked for."""
        for thread in (self._writing, self._syncing):  # the first leads to what the second does
            await self._loop.run_in_executor(thread, int)

    def hand_over(self, line: bytes, number: int) -> None:
        """Append it at once; returns when the kernel has it, or after a moment. Raises OSError."""
        handing = self._writing.submit(self._append, (line,), number)
        try:
            handing.result(self._handover_s)
        except concurrent.futures.TimeoutError:
            handing.add_done_callback(partial(self._came_late, number))

    async def append(self, lines: Collection[bytes], number: int) -> None:
        """Return when the kernel has them. Raises OSError."""
        await self._loop.run_in_executor(self._writing, self._append, lines, number)

    async def rewrite(self, everything: Collection[bytes], number: int) -> None:
        """Return when the disk has a file of these lines alone. Raises OSError."""
        await self._loop.run_in_executor(self._writing, self._ledger.rewrite, everything)
        self._tell(number, None)

    # -------------------- in the threads

    def _append(self, lines: Collection[bytes], number: int) -> None:
        self._ledger.append(lines)
        self._handed = max(self._handed, number)
        if not self._sync_is_due:  # else the one that is due has this too
            self._sync_is_due = True
            self._syncing.submit(self._sync)

    def _sync(self) -> None:
        self._sync_is_due = False  # from here on what is appended wants another
        number, error = self._handed, None
        try:
            self._ledger.sync()
        except OSError as fault:
            error = fault
        self._loop.call_soon_threadsafe(self._tell, number, error)

    def _came_late(self, number: int, handing: Future[None]) -> None:
        error = handing.exception()
        if isinstance(error, OSError):
            self._loop.call_soon_threadsafe(self._tell, number, error)
