"""A night at the door, in as long as it takes to reckon it."""

from __future__ import annotations

from tests.lab.inside import passes
from tests.lab.machine import Machine


def test_a_night(night: Machine) -> None:
    passes(night, "tests/lab/within/night.py")
