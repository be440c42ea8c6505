"""Each machine has one of this computer's processors: its own, or where there are too few a share of one.

A kernel that is a program and the process that it runs take turns, thousands of times a second. On two
processors each turn wakes the other one, and all that a machine does takes two to three times as long.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

NAME = "appliance-lab-processor-{}"
"""Who has a socket of this abstract address (unix(7)) has that processor, until the socket is closed."""


class Processor:
    """Where a machine runs. Who goes by the clock takes the first that is free, others the last.

    Who `shares` has none to itself that another machine has not left: of the first, until that has come.
    """

    def __init__(self, *, first: bool = False, shares: bool = False) -> None:
        allowed = sorted(os.sched_getaffinity(0))
        self._numbers = allowed if first else allowed[::-1]
        self.number = self._numbers[0]
        self._awaited = {allowed[0]} if shares else set()
        self._claim = socket.socket(socket.AF_UNIX)
        self._own = not shares and self._found()

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        """What this thread starts meanwhile runs there, and all that it starts in turn."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {self.number})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)

    def move(self, session: int) -> None:
        """Where another machine has ended, take its processor, if there was none for this one alone."""
        if not self._own and self._found():
            self._own = True
            for _ in range(2):  # whoever was being started meanwhile, too
                for process in _of(session):
                    with contextlib.suppress(ProcessLookupError):
                        os.sched_setaffinity(process, {self.number})

    def leave(self) -> None:
        """It is free for another machine."""
        self._claim.close()

    def _found(self) -> bool:
        for number in self._numbers:
            if number in self._awaited:
                self._awaited -= {number} if _is_taken(number) else set()
                continue
            with contextlib.suppress(OSError):  # somebody has it
                self._claim.bind("\0" + NAME.format(number))
                self.number = number
                return True
        return False


def _is_taken(number: int) -> bool:
    return f"@{NAME.format(number)}\n" in Path("/proc/net/unix").read_text()


def _of(session: int) -> Iterator[int]:
    """All threads of a session's processes (setsid(2))."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # behind the name, which may have anything in it: state, parent, group, session
            if int(stat.read_text().rpartition(")")[2].split()[3]) == session:
                yield from (int(thread.name) for thread in (stat.parent / "task").iterdir())
