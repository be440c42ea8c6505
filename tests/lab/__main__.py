"""`python -m tests.lab`: builds what the lab needs and is not there yet; `--there` asks whether it is."""

from __future__ import annotations

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.lab.guest import GUEST, guest
from tests.lab.kernel import KERNEL, kernel
from tests.lab.stock import CannotBuildHere, folder, say

NOT_THERE, NOT_HERE = 1, 3


def main() -> int:
    """Build; the exit status, 3 where this machine does not allow it."""
    if "--there" in sys.argv:
        return 0 if GUEST.is_there and KERNEL.is_there else NOT_THERE
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and nothing is left
    began = time.monotonic()
    with ThreadPoolExecutor() as both:
        parts = [both.submit(guest), both.submit(kernel)]
    for part in parts:
        if isinstance(error := part.exception(), CannotBuildHere):
            say(f"it cannot be built on this computer: {error}")
            return NOT_HERE
    for part in parts:
        part.result()
    say(f"all is there, in {folder()} ({time.monotonic() - began:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
