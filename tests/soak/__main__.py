"""`make soak`: thousands of calls in one process. `CALLS=10000 make soak`."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.soak.calls import FULL, many_calls

MOST_MIB = 30.0
"""How much memory may grow after the first calls."""


def main() -> int:
    """Make the calls; 0 where nothing is left of them."""
    count, begin_s = int(os.environ.get("CALLS", "10000")), time.monotonic()
    print(f"{count} calls of every outcome, with sound and pictures where they are answered")
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        found = asyncio.run(many_calls(Path(folder), count, _say))
    more = ", ".join(f"{number} {thing}" for thing, number in found.more.items()) or "nothing"
    print(f"\nin {time.monotonic() - begin_s:.0f} s; more than after the first calls: {more}")
    print(f"calls that did not take their course: {', '.join(found.failed) or 'none'}")
    bad = bool(found.more or found.failed)
    if not found.full_mib:
        return int(bad)
    growth_mib = found.end_mib - found.full_mib
    print(f"memory: {found.full_mib:.1f} MiB after {FULL} calls, {found.end_mib:.1f} at the end:")
    print(f"  {growth_mib:+.1f} MiB, at most {MOST_MIB:g} are wanted")
    print("what there is more of, as Python's collector counts it:")
    for kind, number in found.grown:
        print(f"  {number:8} {kind}")
    return int(bad or growth_mib > MOST_MIB)


def _say(sentence: str) -> None:
    print(f"  {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
