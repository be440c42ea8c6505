"""Many calls in one process, and hours of everything, leave nothing: no task, thread, socket, error."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from appliance.model import CallEndReason
from tests.soak import day
from tests.soak.calls import many_calls

CALLS = 100
"""Each outcome five times, after the first calls, and another door's."""


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_many_calls_leave_nothing_behind(tmp_path: Path) -> None:
    found = await many_calls(tmp_path, CALLS)
    assert found.failed == []
    assert found.more == Counter(), "more than before"
    assert found.ends.keys() == set(CallEndReason)


LATE = datetime(2026, 10, 24, 22, 30, tzinfo=day.ZONE)


@pytest.mark.soak
@pytest.mark.broker
@pytest.mark.timeout(300)
async def test_a_night_of_everything_leaves_no_error_to_nobody(tmp_path: Path) -> None:
    """`make soak SOAK=day` plays the whole of it, broker, views and restarts among it."""
    found = await day.play(
        tmp_path, 4, step_s=60, each_hour=1, begins=LATE, by_day=(day.recorded,), restarts=1
    )
    assert found.faults == []
    assert found.done == dict.fromkeys(
        ("busy", "recorded", "rung_in_vain", "paired_and_revoked", "at_the_panel"), 1
    )
    assert found.ended.startswith("2026-10-25 02:3")
