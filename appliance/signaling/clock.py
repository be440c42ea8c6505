"""The times by which messages are judged, and whether the wall clock is worth anything."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

SYNCED_FLAG = Path("/run/systemd/timesync/synchronized")
"""Touched by systemd-timesyncd when it has set the clock since boot (systemd-timesyncd.service(8))."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The machine's clocks; a test gives its own.

    Where another program than systemd-timesyncd sets the clock it counts as unknown: nothing is
    refused for its age then, and nothing rests on that.
    """

    synced_flag: Path = SYNCED_FLAG

    def monotonic_s(self) -> float:
        """Seconds that only ever rise."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    def synced(self) -> bool:
        """Whether the wall clock is known to be right."""
        return self.synced_flag.exists()
