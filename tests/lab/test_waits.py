"""What waits: networks that lose and are gone, a night of calls (a long one: `test_night.py`), every board.

By a clock that jumps: nobody waits for a night, and what a busy computer takes is no time, so it disturbs
no call.
"""

from __future__ import annotations

import os

import pytest

from tests.lab.extent import EXTENT, Extent
from tests.lab.inside import passes
from tests.lab.machine import Machine


@pytest.mark.timeout(300)  # where it is not stopped, that is waited for
def test_it_takes_no_processor_between_two_steps(night: Machine) -> None:
    """But goes on while there is one whose end nobody has seen yet."""
    waits = night.start("until [ -e /run/later ]; do sleep 1; done")
    night.check("touch /run/later")
    assert waits.result().ok
    os.waitid(os.P_PID, night.session, os.WSTOPPED | os.WNOWAIT)


def test_what_waits(night: Machine) -> None:
    """In one process: what it imports takes as long as some of them."""
    bodies = ("networks", *(() if EXTENT is Extent.LONG else ("night",)), "pins")
    passes(night, " ".join(f"tests/lab/within/{body}.py" for body in bodies))
