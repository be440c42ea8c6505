"""Steady rates by the monotonic clock: a thread as a camera or sound card has, and fewer of its ticks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Paced:
    """Calls `tick(number, at_s)` in a thread of its own, `rate` times a second.

    `number` counts the ticks since the start, `at_s` is the monotonic time at which the tick was due. A
    tick that is more than one interval late is left out, as a camera drops pictures; with
    `catch_up` it is made at once instead, as a sound card loses nothing. A tick that raises is the last:
    `failed` gets what it raised.
    """

    def __init__(
        self,
        name: str,
        rate: float,
        tick: Callable[[int, float], None],
        failed: Callable[[Exception], None],
        *,
        catch_up: bool = False,
    ) -> None:
        """Start the thread."""
        self._interval_s = 1 / rate
        self._tick = tick
        self._failed = failed
        self._catch_up = catch_up
        self._ended = threading.Event()
        self._awake = threading.Event()
        self._awake.set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def rest(self, resting: bool, /) -> None:
        """Leave ticks out, without waking up for them; or go on."""
        if resting:
            self._awake.clear()
        else:
            self._awake.set()

    def stop(self) -> None:
        """End the thread, and wait for it."""
        self._ended.set()
        self._awake.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._run_until_ended()
        except Exception as fault:
            logger.exception("%s stopped", self._thread.name)
            self._failed(fault)

    def _run_until_ended(self) -> None:
        start_s = time.monotonic()
        number = 0
        while not self._ended.wait(start_s + number * self._interval_s - time.monotonic()):
            if not self._awake.is_set():
                self._awake.wait()
                number = max(number, self._due(start_s))
                continue
            self._tick(number, start_s + number * self._interval_s)
            number = number + 1 if self._catch_up else max(number + 1, self._due(start_s))

    def _due(self, start_s: float) -> int:
        """The tick that is due, or was last."""
        return int((time.monotonic() - start_s) / self._interval_s)


class Cadence:
    """Which pictures of a camera are sent where fewer are wanted than it takes, evenly spread."""

    def __init__(self, fastest: int) -> None:
        """`fastest`: as many a second as the camera takes; all of them, at first."""
        self._fastest = self.rate = fastest
        self._next_s = 0.0

    def set(self, rate: int) -> None:
        """So many a second from now on: one at least, and no more than the camera takes."""
        self.rate = max(1, min(rate, self._fastest))

    def takes(self, at_s: float, *, at_once: bool = False) -> bool:
        """Whether the picture of this time is sent. `at_once` it is, and the next keep their distance."""
        early_s = self._next_s - at_s
        is_due = early_s <= 0.6 / self._fastest  # the nearest one
        if self.rate < self._fastest and not is_due and not at_once:
            return False
        on_time = is_due and early_s > -1 / self.rate
        self._next_s = (self._next_s if on_time else at_s) + 1 / self.rate
        return True
