"""How soon a page notices that its network or its broker is gone, and how soon all is as before.

A whole appliance here, a real Chromium in a place of a network lab. The page itself comes by a bridge past
that network; its broker and its media go through it. The page notes each change of what it shows.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from appliance.config import Camera, Media, Security
from appliance.invitation import link_of
from appliance.model import Gesture
from tests.bench.losses import ahead_of_others
from tests.bench.table import Row
from tests.parts.bridge import bridged
from tests.parts.house import House, config_for, house
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program
from tests.parts.netlab import Netlab, netlab
from tests.parts.proxy import proxy_to
from tests.web.conftest import CHROMIUM, WITH_CONSENT, chromium
from tests.web.visiting import part, shows

RUNS = int(os.environ.get("OUTAGE_RUNS", "3"))
PATIENCE_MS = 60_000
REMEMBER = """() => {
  const phone = document.querySelector('[data-testid=phone]');
  window.changes = [];
  const note = () => {
    const now = [phone.dataset.state, phone.dataset.link];
    const last = window.changes.at(-1);
    if (last && last[1] === now[0] && last[2] === now[1]) return;
    window.changes.push([(performance.timeOrigin + performance.now()) / 1000, ...now]);
  };
  new MutationObserver(note).observe(phone, { attributes: true });
  note();
}"""
WAIT = """([since, column, value]) => {
  const found = window.changes.find((one) => one[0] >= since && one[column] === value);
  return found ? found[0] : false;
}"""
STATE, LINK = 1, 2

Figures = dict[str, list[float]]


def run() -> list[Row]:
    """All figures; none where the machine makes no networks."""
    try:
        with (
            ahead_of_others() as note,
            netlab("phone") as lab,
            tempfile.TemporaryDirectory() as folder,
        ):
            return asyncio.run(_measure(lab, Path(folder), note))
    except pytest.skip.Exception as why:
        return [Row(f"not measured: {why}", 0, "")]


async def _measure(lab: Netlab, folder: Path, note: str) -> list[Row]:
    broker = Mosquitto(program("mosquitto"), folder)
    broker.start()
    figures: Figures = {}
    async with AsyncExitStack() as stack:
        stack.callback(broker.kill)
        proxy = await stack.enter_async_context(proxy_to(broker.websocket_port, lab.host))
        config = config_for(
            broker.port,
            security=Security("refuse"),
            media=Media(width=320, height=180, framerate=15, bitrate_kbps=300),
            cameras={"front": Camera("test-card")},
        )
        url = f"ws://{lab.host}:{proxy.port}/"
        one = await stack.enter_async_context(house(config, folder, websocket_url=url))
        await stack.enter_async_context(bridged(lab["phone"], folder, config.http.port))
        there = lab["phone"].within(CHROMIUM, folder)
        browser = await stack.enter_async_context(chromium(*WITH_CONSENT, executable=there))
        assert one.appliance.invite is not None
        assert one.appliance.page is not None
        invited = await one.appliance.invite("Alice", None, None)
        tab = await browser.new_page()
        await tab.goto(link_of(one.appliance.page, invited.told["invitation"]))
        await part(tab, "pair").click()
        await shows(tab, "idle")
        await tab.evaluate(REMEMBER)
        for _ in range(RUNS):
            await _of_the_broker(lab, proxy.port, tab, figures)
            proxy.cut()
            since = time.time()
            _note(figures, "reset", await _when(tab, since, LINK, "away") - since)
            since = time.time()
            await _when(tab, since, LINK, "connected")
        for _ in range(RUNS):
            await _of_media(lab, one, tab, figures)
    return _rows(figures, note)


def _note(figures: Figures, name: str, seconds: float) -> None:
    figures.setdefault(name, []).append(seconds)


async def _when(tab: Page, since: float, column: int, value: str) -> float:
    """When the page first showed that, since then (seconds of `time.time`)."""
    found = await tab.wait_for_function(
        WAIT, arg=[since, column, value], timeout=PATIENCE_MS, polling=50
    )
    told: Any = await found.json_value()
    return float(told)


async def _of_the_broker(lab: Netlab, port: int, tab: Page, figures: Figures) -> None:
    await asyncio.sleep(random.uniform(0, 5))
    since = time.time()
    lab["phone"].block(port)
    _note(figures, "dead", await _when(tab, since, LINK, "away") - since)
    await asyncio.sleep(random.uniform(1, 8))
    since = time.time()
    lab.heal()
    _note(figures, "back", await _when(tab, since, LINK, "connected") - since)
    await asyncio.sleep(1)


async def _of_media(lab: Netlab, one: House, tab: Page, figures: Figures) -> None:
    one.told.clear()
    await one.until_true(lambda: "alice" in one.appliance.engine.state.presence)
    await one.appliance.board.press("bell_alice", Gesture.PRESS)
    await shows(tab, "incoming")
    await part(tab, "answer").click()
    await shows(tab, "in_call")
    await asyncio.sleep(2)

    since = time.time()
    lab["phone"].cut_off()
    _note(figures, "lost", await _when(tab, since, STATE, "reconnecting") - since)
    await asyncio.sleep(random.uniform(0.5, 4))
    since = time.time()
    lab.heal()
    _note(figures, "old way", await _when(tab, since, STATE, "in_call") - since)
    if await tab.locator("[data-testid=phone]").get_attribute("data-link") != "connected":
        await _when(tab, since, LINK, "connected")
    await asyncio.sleep(3)

    since = time.time()
    lab["phone"].readdress()
    lost = await _when(tab, since, STATE, "reconnecting")
    restored = await _when(tab, lost, STATE, "in_call")
    links = await tab.evaluate("window.changes")
    online = [at for at, _, link in links if since < at <= restored and link == "connected"]
    away = [at for at, _, link in links if since < at <= restored and link == "away"]
    _note(figures, "new address", restored - since)
    if away and online and max(online) > min(away):
        back = min(at for at in online if at > min(away))
        _note(figures, "new address, from the broker on", restored - back)
    await part(tab, "hang-up").click()
    await one.until("call_ended")
    await shows(tab, "ended")
    await part(tab, "call").wait_for()


def _rows(figures: Figures, note: str) -> list[Row]:
    promises = (
        ("page: a reset of the broker is noticed after", "reset", 1.0),
        ("page: a dead way to the broker, idle", "dead", 12.0),
        ("page: from its return to connected", "back", 5.0),
        ("page: connection_lost after", "lost", 2.5),
        ("page: restored, the old way", "old way", 1.0),
        ("page: restored after the broker, new address", "new address, from the broker on", 1.5),
        ("page: from another address to restored", "new address", None),
    )
    return [
        Row(name, max(figures[key]), "s", most=most, note=f"{len(figures[key])} times, {note}")
        for name, key, most in promises
        if key in figures
    ]
