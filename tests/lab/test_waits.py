"""What waits: networks that lose and are gone, a night of calls, the contract of every board.

By a clock that jumps: nobody waits for a night, and what a busy computer takes is no time, so it disturbs
no call.
"""

from __future__ import annotations

from tests.lab.inside import passes
from tests.lab.machine import Machine


def test_what_waits(night: Machine) -> None:
    """In one process: what it imports takes as long as some of them."""
    bodies = ("networks", "night", "pins")
    passes(night, " ".join(f"tests/lab/within/{body}.py" for body in bodies))
