"""A stop in a call, by a clock that no busy computer hurries or holds up."""

from __future__ import annotations

import pytest

from tests.lab.inside import passes
from tests.lab.machine import Machine


@pytest.mark.thorough
def test_a_stop_in_a_call_takes_less_than_three_seconds(spare: Machine) -> None:
    passes(spare, "tests/lab/within/stop.py")
