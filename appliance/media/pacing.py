"""Steady rates by the monotonic clock: a thread as a camera or sound card has, and fewer of its ticks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

EARLY, EARLY_S = 1 / 8, 0.01
"""A picture may come before it is due: by this part of the time between two, and by so much."""
FOLLOWED = 1 / 32
"""So much of what it is early the next ones are due earlier: a sensor's clock is not ours, and where it is
a little faster no picture is to be left out for that."""


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
        stirred: Callable[[], None] = lambda: None,
    ) -> None:
        """Start the thread. `stirred` is called in it, between two ticks, after each `stir`."""
        self._stirred = stirred
        self._is_stirred = False
        self._interval_s = 1 / rate
        self._tick = tick
        self._failed = failed
        self._catch_up = catch_up
        self._ended = False
        self._called = threading.Event()
        """It is to end, or is stirred."""
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

    def stir(self) -> None:
        """There is something to do between two ticks."""
        self._is_stirred = True
        self._called.set()

    def stop(self) -> None:
        """End the thread, and wait for it."""
        self._ended = True
        self._called.set()
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
        while not self._ends(start_s + number * self._interval_s):
            if not self._awake.is_set():
                self._awake.wait()
                number = max(number, self._due(start_s))
                continue
            self._tick(number, start_s + number * self._interval_s)
            number = number + 1 if self._catch_up else max(number + 1, self._due(start_s))

    def _ends(self, until_s: float) -> bool:
        """Wait until then, or for the end, and do what there is to be done between."""
        while self._called.wait(until_s - time.monotonic()):
            self._called.clear()
            if self._ended:
                return True
            if self._is_stirred:
                self._is_stirred = False
                if self._awake.is_set():
                    self._stirred()
        return self._ended

    def _due(self, start_s: float) -> int:
        """The tick that is due, or was last."""
        return int((time.monotonic() - start_s) / self._interval_s)


class Cadence:
    """Which pictures of a camera to take so that there are at most so many a second, evenly spread."""

    def __init__(self) -> None:
        """Any, so far."""
        self._rate = self._due_s = 0.0

    def takes(self, at_s: float, rate: float, *, at_once: bool = False) -> bool:
        """Whether the picture of this time, in seconds, is one of `rate` a second.

        One that is wanted `at_once` is, and the next ones keep their distance from it.
        """
        interval_s = 1 / rate
        if rate != self._rate:
            self._rate, self._due_s = rate, at_s
        early_s = self._due_s - at_s
        is_due = early_s <= min(EARLY * interval_s, EARLY_S)
        if not is_due and not at_once:
            return False
        if is_due and early_s > -interval_s:
            self._due_s += interval_s - FOLLOWED * max(0.0, early_s)
        else:
            self._due_s = at_s + interval_s
        return True
