"""A night at the door, in as long as it takes to reckon it; `NIGHT_CALLS=3000` for a long one."""

from __future__ import annotations

import os

from tests.lab.inside import passes
from tests.lab.machine import Machine

CALLS = os.environ.get("NIGHT_CALLS", "60")


def test_a_night(night: Machine) -> None:
    passes(night, "tests/lab/within/night.py", f"NIGHT_CALLS={CALLS}")
