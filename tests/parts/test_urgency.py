"""The test session that goes first: whatever the kernel offers, the test itself is not disturbed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.parts import urgency


@pytest.mark.parametrize("content", [None, "", "/autogroup-7 nice 3\n"])
def test_the_session_gets_back_what_it_had(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = tmp_path / "autogroup"
    if content is not None:
        group.write_text(content)
    monkeypatch.setattr(urgency, "GROUP", group)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with urgency.urgent():
        assert group.read_text() == str(urgency.FIRST)
        assert os.getpriority(os.PRIO_PROCESS, 0) in (urgency.URGENT, before), "only root may ask"
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
    assert group.read_text() == ("3" if content else "0")
