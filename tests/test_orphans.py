"""Errors that nobody owns: each kind is told, and a flood of one kind is one."""

from __future__ import annotations

import asyncio
import errno

import pytest

from appliance.calls.inputs import FaultReported, Input
from appliance.orphans import SAID_AGAIN_S, Orphans


async def test_one_kind_is_told_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Input] = []
    now_s = 100.0
    handler = Orphans(told.append, now=lambda: now_s)
    loop = asyncio.get_running_loop()
    no_more = OSError(errno.EMFILE, "Too many open files")
    for number in range(200):
        handler(loop, {"message": f"Exception in callback <at {number}>", "exception": no_more})
    assert len(told) == 1
    assert caplog.text.count("on the loop:") == 1
    handler(loop, {"message": "Exception in callback <at 0>", "exception": ValueError("x")})
    assert len(told) == 2, "another kind"
    now_s += SAID_AGAIN_S
    handler(loop, {"message": "Exception in callback <at 7>", "exception": no_more})
    last = told[-1]
    assert isinstance(last, FaultReported)
    assert last.code == "loop"
    assert "199 more" in last.message
    assert len(told) == 3
