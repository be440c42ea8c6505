"""The time by which aiortc and aioice reckon: it goes on steadily when the clock of this device is set.

They measure by the time of day. When that is set, by NTP after a start without a battery most of all, what
receives video goes through the difference millisecond by millisecond, hours for a year; a jitter of more
than 32 bits ends the task that reports reception, whose end the closing of its connection then waits for
without end; a round trip takes a year; a relay's channel is not renewed. Nobody outside needs their time to
be that of the day: it is compared with itself (RFC 3550, section 4, leaves it open which clock it is).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

from aioice import turn
from aiortc import clock, rtcrtpreceiver, rtcrtpsender, rtcsctptransport

NOW = "current_datetime"
"""What all of `aiortc.clock` is made of."""
MODULES: tuple[ModuleType, ...] = (rtcrtpreceiver, rtcrtpsender, rtcsctptransport, turn)
"""Those that ask `time.time` themselves."""

_BEGAN_S = time.time() - time.monotonic()


def seconds() -> float:
    """Seconds since 1970, as of this program's start and a clock that nobody sets."""
    return _BEGAN_S + time.monotonic()


def moment() -> datetime:
    """The same as a date."""
    return _EPOCH + timedelta(seconds=seconds())


def go_steadily() -> None:
    """Let both go by that from now on: for every connection of this program from the first call on."""
    setattr(clock, NOW, moment)
    for module in MODULES:
        setattr(module, "time", _STEADY)  # noqa: B010 - for the type checker it is a module


class _Steady:
    """The module `time`, with another `time`."""

    @staticmethod
    def time() -> float:
        return seconds()

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEADY = _Steady()
