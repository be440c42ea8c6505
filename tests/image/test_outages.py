"""Short form of a program: power that is lost while a door starts, is configured and rings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image.outages import Outages
from tests.lab.stock import CannotBuildHere
from tests.parts.need import skip_or_fail


@pytest.mark.timeout(3600)
def test_whenever_power_is_lost_it_boots_and_rings(tmp_path: Path) -> None:
    try:
        outages = Outages(tmp_path / "door", seed=5)  # one life of each kind
    except CannotBuildHere as error:
        skip_or_fail(str(error))
    assert outages.run(3) == []
