"""Power that is lost at random instants of updates: the short form of `python -m tests.image.cuts`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image.cuts import Cuts, beside
from tests.lab.stock import CannotBuildHere
from tests.parts.need import skip_or_fail


@pytest.mark.timeout(3600)
def test_whenever_power_is_lost_it_boots_and_rings(tmp_path: Path) -> None:
    try:
        disk = beside(tmp_path)
    except CannotBuildHere as error:
        skip_or_fail(str(error))
    done = Cuts(tmp_path / "door", disk, seed=1).run(3)
    assert (done.cuts, done.faults) == (3, [])
