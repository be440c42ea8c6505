"""Plays the tests that have failed beside others once more, alone, and names those that then pass.

    replay.py CACHE PYTEST ARGUMENT..

CACHE is the folder in which pytest has noted what failed.

Real sound and pictures do not wait for a busy machine, so what fails beside others and not alone fails
nobody's change; it is named at the very end. But a promise that is broken once in ten fails once, too: the
tests whose subject is what happens rarely are not forgiven.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FAILED = Path("v/cache/lastfailed")
"""In pytest's cache."""
RARE = (
    "tests/chaos/",
    "tests/fuzz/",
    "tests/soak/",
    "tests/test_soak.py",
    "tests/test_power_cut.py",
    "tests/test_in_the_middle.py",
    "tests/lab/test_blackout",
)
"""What looks for that which happens once in a hundred times, and waits for whatever it waits for. Those of
the network and of browsers are forgiven: a busy machine misses limits that are the product's own."""


def failed(cache: Path) -> set[str]:
    """The tests that failed when they were played last."""
    file = cache / FAILED
    return set(json.loads(file.read_text())) if file.exists() else set()


def report(once: set[str], rare: set[str]) -> list[str]:
    """What there is to say of those that failed once: nothing where there is none."""
    if not once:
        return []
    lines = [f"FAILED ONCE, and passed when they were played alone: {len(once)}"]
    lines += [
        f"  not forgiven, it may be a promise that is seldom broken: {one}" for one in sorted(rare)
    ]
    lines += [f"  {one}" for one in sorted(once - rare)]
    return lines


def main(folder: str, pytest: str, *arguments: str) -> int:
    """Exit status of the second play; 1 where it forgives what is not to be forgiven."""
    before = failed(cache := Path(folder))
    again = ["--last-failed", "--last-failed-no-failures", "none", "-o", f"cache_dir={folder}"]
    status = subprocess.run([pytest, *again, *arguments], check=False).returncode
    once = before - failed(cache)
    rare = {one for one in once if one.startswith(RARE)}
    print(*report(once, rare), sep="\n", flush=True)
    return status or int(bool(rare))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
