"""What the page does where somebody else writes in its place: soon, then ever more rarely, and it tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import paho.mqtt.client as paho
import pytest
import pytest_asyncio
from paho.mqtt.enums import CallbackAPIVersion
from playwright.async_api import Browser, Page, expect

from appliance.config import Security
from appliance.invitation import link_of
from tests.parts.house import config_for, house
from tests.parts.mosquitto import Mosquitto
from tests.web.visiting import opened, part

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

WATCH = """async () => {
  const { OwnPresence } = await import('/ownpresence.js');
  window.topic = { heard: [], mended: [], told: 0 };
  const page = (name) => {
    const one = new OwnPresence(() => say(name), () => { window.topic.told += 1; });
    window.topic.heard.push(one);
    const say = (text) => {
      one.said(text);
      window.topic.mended.push(performance.now());
      window.write(text);
    };
    say(name);
    return one;
  };
  window.write = (text) => { for (const one of window.topic.heard) one.heard(text); };
  window.page = page;
  window.one = page('here');
  window.topic.mended = [];
}"""
RIVAL = """() => {
  window.page('here too');
  window.topic.mended = [];
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stopped_clock(modules: Page) -> None:
    """Time goes on as the test says."""
    await modules.clock.install(time=0)
    await modules.clock.pause_at(1000)


@pytest_asyncio.fixture(loop_scope="module")
async def watching(modules: Page, stopped_clock: None) -> AsyncIterator[Page]:
    """A page that has said that it is there."""
    await modules.evaluate(WATCH)
    yield modules
    await modules.evaluate("() => { for (const one of window.topic.heard) one.forget(); }")


async def passes(page: Page, ms: int) -> tuple[list[float], int]:
    """When it was mended so far, and how often a rival was told of."""
    await page.clock.run_for(ms)
    mended, told = await page.evaluate("() => [window.topic.mended, window.topic.told]")
    return mended, told


async def test_what_another_wrote_is_put_right_within_a_second_and_once(watching: Page) -> None:
    for text in ("offline", "another epoch", ""):
        await watching.evaluate("(text) => window.write(text)", text)
        await watching.evaluate("(text) => window.write(text)", text)
        mended, told = await passes(watching, 1000)
        assert (len(mended), told) == (1, 0)
        mended, _ = await passes(watching, 90_000)
        assert len(mended) == 1
        await watching.evaluate("() => { window.topic.mended = []; }")


async def test_its_own_word_that_comes_behind_is_the_last(watching: Page) -> None:
    await watching.evaluate("() => { window.write('offline'); window.write('here'); }")
    assert await passes(watching, 90_000) == ([], 0)


async def test_two_of_one_endpoint_get_ever_slower_and_tell_it(watching: Page) -> None:
    await watching.evaluate(RIVAL)
    await watching.evaluate("() => window.write('here')")
    mended, told = await passes(watching, 600_000)
    assert 30 <= len(mended) <= 600 / 8 + 10, (
        "each answers the other, once in eight seconds or later"
    )
    gaps = [after - before for before, after in pairwise(mended[10:])]
    assert min(gaps) >= 8000
    assert told == 2, "once each"


async def test_whoever_goes_on_for_long_is_answered_for_long(watching: Page) -> None:
    """It is never given up: a phone that is not there is not rung."""
    for _ in range(10):
        await watching.evaluate("() => window.write('offline')")
        before, _ = await passes(watching, 0)
        after, told = await passes(watching, 16_000)
        assert len(after) > len(before)
    assert told == 1
    await passes(watching, 61_000)
    await watching.evaluate("() => { window.topic.mended = []; window.write('offline'); }")
    mended, told = await passes(watching, 1000)
    assert (len(mended), told) == (1, 1), "after a minute of quiet it is another matter"


async def test_of_a_connection_that_is_over_nothing_is_mended(watching: Page) -> None:
    await watching.evaluate("() => { window.write('offline'); window.one.forget(); }")
    assert await passes(watching, 90_000) == ([], 0)


# -------------------- a whole page, paired, at a real broker


class LostPhone(paho.Client):
    """It has its person's account, and writes there that another phone of that person is not there."""

    def __init__(self, broker: Mosquitto, topic: str) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, "lost")
        self.told: list[str] = []
        self.on_message = lambda _client, _data, packet: self.told.append(
            json.loads(packet.payload)["state"]
        )
        self.connect(broker.host, broker.port)
        self.subscribe(topic, 1)
        self.publish(topic, '{"v":1,"state":"offline"}', 1, retain=True)


@pytest.mark.broker
@pytest.mark.timeout(300)
async def test_a_lost_phone_that_says_the_other_is_away_is_overruled(
    browser: Browser, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    config = config_for(mosquitto.port, security=Security("refuse"))
    url = f"ws://127.0.0.1:{mosquitto.websocket_port}/"
    async with house(config, tmp_path, websocket_url=url) as one:
        assert one.appliance.page is not None
        assert one.appliance.invite is not None
        invited = await one.appliance.invite("Alice", None, None)
        link = link_of(one.appliance.page, invited.told["invitation"])
        context = await browser.new_context()
        async with opened(context, link) as tab:
            await part(tab, "pair").click()
            await expect(part(tab, "phone")).to_have_attribute("data-door", "online")
            await one.until_true(lambda: "alice" in one.appliance.engine.state.presence)
            [phone] = one.appliance.engine.state.presence["alice"]
            lost = LostPhone(mosquitto, f"appliance/presence/alice/{phone.endpoint}")
            lost.loop_start()
            try:
                await one.until_true(lambda: "offline" in lost.told and lost.told[-1] == "online")
                await one.until_true(
                    lambda: one.appliance.engine.state.presence.get("alice") == (phone,)
                )
            finally:
                await asyncio.to_thread(lost.disconnect)
                lost.loop_stop()
        await context.close()
