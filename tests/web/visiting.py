"""What tests of the page in a real Chromium share: opening it, and waiting for what it shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from tests.parts.door import Door

PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


@asynccontextmanager
async def opened(
    browser: Browser | BrowserContext, url: str, *, moves: bool = False
) -> AsyncIterator[Page]:
    """A tab with the page; an error in its scripts fails the test, and its CSP never has to step in.

    What `moves` in it is drawn sixty times a second: for who wants to see that, or to know that it goes.
    """
    errors: list[str] = []
    async with await browser.new_page() as tab:
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on(
            "console",
            lambda said: errors.append(said.text) if "Content Security" in said.text else None,
        )
        await tab.emulate_media(reduced_motion="no-preference" if moves else "reduce")
        await tab.goto(url)
        yield tab
    assert errors == []


def part(tab: Page, name: str) -> Locator:
    """A part of the page."""
    return tab.get_by_test_id(name)


async def shows(tab: Page, state: str, reason: str = "") -> None:
    """The phone pane comes to a state."""
    await expect(part(tab, "phone")).to_have_attribute("data-state", state)
    if reason:
        await expect(part(tab, "phone")).to_have_attribute("data-reason", reason)


async def ready(tab: Page) -> None:
    """The page can be rung, and sees the door."""
    await expect(part(tab, "link")).to_have_text("Ready")
    await shows(tab, "idle")


async def in_call(tab: Page, front_door: Door) -> str:
    """The bell rings, the page answers: the call's id."""
    await ready(tab)
    await front_door.until_present("alice")
    call_id = front_door.ring("alice")
    await shows(tab, "incoming")
    await part(tab, "answer").click()
    await front_door.admit(await front_door.hear("accept"))
    await shows(tab, "in_call")
    return call_id
