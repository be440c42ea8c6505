"""`make fuzz`: what comes from outside, spoilt in every way, against the device's own code.

`FUZZ=messages N=1000000 SEED=7 make fuzz` for one of the programs. The same SEED sends the same, but for
the keys that are made anew. It fails where a promise is broken.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from tests.fuzz import floods, guided, messages, offers, replay
from tests.fuzz.table import Outcome

PROGRAMS: dict[str, tuple[int, Callable[[int, int], Outcome]]] = {
    "messages": (1_000_000, messages.run),
    "broker": (20_000, messages.over_a_broker),
    "offers": (60_000, offers.run),
    "floods": (5_000, floods.run),
    "replay": (1, replay.run),
    "guided": (30, guided.run),
}
"""Each with how much it does unless N says otherwise; of what is guided, seconds for each parser."""


def main(names: list[str]) -> int:
    """Run the named programs, or all; the number of broken promises."""
    if unknown := set(names) - PROGRAMS.keys():
        print(f"there is no {', '.join(sorted(unknown))}; there is: {', '.join(PROGRAMS)}")
        return 2
    if "guided" in names and not guided.is_there():
        print(guided.MISSING)
        return 2
    seed = int(os.environ.get("SEED") or 1)
    broken = 0
    for name, (usual, run) in PROGRAMS.items():
        if not names or name in names:
            outcome = run(int(os.environ.get("N") or usual), seed)
            outcome.show()
            broken += len(outcome.faults)
    return min(broken, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
