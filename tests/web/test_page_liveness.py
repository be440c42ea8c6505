"""When the page holds the far side for gone: two seconds without a packet, an answer or a question."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

WATCH = """async () => {
  const { Liveness } = await import('/liveness.js');
  window.counts = { transport: 5, pair: 5 };
  // of a connection, what the browser counts is all that is looked at
  window.connection = {
    getStats: async () => [
      { type: 'transport', packetsReceived: window.counts.transport },
      { type: 'candidate-pair', requestsReceived: window.counts.pair, responsesReceived: 0 },
      { type: 'candidate-pair' },
    ],
  };
  const told = [];
  window.told = told;
  window.liveness = new Liveness();
  window.liveness.watch(window.connection, (heard) => told.push(heard));
}"""


@pytest_asyncio.fixture(loop_scope="module")
async def watched(modules: Page, stopped_clock: None) -> AsyncIterator[Page]:
    """A page that watches one connection."""
    await modules.evaluate(WATCH)
    yield modules
    await modules.evaluate("window.liveness.forget(window.connection)")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stopped_clock(modules: Page) -> None:
    """Time goes on as the test says."""
    await modules.clock.install(time=0)
    await modules.clock.pause_at(1000)


async def passes(page: Page, ms: int, counts: str | None = None) -> list[bool]:
    """What was told after so long, in which one of the counts rises with each look."""
    for _ in range(ms // 250):
        if counts is not None:
            await page.evaluate("(name) => { window.counts[name] += 1; }", counts)
        await page.clock.run_for(250)
        await page.evaluate("() => undefined")  # what was begun is done
    told: list[bool] = await page.evaluate("window.told")
    return told


async def test_silence_is_told_after_two_seconds_and_its_end_at_once(watched: Page) -> None:
    assert await passes(watched, 3000, "transport") == []
    assert await passes(watched, 1500) == []
    assert await passes(watched, 1000) == [False]
    assert await passes(watched, 5000) == [False], "once"
    assert await passes(watched, 500, "transport") == [False, True]


async def test_who_sends_nothing_but_asks_or_answers_is_there(watched: Page) -> None:
    assert await passes(watched, 6000, "pair") == []


async def test_a_page_that_was_held_up_has_heard_nothing_for_want_of_looking(watched: Page) -> None:
    await passes(watched, 1000, "transport")
    await watched.clock.fast_forward(60_000)
    assert await passes(watched, 500, "transport") == []


async def test_nothing_is_told_of_what_is_forgotten(watched: Page) -> None:
    await passes(watched, 500, "transport")
    await watched.evaluate("window.liveness.forget(window.connection)")
    assert await passes(watched, 4000) == []
