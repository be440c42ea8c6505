"""The short form of `make chaos`: every kind of trouble once, and no press lost, doubled or late."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.presses import presses
from tests.parts.netlab import netlab


@pytest.mark.timeout(600)
async def test_no_press_is_lost_doubled_or_late_whatever_dies(tmp_path: Path) -> None:
    with netlab("trial"):
        pass  # skips where the machine makes no networks
    verdict = await presses(tmp_path, 30, seed=7, each_first=True, ring_timeout_s=1.0)
    assert verdict.faults == []
    assert verdict.rung > 0
    assert verdict.lives > 1
