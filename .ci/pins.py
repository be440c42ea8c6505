"""Prints the versions to install: the pinned ones, but numpy 1 where the system's picamera2 needs it.

`python .ci/pins.py CONSTRAINTS`, by the Python that the environment is made from. Below picamera2 there are
libraries that are compiled (simplejpeg). Those of Debian 12 and Raspberry Pi OS Bookworm are for numpy 1
and refuse numpy 2; those that are made for numpy 2 go with both, and so does the appliance. So numpy's pin
becomes `numpy<2` there: pip keeps the system's, or takes the newest 1 where something wants a newer one.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path


def needs_numpy_1() -> bool:
    """Whether there is a picamera2 here that was made for numpy 1."""
    try:
        return find_spec("picamera2") is not None and version("numpy").startswith("1.")
    except PackageNotFoundError:
        return False


pinned = Path(sys.argv[1]).read_text()
if needs_numpy_1():
    pinned = re.sub(r"(?m)^numpy==.*$", "numpy<2", pinned)
sys.stdout.write(pinned)
