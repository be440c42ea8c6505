"""The contract of every board by lgpio, on lines of the kernel's: bodies for the guest's own pytest.

By a clock that jumps: a pattern lasts as long as it does, and nobody waits for it.
"""

from __future__ import annotations

from tests.lab.inside import passes
from tests.lab.machine import Machine


def test_the_contract_of_every_board(night: Machine) -> None:
    passes(night, "tests/lab/within/pins.py")
