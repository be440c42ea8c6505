"""Plays the tests that have failed beside others once more, alone, and names those that then pass.

    replay.py PYTEST ARGUMENT..

Real sound and pictures do not wait for a busy machine, so what fails beside others and not alone fails
nobody's change. But a promise that is broken once in ten fails once, too: so each is named at the very end,
with how many they are, and first those whose subject is what happens rarely.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FAILED = Path(".pytest_cache/v/cache/lastfailed")
RARE = (
    "tests/chaos/",
    "tests/fuzz/",
    "tests/soak/",
    "tests/test_soak.py",
    "tests/test_app_network.py",
)
"""What looks for that which happens once in a hundred times."""


def failed() -> set[str]:
    """The tests that failed when they were played last."""
    return set(json.loads(FAILED.read_text())) if FAILED.exists() else set()


def report(once: set[str]) -> list[str]:
    """What there is to say of those that failed once: nothing where there is none."""
    if not once:
        return []
    rare = sorted(one for one in once if one.startswith(RARE))
    lines = [f"FAILED ONCE, and passed when they were played alone: {len(once)}"]
    lines += [f"  look at it, it may be a promise that is seldom broken: {one}" for one in rare]
    lines += [f"  {one}" for one in sorted(once.difference(rare))]
    return lines


def main(pytest: str, *arguments: str) -> int:
    """Exit status of the second play."""
    before = failed()
    again = ["--last-failed", "--last-failed-no-failures", "none"]
    status = subprocess.run([pytest, *again, *arguments], check=False).returncode
    print(*report(before - failed()), sep="\n", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
