"""Half of a night of thousands of calls; `test_waits.py` has the other, at the same time."""

from __future__ import annotations

import pytest

from tests.lab.inside import passes
from tests.lab.machine import Machine

BODIES = ("networks.py::test_calls_one_after_the_other_leave_nothing", "night.py")


@pytest.mark.long
def test_a_night_of_calls_at_another_door(another: Machine) -> None:
    passes(another, " ".join(f"tests/lab/within/{body}" for body in BODIES))
