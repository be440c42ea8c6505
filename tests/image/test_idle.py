"""A device on which nothing happens writes so little that its card lasts."""

from __future__ import annotations

import pytest

from tests.image.idle import idle
from tests.lab.stock import CannotBuildHere, NotAllowedHere
from tests.lab.trial import CannotStartHere
from tests.parts.need import skip_or_fail

pytestmark = pytest.mark.timeout(3600)

MOST_A_DAY = 1_000_000


def test_an_idle_hour_writes_less_than_a_megabyte_a_day() -> None:
    """The whole image: its journal, its broker, its network and its clock, not the daemon alone.

    A day is taken for 24 such hours, so what is done once in a day is not seen here. All that there is of
    it is in `machine.BY_THE_CLOCK`, to which test_boot.py holds the image. `HOURS=25 python -m
    tests.image.idle` plays a day.
    """
    try:
        found = idle(1)
    except (CannotStartHere, NotAllowedHere) as reason:  # nobody can mend that, in CI neither
        pytest.skip(str(reason))
    except CannotBuildHere as reason:
        skip_or_fail(str(reason))
    assert found.seconds >= 3600
    assert found.a_day < MOST_A_DAY, found
