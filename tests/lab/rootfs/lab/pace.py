"""Slows down a clock that jumps: while this runs, 10 ms pass where nothing else is done for a while.

A machine whose time jumps (time-travel=inf-cpu) takes waiting for its disk for having nothing to do, and
jumps to what comes next: systemd's limits, all within the first second. This program has always something
to do, though less urgent than everything else. Stopped (SIGSTOP), it lets the clock jump.
"""

from __future__ import annotations

import os
import sys
import time

TURNS = 100
STEP_S = 0.01


def main() -> None:
    """For as long as the machine lives; whoever starts it goes on when its turns have begun."""
    if os.fork():
        sys.exit()
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        for _ in range(TURNS):
            os.sched_yield()
        time.sleep(STEP_S)


if __name__ == "__main__":
    main()
