"""`make soak`: thousands of calls in one process, and a day of everything. `CALLS=1000 HOURS=25 make soak`.

`make soak SOAK=calls` or `SOAK=day` for one of them.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.soak import day
from tests.soak.calls import WARM, many_calls

MOST_MIB = 30.0
"""How much memory may grow after the first calls."""


def main(names: list[str]) -> int:
    """Both, or the named ones; 0 where nothing is left of them."""
    programs = {"calls": of_calls, "day": of_a_day}
    if unknown := set(names) - programs.keys():
        print(f"there is no {', '.join(sorted(unknown))}; there is: {', '.join(programs)}")
        return 2
    return max(run() for name, run in programs.items() if not names or name in names)


def of_a_day() -> int:
    """Play it; 0 where all took its course, no error was left to nobody, and nothing is left."""
    hours, begin_s = float(os.environ.get("HOURS", "25")), time.monotonic()
    print(
        f"{hours:g} hours of everything at one door, four things in each, the time between leapt over"
    )
    with tempfile.TemporaryDirectory(prefix="day-") as folder:
        found = asyncio.run(day.play(Path(folder), hours, step_s=5, each_hour=4, say=_say))
    print(f"\nin {time.monotonic() - begin_s:.0f} s, at the end of which it is {found.ended}:")
    for name, number in sorted(found.done.items()):
        print(f"  {number:4} {name.replace('_', ' ')}")
    for fault in found.faults:
        print(f"  not to be: {fault}")
    print(
        "no error that nobody handled, and nothing left"
        if not found.faults
        else "faults: see above"
    )
    return int(bool(found.faults))


def of_calls() -> int:
    """Make the calls; 0 where nothing is left of them."""
    count, begin_s = int(os.environ.get("CALLS", "10000")), time.monotonic()
    print(f"{count} calls of every outcome, with sound and pictures where they are answered")
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        found = asyncio.run(many_calls(Path(folder), count, _say))
    more = ", ".join(f"{number} {thing}" for thing, number in found.more.items()) or "nothing"
    print(f"\nin {time.monotonic() - begin_s:.0f} s; more than after the first calls: {more}")
    print(f"calls that did not take their course: {', '.join(found.failed) or 'none'}")
    for reason, number in sorted(found.ends.items()):
        print(f"  {number:5} {reason}")
    bad = bool(found.more or found.failed)
    if not found.memory_mib:
        return int(bad)
    for after, mib in found.memory_mib.items():
        print(f"memory after {after:5} calls: {mib:.1f} MiB")
    growth_mib = found.memory_mib[count] - found.memory_mib[WARM]
    print(f"  {growth_mib:+.1f} MiB since the {WARM}th, at most {MOST_MIB:g} are wanted")
    print("what there is more of, as Python's collector counts it:")
    for kind, number in found.grown:
        print(f"  {number:8} {kind}")
    return int(bad or growth_mib > MOST_MIB)


def _say(sentence: str) -> None:
    print(f"  {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
