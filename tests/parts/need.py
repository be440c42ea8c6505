"""What a test needs from the machine: skipped with a visible reason at home, a failure in CI."""

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
