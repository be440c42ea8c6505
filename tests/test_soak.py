"""Many calls in one process leave nothing behind: no task, thread, socket or file descriptor."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.soak.calls import many_calls

CALLS = 90
"""Each outcome six times, after the first calls."""


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_many_calls_leave_nothing_behind(tmp_path: Path) -> None:
    found = await many_calls(tmp_path, CALLS)
    assert found.failed == []
    assert found.more == Counter(), "more than before"
