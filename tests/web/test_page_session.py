"""Several pages in one session: real Chromium tabs over a real mosquitto, and a door that is the host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, expect

from appliance.web.server import WebServer
from tests.parts.door import Door, Leg
from tests.parts.gathering import Gathering
from tests.web.visiting import opened, part, ready, shows

pytestmark = [pytest.mark.browser, pytest.mark.broker]

FRAMES = """(video) => video.getVideoPlaybackQuality().totalVideoFrames"""
SMALL = "camera=320x180@10"


async def sees(tab: Page, uid: str, more: int = 5) -> None:
    """The pictures of somebody go on."""
    video = part(tab, f"tile-{uid}").locator("video")
    await expect(part(tab, f"tile-{uid}")).to_have_attribute("data-picture", "yes")
    before = await video.evaluate(FRAMES)
    async with asyncio.timeout(30):
        while await video.evaluate(FRAMES) < before + more:
            await tab.wait_for_timeout(100)


async def answers(tab: Page, gathering: Gathering, uid: str) -> Leg:
    """Somebody is rung, takes the call, and is let in."""
    await ready(tab)
    await gathering.door.until_present(uid)
    gathering.door.ring(uid)
    await shows(tab, "incoming")
    await part(tab, "answer").click()
    leg = await gathering.admit(await gathering.door.hear("accept"))
    await shows(tab, "in_call")
    return leg


@asynccontextmanager
async def meeting(
    browser: Browser, server: WebServer, front_door: Door
) -> AsyncIterator[tuple[Page, Page, Gathering]]:
    """Alice and Bob are in one session with the door, all connected with all."""
    gathering = Gathering(front_door)
    async with (
        opened(browser, f"{server.url}?as=alice&{SMALL}") as alice,
        opened(browser, f"{server.url}?as=bob&{SMALL}") as bob,
    ):
        await answers(alice, gathering, "alice")
        await answers(bob, gathering, "bob")
        for tab, other in ((alice, "bob"), (bob, "alice")):
            await expect(part(tab, f"tile-{other}")).to_have_attribute("data-state", "connected")
        yield alice, bob, gathering


async def said(front_door: Door, uid: str, key: str) -> object:
    """The next `state` of somebody that tells of something."""
    while True:
        message = await front_door.hear("state")
        if message["from"] == uid and key in message["body"]:
            return message["body"][key]


async def test_two_pages_and_the_door_see_and_hear_one_another(
    browser: Browser, server: WebServer, front_door: Door
) -> None:
    async with meeting(browser, server, front_door) as (alice, bob, gathering):
        await expect(part(alice, "line")).to_have_text("Connected · 3 people")
        await part(alice, "camera").click()
        await part(bob, "camera").click()
        await sees(bob, "alice")
        await sees(alice, "bob")
        await sees(alice, "front-door")
        for leg in front_door.legs.values():
            await leg.ears.sees()
            await leg.ears.hears()
        size = await part(alice, "tile-bob").locator("video").evaluate("(v) => v.videoWidth")
        assert size <= 320
        # the one leaves, and is gone for the other without a word between the two
        await part(bob, "hang-up").click()
        await expect(part(alice, "tile-bob")).to_have_count(0)
        await shows(alice, "in_call")
        gathering.remove("bob")
        await expect(part(alice, "line")).to_have_text("Connected")
