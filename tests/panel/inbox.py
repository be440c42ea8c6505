"""An inbox as the core's: it takes inputs from any thread, and a test waits for what is to come."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from appliance.calls.inputs import Input

PATIENCE_S = 20.0
"""Nothing that a test waits for takes nearly as long; so that a fault ends the test."""

It = TypeVar("It", bound=Input)


class Inbox:
    """Everything that was posted, in order."""

    def __init__(self) -> None:
        self.all: list[Input] = []
        self._changed = threading.Condition()
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._listener: Callable[[Input], None] | None = None

    def listen(self, listener: Callable[[Input], None]) -> None:
        """Have `listener` called within `post`, as the core might be."""
        self._listener = listener

    def post(self, it: Input) -> None:
        """What an edge is given: safe from any thread."""
        if self._listener is not None:
            self._listener(it)
        with self._changed:
            self.all.append(it)
            self._changed.notify_all()
        self._loop.call_soon_threadsafe(self._wake.set)

    def of(self, kind: type[It]) -> list[It]:
        """What was posted of one kind."""
        return [it for it in self.all if isinstance(it, kind)]

    async def until(self, wanted: Callable[[], bool]) -> None:
        """Wait, with the loop running, until `wanted` holds after something was posted."""
        async with asyncio.timeout(PATIENCE_S):
            while not wanted():
                self._wake.clear()
                await self._wake.wait()

    async def has(self, *expected: Input) -> None:
        """Wait until each of `expected` was posted."""
        await self.until(lambda: all(it in self.all for it in expected))

    def block_until(self, expected: Input) -> None:
        """Wait with the whole loop standing still, as bad code would make it."""
        with self._changed:
            assert self._changed.wait_for(lambda: expected in self.all, PATIENCE_S)
