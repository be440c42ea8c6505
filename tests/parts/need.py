"""What a test needs from the machine: skipped with a visible reason at home, a failure in CI.

A machine that forbids something is let off in CI as well, in one sentence: nobody can mend that from within
it. Whatever else is missing there, or does not work, is a fault.
"""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import NoReturn

import pytest


def skip_or_fail(reason: str) -> NoReturn:
    """End the running test: it cannot be made here. Under `CI=true` nothing may be missing."""
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        pytest.fail(f"CI must have everything: {reason}", pytrace=False)
    pytest.skip(reason)


REFUSALS = (
    *("Operation not permitted", "Permission denied", "Operation not supported", "not supported"),
    *("Function not implemented", "No such device", "Invalid argument", "Read-only file system"),
    *("unknown filesystem type", "Could not process rule", "No space left on device"),
)
"""How a kernel refuses what not every machine lets a test do, as programs tell it (errno(3), nft(8))."""


def skip_where_forbidden(what: str, said: object) -> NoReturn:
    """End the running test, which this machine did not let be: `said` is what was told about it.

    Where it is the kernel that refuses, or only root may, it is skipped, also in CI; otherwise as
    `skip_or_fail`.
    """
    text = str(said).strip()
    if os.geteuid() != 0:
        pytest.skip(f"{what}: only root may here ({text})")
    if any(word in text for word in REFUSALS):
        pytest.skip(f"{what}, since this machine's kernel forbids it: {text[-1000:]}")
    skip_or_fail(f"{what}: {text}")


def program(name: str, package: str | None = None) -> Path:
    """The path of a program, also where `/usr/sbin` is not on the PATH; `package` is Debian's."""
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which(name, path=places)
    if found is None:
        skip_or_fail(f"{name} is not installed (apt install {package or name})")
    return Path(found)


def own_address() -> str:
    """An address of this machine, not of loopback, which ICE does not use."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.18.0.1", 9))
        except OSError:
            skip_or_fail("this machine has no address but loopback")
        return str(probe.getsockname()[0])
