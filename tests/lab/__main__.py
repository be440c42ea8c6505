"""`python -m tests.lab`: builds what the lab needs and is not there yet; `--there` asks whether it is."""

from __future__ import annotations

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from tests.lab.guest import GUEST, guest
from tests.lab.kernel import KERNEL, kernel
from tests.lab.project import project
from tests.lab.stock import Item, NotAllowedHere, folder, leaving, say
from tests.lab.trial import CannotStartHere, starts

FAILED, NOT_HERE, NOT_THERE = 1, 3, 4
"""Exit statuses: something went wrong; this machine does not allow it; it is not built yet."""
PARTS = ((GUEST, guest), (KERNEL, kernel))


def main() -> int:
    """Build, and see whether a kernel may run as a program here."""
    if "--there" in sys.argv:
        return 0 if all(item.is_there for item, _ in PARTS) else NOT_THERE
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    began = time.monotonic()
    with ThreadPoolExecutor() as both:
        parts = {both.submit(make): item for item, make in PARTS}
        ended = ((parts[made], made.exception()) for made in as_completed(parts))
        failed = [told(item, error) for item, error in ended if error is not None]
    if failed:
        return max(failed)
    try:
        starts(kernel())
        project()
    except CannotStartHere as reason:
        say(f"this computer does not allow it: {reason}")
        return NOT_HERE
    say(f"all is there, in {folder()} ({time.monotonic() - began:.0f} s)")
    return 0


def leave(number: int, _: object) -> None:
    """What was started has got the same signal; nothing is left."""
    leaving.set()
    sys.exit(128 + number)


def told(item: Item, error: BaseException) -> int:
    """Say why it was not built; the exit status."""
    if isinstance(error, NotAllowedHere):
        say(f"this computer does not allow it: {error}")
        return NOT_HERE
    say(f"{item.what} COULD NOT BE BUILT: {error}")
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
