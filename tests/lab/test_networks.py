"""A call over a network that loses, delays, and is gone.

By a clock that jumps: what a busy machine takes for it is no time, so nothing of that disturbs the call.
"""

from __future__ import annotations

from tests.lab.inside import passes
from tests.lab.machine import Machine


def test_calls_over_bad_networks(night: Machine) -> None:
    passes(night, "tests/lab/within/networks.py")
