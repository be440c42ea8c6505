"""A device that slept, told by two clocks."""

from __future__ import annotations

import asyncio

import pytest

from appliance.calls.inputs import Input, Resumed
from appliance.service.suspend import Sleep, clocks, watch


def test_only_a_clock_that_stood_still_is_a_sleep() -> None:
    sleep = Sleep(1000.0, 400.0)
    assert sleep.look(1010.0, 410.001) == 0
    assert sleep.look(4620.0, 420.0) == pytest.approx(3600.0, abs=0.01)
    assert sleep.look(4630.0, 430.0) == 0, "it is told once"


def test_the_real_clocks_go_at_one_pace() -> None:
    before, after = clocks(), clocks()
    assert Sleep(*before).look(*after) == 0


async def test_each_sleep_is_told() -> None:
    told: list[Input] = []
    slept_s, woke = [0.0], asyncio.Event()

    def post(report: Input) -> None:
        told.append(report)
        woke.set()

    def read() -> tuple[float, float]:
        boottime_s, monotonic_s = clocks()
        return boottime_s + slept_s[0], monotonic_s

    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch(post, read, 0.001))
        await asyncio.sleep(0.01)
        slept_s[0] = 60
        await woke.wait()
        watching.cancel()
    [report] = told
    assert isinstance(report, Resumed)
    assert report.away_s == pytest.approx(60, abs=0.4)
