"""The time of this process: it passes as it does, and leaps ahead where a test says so.

What is real stays real (the network, threads, media); only the time in which nothing happens is left out.
A leap is what a suspended machine sees: everything that was due meanwhile is due at once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from unittest.mock import patch

REST_S = 0.0005
"""Of real time at each step, for threads and the network."""
_monotonic, _time = time.monotonic, time.time


class Clock:
    """What `time.monotonic`, `time.time` and `datetime.now` tell the appliance and its loop."""

    def __init__(self, begins: dt.datetime) -> None:
        self._ahead_s = 0.0
        self._wall_s = begins.timestamp() - _time()

    def monotonic(self) -> float:
        """In seconds; never steps back."""
        return _monotonic() + self._ahead_s

    def time(self) -> float:
        """Unix time, as far as it is known."""
        return _time() + self._ahead_s + self._wall_s

    def now(self, zone: dt.tzinfo | None = None) -> dt.datetime:
        """The time of day."""
        return dt.datetime.fromtimestamp(self.time(), zone)

    async def passes(
        self, seconds: float, step_s: float, stays: Callable[[], bool] = lambda: False
    ) -> None:
        """So much time in which nothing comes from outside, by steps in which what is due is done.

        While it `stays` it passes as it does.
        """
        loop = asyncio.get_running_loop()
        slow_s, loop.slow_callback_duration = loop.slow_callback_duration, float("inf")
        end_s = self._ahead_s + seconds
        while self._ahead_s < end_s:
            while stays():  # noqa: ASYNC110 - a process outside tells nobody
                await asyncio.sleep(10 * REST_S)
            self._ahead_s += min(step_s, end_s - self._ahead_s)
            await asyncio.sleep(0)
            await asyncio.sleep(REST_S)
        loop.slow_callback_duration = slow_s

    @contextmanager
    def wrong_by(self, seconds: float) -> Iterator[None]:
        """The time of day was set to another, and is set right again at the end."""
        self._wall_s += seconds
        yield
        self._wall_s -= seconds


def _modules() -> list[ModuleType]:
    """Those of the appliance that ask for the time of day; others name the type alone."""
    ours = [module for name, module in sys.modules.items() if name.startswith("appliance")]
    named = [module for module in ours if vars(module).get("datetime") is dt.datetime]
    return [module for module in named if "datetime.now(" in inspect.getsource(module)]


@contextmanager
def leaping(begins: dt.datetime, zone: str) -> Iterator[Clock]:
    """A clock that shows `begins` (with its zone), on a machine in that time zone."""
    clock = Clock(begins)

    class Kind(type):
        def __instancecheck__(cls, one: object) -> bool:
            return isinstance(one, dt.datetime)

    class Leapt(dt.datetime, metaclass=Kind):
        def __new__(cls, *words: Any, **named: Any) -> Any:
            return dt.datetime(*words, **named)  # noqa: DTZ001 - who calls it says which

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return clock.now(tz)

    with ExitStack() as stack:
        stack.callback(time.tzset)
        stack.enter_context(patch.dict(os.environ, TZ=zone))
        time.tzset()
        stack.enter_context(patch.object(time, "monotonic", clock.monotonic))
        stack.enter_context(patch.object(time, "time", clock.time))
        for module in _modules():
            stack.enter_context(patch.object(module, "datetime", Leapt))
        yield clock
