"""What the daemon tells systemd through the notification socket: sd_notify(3), in a dozen lines."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

logger = logging.getLogger(__name__)


def notify(*assignments: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send assignments such as `READY=1`; False where nobody listens, or it did not arrive.

    A name in `$NOTIFY_SOCKET` that begins with @ is abstract (unix(7)).
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        try:
            sender.sendto("\n".join(assignments).encode(), address)
        except OSError as error:
            logger.warning("systemd was not told %s: %s", assignments[0], error)
            return False
    return True


def ready() -> bool:
    """The daemon works."""
    return notify("READY=1")


_shown: dict[str, str] = {}
"""The status, by the socket that was told."""


def show(status: str) -> bool:
    """Change what `systemctl status` shows; what it shows already is not said again: that wakes systemd."""
    where, line = os.environ.get("NOTIFY_SOCKET", ""), f"STATUS={' '.join(status.split())}"
    if _shown.get(where) != line:
        if not notify(line):
            return False
        _shown[where] = line
    return True


def stopping() -> bool:
    """The daemon ends, and says no more."""
    return notify("STOPPING=1")


def alive() -> bool:
    """The daemon still works: to be said more often than `watchdog_interval_s`."""
    return notify("WATCHDOG=1")


def watchdog_interval_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """How often systemd wants to hear that this process is alive; None where it does not ask.

    It is half of the unit's `WatchdogSec`, as sd_watchdog_enabled(3) advises.
    """
    limit_us, process = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not limit_us.isdecimal() or int(limit_us) == 0 or process not in ("", str(os.getpid())):
        return None
    return int(limit_us) / 2_000_000
