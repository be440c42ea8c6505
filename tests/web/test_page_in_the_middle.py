"""A broker in the middle of a door and a paired page in Chromium: neither believes what it changes.

Of two devices this is `tests/test_in_the_middle.py`; here one end writes its offers into its invites, and
is what people have in their hands.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from appliance.config import Security
from appliance.invitation import link_of
from appliance.model import Gesture
from tests.parts import need
from tests.parts.house import House, config_for, house
from tests.parts.middle import Middle, middle
from tests.parts.mosquitto import Mosquitto
from tests.web.visiting import part, shows

pytestmark = [
    pytest.mark.browser,
    pytest.mark.broker,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]

DOOR, ALICE = "front-door", "alice"
ADVANCES = """async (video) => {
  while (video.getVideoPlaybackQuality().totalVideoFrames < 5) {
    await new Promise((done) => { setTimeout(done, 50); });
  }
}"""


@asynccontextmanager
async def paired(tab: Page, between: Middle, folder: Path, pages: int) -> AsyncIterator[House]:
    """A door that believes nobody without a key, and a page that is Alice's phone, over the middle."""
    config = config_for(between.ports[DOOR], security=Security("refuse"))
    async with house(config, folder, websocket_url=f"ws://127.0.0.1:{pages}/") as one:
        assert one.appliance.invite is not None
        assert one.appliance.page is not None
        invited = await one.appliance.invite("Alice", None, None)
        await tab.goto(link_of(one.appliance.page, invited.told["invitation"]))
        await part(tab, "pair").click()
        await shows(tab, "idle")
        await expect(part(tab, "phone")).to_have_attribute("data-door", "online")
        await one.until_true(lambda: ALICE in one.appliance.engine.state.presence)
        yield one


async def test_neither_door_nor_page_believes_what_is_changed(
    browser: Browser, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    (tmp_path / "pages").mkdir()
    other = Mosquitto(need.program("mosquitto"), tmp_path / "pages")
    other.start()
    tab = await browser.new_page()
    warned: list[str] = []
    tab.on("console", lambda said: warned.append(said.text))
    try:
        ports = {DOOR: mosquitto.port, ALICE: other.port}
        async with (
            middle(ports, need.own_address()) as between,
            paired(tab, between, tmp_path, other.websocket_port) as one,
        ):
            await the_door_believes_nothing(tab, one, between)
            await the_page_believes_nothing(tab, one, between, warned)

            await between.begins_anew()
            await rung_and_answered(tab, one)
            await shows(tab, "in_call")
            await part(tab, "picture").evaluate(ADVANCES)
            assert between.passed["accept"], "it goes over the middle, which changes nothing"
            await part(tab, "hang-up").click()
            await one.until_true(lambda: not one.appliance.engine.state.calls)
    finally:
        await tab.close()
        other.kill()


async def rung_and_answered(tab: Page, one: House) -> None:
    """The bell, once the door has heard of the end of the call before, and she takes it."""
    await one.until_true(lambda: not one.appliance.engine.state.calls)
    await one.appliance.board.press("bell_alice", Gesture.PRESS)
    await shows(tab, "incoming")
    await part(tab, "answer").click()


async def the_door_believes_nothing(tab: Page, one: House, between: Middle) -> None:
    """Neither who calls, nor who takes a call."""

    async def refused(type_: str) -> None:
        def each_is_counted() -> bool:
            rejected = one.appliance.rejected
            return between.said[type_] > 0 and rejected == between.refused[DOOR]

        await one.until_true(each_is_counted)
        assert between.came() == {}, "not one packet, of whatever kind"

    await between.begins_anew(["invite"])
    await part(tab, "call").click()
    await refused("invite")
    await shows(tab, "outgoing")
    await part(tab, "hang-up").click()
    assert "incoming_call_received" not in one.names()
    await part(tab, "call").wait_for()

    await between.begins_anew(["accept"])
    await rung_and_answered(tab, one)
    await refused("accept")
    await shows(tab, "connecting")
    await one.appliance.session.end_call()
    await shows(tab, "ended")
    await part(tab, "call").wait_for()


async def the_page_believes_nothing(
    tab: Page, one: House, between: Middle, warned: list[str]
) -> None:
    """It says so, and is not led elsewhere."""

    def any_is(code: str) -> bool:
        return any(each.startswith(code) for each in warned)

    async def refused(type_: str) -> None:
        await one.until_true(lambda: between.said[type_] > 0)
        warned.clear()
        for code in ("unverifiable", "other_key"):
            await one.until_true(partial(any_is, code))
        await shows(tab, "connecting" if type_ == "answer" else "outgoing")
        assert set(between.came()) <= {"check"}, (
            "answers to its own, for which a password is enough"
        )
        await expect(part(tab, "problem")).to_contain_text("another key")

    await between.begins_anew(["accept"])
    await part(tab, "call").click()
    await one.until("incoming_call_received")
    await one.appliance.board.press("answer", Gesture.PRESS)
    await refused("accept")
    await part(tab, "hang-up").click()
    await part(tab, "call").wait_for()

    await between.begins_anew(["answer"])
    await rung_and_answered(tab, one)
    await refused("answer")
    await part(tab, "hang-up").click()
    await part(tab, "call").wait_for()
