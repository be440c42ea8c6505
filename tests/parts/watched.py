"""A list that a test can wait on: what has been reported, and until something is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar, overload

T = TypeVar("T")
S = TypeVar("S")

PATIENCE_S = 30.0
"""Far more than anything takes that a test waits for."""


class Watched(list[T], Generic[T]):
    """A list to report into (`post` is one argument), on the loop."""

    def __init__(self) -> None:
        super().__init__()
        self._grown = asyncio.Event()

    def post(self, item: T) -> None:
        """Append, and wake who waits."""
        self.append(item)
        self._grown.set()

    @overload
    async def until(self, wanted: type[S]) -> S: ...
    @overload
    async def until(self, wanted: Callable[[T], object]) -> T: ...
    async def until(self, wanted: object) -> object:
        """The first item of a type, or for which `wanted` holds; waits for it."""
        holds: Callable[[T], object] = (
            (lambda item: isinstance(item, wanted)) if isinstance(wanted, type) else wanted  # type: ignore[assignment]
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    for item in self:
                        if holds(item):
                            return item
                    self._grown.clear()
                    await self._grown.wait()
        except TimeoutError:
            raise AssertionError(f"it did not come; what came: {list(self)}") from None
