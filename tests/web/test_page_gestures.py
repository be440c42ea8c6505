"""What a finger on the drawn buttons means, by how they are configured."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

TOUCH = """async ([bound, moves]) => {
  const { Finger } = await import('/gestures.js');
  const done = [];
  const button = { press: 'call', double_press: null, hold: null, hold_s: 0.5, ...bound };
  window.finger = new Finger(button, (gesture) => done.push(gesture));
  window.done = done;
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stopped_clock(modules: Page) -> None:
    """Time goes on as the test says."""
    await modules.clock.install(time=0)
    await modules.clock.pause_at(1000)


PLAIN: dict[str, Any] = {}
HOLD = {"hold": "unlock"}
DOUBLE = {"double_press": "chat"}


@pytest.mark.parametrize(
    ("bound", "moves", "meant"),
    [
        (PLAIN, ["down"], ["press"]),
        (PLAIN, ["down", 900, "up"], ["press"]),
        (HOLD, ["down", 100, "up", 900], ["press"]),
        (HOLD, ["down", 600], ["hold"]),
        (HOLD, ["down", 600, "up", 900], ["hold"]),
        (HOLD, ["down", 100, "cancel", "up", 900], []),
        (DOUBLE, ["down", "up", 100, "down", "up", 900], ["double_press"]),
        (DOUBLE, ["down", "up", 400], ["press"]),
        (DOUBLE, ["down", "up", 400, "down", "up", 400], ["press", "press"]),
        (HOLD | DOUBLE, ["down", 600, "up", 400], ["hold"]),
        (HOLD | DOUBLE, ["down", "up", 100, "down", "up", 400], ["double_press"]),
    ],
)
@pytest.mark.usefixtures("stopped_clock")
async def test_a_finger(
    modules: Page, bound: dict[str, Any], moves: list[Any], meant: list[str]
) -> None:
    await modules.evaluate(TOUCH, [bound, moves])
    for move in moves:
        if isinstance(move, str):
            await modules.evaluate("(move) => window.finger[move]()", move)
        else:
            await modules.clock.run_for(move)
    assert await modules.evaluate("window.done") == meant
