"""`python -m tests.lab`: builds what the lab needs and is not there yet."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.lab.guest import guest
from tests.lab.kernel import kernel
from tests.lab.stock import CannotBuildHere, folder, say

NOT_HERE = 3


def main() -> int:
    """Build; the exit status, 3 where this machine does not allow it."""
    began = time.monotonic()
    with ThreadPoolExecutor() as both:
        parts = [both.submit(guest), both.submit(kernel)]
    for part in parts:
        if isinstance(error := part.exception(), CannotBuildHere):
            say(str(error))
            return NOT_HERE
    for part in parts:
        part.result()
    say(f"all is there, in {folder()} ({time.monotonic() - began:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
