"""In which order processes were started, told by their numbers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PID_MAX = Path("/proc/sys/kernel/pid_max")


def in_order_of_start(started: Iterable[tuple[int, T]]) -> list[T]:
    """What belongs to each process, by its number, of processes that were started close together.

    Numbers rise in the order of the starts until the kernel has given out the last one, and begins anew.
    """
    numbered = list(started)
    half = int(PID_MAX.read_text()) // 2
    wrapped = (
        max((pid for pid, _ in numbered), default=0) - min((pid for pid, _ in numbered), default=0)
        > half
    )
    return [
        one
        for _, one in sorted(
            numbered,
            key=lambda entry: entry[0] + (2 * half if wrapped and entry[0] < half else 0),
        )
    ]
