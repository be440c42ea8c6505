"""Sound and pictures cannot wait: tests with much of both go before other programs, where they may.

Linux shares the processor between sessions (sched(7), autogroups): beside a dozen others a browser gets a
twelfth, whatever its niceness. Only root may ask for more; without, a test has to do with what it gets.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GROUP = Path("/proc/self/autogroup")
URGENT = -10
FIRST = -12
"""Of the session of the test itself: all that browsers and door tell each other is told by its one loop."""


@contextmanager
def urgent() -> Iterator[None]:
    """Let this session go first for as long as the block lasts, and within it who asks: tests are many."""
    before, own = _niceness(), os.getpriority(os.PRIO_PROCESS, 0)
    _ask_for(str(FIRST))
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, URGENT)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, own)
        _ask_for(before)


def urgently(executable: Path, folder: Path) -> Path:
    """A program that is `executable`, and lets the session that it was given go first."""
    path = folder / f"urgent-{executable.name}"
    path.write_text(f'#!/bin/sh\n(echo {URGENT} > {GROUP}) 2> /dev/null\nexec {executable} "$@"\n')
    path.chmod(0o755)
    return path


def _niceness() -> str:
    """What this session has now: a kernel without autogroups has no such file, or an empty one."""
    try:
        return GROUP.read_text().split()[-1]
    except (OSError, IndexError):
        return "0"


def _ask_for(nice: str) -> None:
    with contextlib.suppress(OSError):
        GROUP.write_text(nice)
