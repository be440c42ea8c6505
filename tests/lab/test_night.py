"""A night of thousands of calls: two machines play half of it each, at the same time (`LAB=long`)."""

from __future__ import annotations

import pytest

from tests.lab.inside import passes
from tests.lab.machine import Machine

BODIES = ("networks.py::test_calls_one_after_the_other_leave_nothing", "night.py")


@pytest.mark.long
@pytest.mark.parametrize("door", ["one", "other"])
def test_a_night_of_thousands_of_calls(another: Machine, door: str) -> None:
    passes(another, " ".join(f"tests/lab/within/{body}" for body in BODIES))
