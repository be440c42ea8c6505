"""`make bench`: everything that is measured, each figure beside its peer of the same run.

It fails where an aim is missed, after everything was measured.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from tests.bench import (
    calls,
    chatter,
    delay,
    echo,
    faults,
    losses,
    media,
    outages,
    pages,
    panel,
    screen,
    sound,
    startup,
    voices,
    writes,
)
from tests.bench.table import Row, show

BENCHES: dict[str, tuple[str, Callable[[], list[Row]]]] = {
    "startup": ("From the process's start (median of 9)", startup.run),
    "calls": ("What a caller waits for (median of 15)", calls.run),
    "panel": ("What a visitor waits for without broker and network (200 presses)", panel.run),
    "chatter": ("What becomes of a contact that chatters, in played time", chatter.run),
    "media": ("What a sent picture costs, 720p30", media.run),
    "faults": ("How soon a device that comes back works again (worst of 8)", faults.run),
    "delay": ("How much later incoming sound is heard, in computed networks", delay.run),
    "sound": ("What incoming sound costs, and a call with pictures and sound", sound.run),
    "echo": ("What is left of an echo: ERLE, and the near voice in double talk", echo.run),
    "losses": (
        "What a bad network costs, Chromium, 720p30: 2 s without, 2 % loss, PLI",
        losses.run,
    ),
    "voices": ("A voice at 20 and 30 % loss, both ways, in namespaces with nftables", voices.run),
    "outages": ("When the network or the broker goes away (the worst of 3)", outages.run),
    "pages": ("The same for a page in a real Chromium (the worst of 3)", pages.run),
    "writes": ("What an idle daemon writes, by a clock that is 60 times as fast", writes.run),
    "screen": ("What a composed picture costs, 800x480 (median of 60)", screen.run),
}


def main(names: list[str]) -> int:
    """Run the named benches, or all, and tell which aims were missed; how many they are."""
    print(
        f"{os.cpu_count()} cores; a ratio compares two figures of this run, times alone prove nothing"
    )
    missed: list[str] = []
    for name, (title, run) in BENCHES.items():
        if not names or name in names:
            rows = run()
            show(title, rows)
            missed += [f"  {name}: {row.name}" for row in rows if row.missed]
    if missed:
        print(f"\nAims MISSED: {len(missed)}", *missed, sep="\n")
    return len(missed)


if __name__ == "__main__":
    if unknown := set(sys.argv[1:]) - set(BENCHES):
        sys.exit(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    sys.exit(1 if main(sys.argv[1:]) else 0)
