"""A loop whose clock jumps to the next timer: what takes seconds is played at once, to the microsecond."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Jumping(selectors.DefaultSelector):
    """Does not wait for a timer: the clock comes to it."""

    now_s = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout > 0:
            self.now_s += timeout
            timeout = 0
        return super().select(timeout)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s


def play(work: Coroutine[Any, Any, None]) -> None:
    """Run something to its end; nothing in it may wait for anything but time and this thread."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(work)
