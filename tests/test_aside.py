"""Code that may never end runs beside the loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from appliance.aside import aside


async def test_what_it_gives_back_or_raises_comes_to_who_waits() -> None:
    assert await aside(lambda: threading.current_thread().name, "counting") == "counting"
    with pytest.raises(ZeroDivisionError):
        await aside(lambda: 1 // 0, "dividing")
    with pytest.raises(SystemExit):
        await aside(lambda: exit_with(3), "ending")
    with pytest.raises(RuntimeError, match="StopIteration"):
        await aside(lambda: next(iter(())), "iterating")


def exit_with(status: int) -> None:
    raise SystemExit(status)


async def test_who_gives_up_waiting_leaves_a_thread_that_does_not_hold_up_the_end() -> None:
    gate, begun = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        gate.wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await aside(wait, "stuck")
    await asyncio.to_thread(begun.wait)
    (thread,) = (one for one in threading.enumerate() if one.name == "stuck")
    assert thread.daemon
    gate.set()
