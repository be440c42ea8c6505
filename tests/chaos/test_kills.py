"""The short form: a few kills at any instant, and each time it is ready again with its state whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.kills import kills


@pytest.mark.timeout(600)
async def test_after_every_kill_it_is_ready_again_and_nothing_is_torn(tmp_path: Path) -> None:
    found = await kills(tmp_path, 5, seed=3)
    assert found.faults == []
    assert found.calls > 0
    assert len(found.ready_s) > 1
