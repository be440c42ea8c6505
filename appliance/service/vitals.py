"""How the machine is: heat and throttling since the start, memory and disk now; for status and doctor.

Sources: /proc/meminfo, /proc/pressure/memory (the kernel's documentation, accounting/psi), statvfs(3).
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from appliance.service import throttling
from appliance.service.pressure import Reading

HOUR_S = 3600.0
FRESH_S = 5.0
"""So old may be what is left of memory and disk: the status is looked at with each turn of the core."""
HOURS = 48
"""So many are remembered, each by its hottest moment."""


class Vitals:
    """Remembers what the watch of heat and supply has read; the rest is asked for when it is wanted."""

    def __init__(
        self,
        folder: Path,
        proc: Path = Path("/proc"),
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`folder` lies on the disk that is meant."""
        self._folder, self._proc, self._clock_s = folder, proc, clock_s
        self._now_c: float | None = None
        self._hottest_c: float | None = None
        self._hours: deque[tuple[int, float]] = deque(maxlen=HOURS)
        self._flags = self._ever = 0
        self._slow_s = 0.0
        self._slow_since_s: float | None = None
        self._left: Mapping[str, float | None] = {}
        self._left_s: float | None = None

    def note(self, reading: Reading, pressed: bool) -> None:
        """What was read just now, and whether it is too much."""
        now_s = self._clock_s()
        if self._slow_since_s is not None:
            self._slow_s += now_s - self._slow_since_s
        self._slow_since_s = now_s if pressed else None
        self._flags = reading.throttled or 0
        # the kernel's own word forgets within seconds what was (service/throttling.py)
        self._ever |= self._flags | self._flags >> throttling.SINCE_START
        if not reading.zones:
            return
        self._now_c = max(zone.temperature_c for zone in reading.zones)
        self._hottest_c = max(self._now_c, self._hottest_c or self._now_c)
        hour = int(now_s // HOUR_S)
        if self._hours and self._hours[-1][0] == hour:
            self._hours[-1] = (hour, max(self._now_c, self._hours[-1][1]))
        else:
            self._hours.append((hour, self._now_c))

    def status(self) -> Mapping[str, Any]:
        """As the `status` has it; null is what this machine does not tell."""
        now_s = self._clock_s()
        now = int(now_s // HOUR_S)
        if self._left_s is None or now_s - self._left_s >= FRESH_S:
            self._left_s, self._left = now_s, self._what_is_left()
        return {
            "temperature_c": self._now_c,
            "hottest_c": self._hottest_c,
            "hottest_by_hour_c": {str(hour - now): degrees for hour, degrees in self._hours},
            "throttled": throttling.words(self._flags) or None,
            "throttled_since_boot": throttling.words(self._ever) or None,
            "under_pressure_s": round(self._slow_s, 1),
            **self._left,
        }

    def _what_is_left(self) -> Mapping[str, float | None]:
        return {
            "memory_free_mb": memory_free_mb(self._proc),
            "memory_stalled_percent": memory_stalled_percent(self._proc),
            "disk_free_mb": self._disk_free_mb(),
        }

    def _disk_free_mb(self) -> float | None:
        try:
            free = os.statvfs(self._folder)
        except OSError:
            return None
        return round(free.f_bavail * free.f_frsize / 1e6, 1)


def memory_free_mb(proc: Path = Path("/proc")) -> float | None:
    """What programs could still have (`MemAvailable`)."""
    for line in _text(proc / "meminfo").splitlines():
        name, _, rest = line.partition(":")
        amount = rest.split()
        if name == "MemAvailable" and amount and amount[0].isdecimal():
            return round(int(amount[0]) * 1024 / 1e6, 1)
    return None


def memory_stalled_percent(proc: Path = Path("/proc")) -> float | None:
    """Of the last minute: how long everybody waited for memory (`full avg60`)."""
    for line in _text(proc / "pressure" / "memory").splitlines():
        kind, *fields = line.split()
        said = dict(field.partition("=")[::2] for field in fields)
        if kind == "full" and "avg60" in said:
            try:
                return float(said["avg60"])
            except ValueError:
                return None
    return None


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace")
    except OSError:  # a kernel without it, or one that does not count (EOPNOTSUPP)
        return ""
