"""That the whole device slept: the one clock goes on meanwhile, the other does not (clock_gettime(2))."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from appliance.calls.inputs import Input, Resumed

LOOK_S = 1.0
LEAST_S = 0.5
"""Two readings of two clocks are never of the same moment; so short a sleep harms nothing."""


class Sleep:
    """Compares the two clocks from one look to the next."""

    def __init__(self, boottime_s: float, monotonic_s: float) -> None:
        """What they say now."""
        self._ahead_s = boottime_s - monotonic_s

    def look(self, boottime_s: float, monotonic_s: float) -> float:
        """For how long the device has slept since the last look, in seconds; 0 where it has not."""
        ahead_s = boottime_s - monotonic_s
        slept_s, self._ahead_s = ahead_s - self._ahead_s, ahead_s
        return slept_s if slept_s >= LEAST_S else 0.0


def clocks() -> tuple[float, float]:
    """CLOCK_BOOTTIME and CLOCK_MONOTONIC, in seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME), time.clock_gettime(time.CLOCK_MONOTONIC)


async def watch(
    post: Callable[[Input], None],
    read: Callable[[], tuple[float, float]] = clocks,
    interval_s: float = LOOK_S,
) -> None:
    """Tell each time that the device has slept, until cancelled."""
    sleep = Sleep(*read())
    while True:
        await asyncio.sleep(interval_s)
        if slept_s := sleep.look(*read()):
            post(Resumed(slept_s))
