"""How long a person waits: for the command line's answers, and for a configuration to be read."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

RUNS = 9
ROOT = Path(__file__).parents[2]


def run(*words: str) -> Callable[[], None]:
    """A whole process, as somebody at a prompt starts it."""
    environ = os.environ | {"APPLIANCE_SOCKET": str(Path(tempfile.gettempdir()) / "no-appliance")}

    def once() -> None:
        subprocess.run(
            [sys.executable, "-m", "appliance", *words],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            check=False,
        )

    return once


BENCHES = {
    "status, with no daemon": run("status"),
    "ctl, refused at once": run("ctl", "unlok"),
    "events --catalog": run("events", "--catalog"),
    "check-config": run("check-config", "config/appliance.toml"),
}


def main() -> None:
    """Print the median and the worst of each, in milliseconds."""
    print(f"{'':24} {'median':>9} {'worst':>9}")
    for name, bench in BENCHES.items():
        bench()  # the first one fills the caches
        times_ms = []
        for _ in range(RUNS):
            began = time.perf_counter()
            bench()
            times_ms.append((time.perf_counter() - began) * 1000)
        print(f"{name:24} {statistics.median(times_ms):6.0f} ms {max(times_ms):6.0f} ms")


if __name__ == "__main__":
    main()
