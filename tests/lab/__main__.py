"""`python -m tests.lab`: builds what the lab needs and is not there yet; `--there` asks whether it is."""

from __future__ import annotations

import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from subprocess import SubprocessError

from tests.lab.guest import GUEST, guest
from tests.lab.kernel import KERNEL, kernel
from tests.lab.project import project
from tests.lab.stock import CannotBuildHere, NotAllowedHere, folder, leaving, say
from tests.lab.trial import CannotStartHere, starts

FAILED, NOT_HERE, NOT_THERE = 1, 3, 4
"""Exit statuses: something went wrong; this machine does not allow it; it is not built yet."""
PARTS = ((GUEST, guest), (KERNEL, partial(kernel, anew=True)))


def main() -> int:
    """Build, and see whether a kernel may run as a program here."""
    if "--there" in sys.argv:
        return 0 if all(item.is_there for item, _ in PARTS) else NOT_THERE
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup(1) has it
            signal.signal(number, leave)
    began = time.monotonic()
    with ThreadPoolExecutor() as both:
        parts = {both.submit(make): f"{item.what} COULD NOT BE BUILT" for item, make in PARTS}
        ended = ((parts[made], made.exception()) for made in as_completed(parts))
        failed = [told(what, error) for what, error in ended if error is not None]
    if failed:
        return max(failed)
    try:
        starts(kernel())
        project()
    except (CannotBuildHere, CannotStartHere, RuntimeError, OSError, SubprocessError) as error:
        return told("the lab CANNOT BE PLAYED", error)
    say(f"all is there, in {folder()} ({time.monotonic() - began:.0f} s)")
    return 0


def leave(number: int, _: object) -> None:
    """What was started has got the same signal; nothing is left."""
    leaving.set()
    sys.exit(128 + number)


def told(what: str, error: BaseException) -> int:
    """Say what went wrong, and why; the exit status."""
    if isinstance(error, NotAllowedHere | CannotStartHere):
        say(f"this computer does not allow it: {error}")
        return NOT_HERE
    say(f"{what}: {error}")
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
