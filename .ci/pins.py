"""Prints the versions to install: the pinned ones, but the system's numpy where its picamera2 needs that.

`python .ci/pins.py CONSTRAINTS`, by the Python that the environment is made from. The libraries below picamera2
(simplejpeg, which is compiled) fit the numpy that they were made for: Debian 12 and Raspberry Pi OS Bookworm
have numpy 1, with which nothing goes that is made for it and finds numpy 2. What is made for numpy 2 goes with
both, and so does the appliance. In place of numpy's pin there is `numpy<2` then, so that pip keeps the system's, or
takes the newest 1 where something wants a newer one.
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
