"""Who a tab is: over reloads, beside its duplicate, with any clock, where the browser keeps nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest
from playwright.async_api import BrowserContext, Page

from appliance.config import Device, Http, Mqtt
from appliance.invitation import link_of
from appliance.trust.keys import DeviceKey, encoded
from appliance.web.server import WebServer
from tests.web.visiting import opened, part, shows

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

NUMBERS = """async () => {
  const { nextSeq } = await import('/identity.js');
  const clock = Date.now;
  const said = [nextSeq(), nextSeq()];
  Date.now = () => 5; // set back
  said.push(nextSeq(), nextSeq());
  Date.now = () => clock() + 1000;
  sessionStorage.setItem('appliance.seq', '7'); // brought back as it was once
  said.push(nextSeq());
  sessionStorage.removeItem('appliance.seq');
  Date.now = () => clock() + 2000;
  said.push(nextSeq());
  Date.now = clock;
  return said;
}"""

NOTHING_KEPT = """
  const denied = () => { throw new DOMException('denied', 'SecurityError'); };
  for (const kept of ['localStorage', 'sessionStorage']) {
    Object.defineProperty(window, kept, { get: denied });
  }
  indexedDB.open = denied;
  navigator.locks.request = async () => denied();
"""
"""As a browser does of which the owner has switched off what sites keep."""

WHO = """async () => {
  const { tabEndpoint, nextSeq } = await import('/identity.js');
  return [await tabEndpoint(), nextSeq(), nextSeq()];
}"""

MARK = "async () => (await import('/identity.js')).tabMark()"


Unsigned = Literal["refuse", "allow"]


def server(unsigned: Unsigned = "refuse") -> WebServer:
    """Whose page this is; there is no broker."""
    mqtt = Mqtt(websocket_url="ws://127.0.0.1:1/")
    return WebServer(Device(), mqtt, Http(port=0), status=dict, unsigned=unsigned)


@asynccontextmanager
async def visit(modules: Page) -> AsyncIterator[BrowserContext]:
    """The same browser as if it had never been here."""
    assert modules.context.browser is not None
    context = await modules.context.browser.new_context()
    yield context
    await context.close()


async def test_numbers_rise_whatever_clock_and_storage_do(modules: Page) -> None:
    """A restored tab that counted from lower would be refused as a replay until it has caught up."""
    said = await modules.evaluate(NUMBERS)
    assert said == sorted(set(said))
    assert said[-1] < 2**53


async def test_a_reload_stays_who_it_is_and_a_duplicated_tab_is_another(modules: Page) -> None:
    async with server() as one, visit(modules) as context:
        tab, duplicate = await context.new_page(), await context.new_page()
        await tab.goto(f"{one.url}healthz")
        await duplicate.goto(f"{one.url}healthz")
        before, _, last = await tab.evaluate(WHO)
        kept = await tab.evaluate("() => ({ ...sessionStorage })")
        await duplicate.evaluate("(kept) => Object.assign(sessionStorage, kept)", kept)
        assert (await duplicate.evaluate(WHO))[0] != before, "two would throw each other out"
        await tab.reload()
        after, first, _ = await tab.evaluate(WHO)
        assert after == before
        assert first > last


async def test_a_reload_keeps_what_makes_its_client_id_its_own_and_another_tab_has_another(
    modules: Page,
) -> None:
    async with server() as one, visit(modules) as context:
        tab, other = await context.new_page(), await context.new_page()
        await tab.goto(f"{one.url}healthz")
        await other.goto(f"{one.url}healthz")
        mark = await tab.evaluate(MARK)
        assert re.fullmatch("[0-9a-f]{32}", mark)
        assert await other.evaluate(MARK) != mark
        await tab.reload()
        assert await tab.evaluate(MARK) == mark


KEEP = """async (pairing) => {
  const { keep } = await import('/pairings.js');
  const { makeSigner } = await import('/jws.js');
  await keep({ ...pairing, paired_at: 1, signer: await makeSigner() });
}"""


async def test_an_invitation_with_another_key_than_is_pinned_says_so(modules: Page) -> None:
    """A link is easily sent, and who takes it believes that key alone from then on."""
    words = {
        "v": 1,
        "root": "appliance",
        "device_id": Device().id,
        "public_key": DeviceKey.make().public,
        "websocket_url": "ws://127.0.0.1:1/",
        "username": "alice",
        "password": None,
        "uid": "alice",
        "name": "Alice",
        "secret": encoded(bytes(16)),
    }
    async with server() as one, visit(modules) as context, opened(context, one.url) as tab:

        async def asked() -> str:
            """What one says yes to."""
            await tab.goto("about:blank")
            await tab.goto(link_of(one.url, words))
            await shows(tab, "pairing")
            return f"{await part(tab, 'title').inner_text()} {await part(tab, 'line').inner_text()}"

        first = await asked()
        await tab.evaluate(KEEP, words)
        again = await asked()
        words["public_key"] = DeviceKey.make().public
        other = await asked()
        words["uid"] = "bob"
        anothers = await asked()
    assert (first.startswith("Pair this phone?"), "another key" in first) == (True, False)
    assert (again.startswith("Pair this phone again?"), "another key" in again) == (True, False)
    assert (other.startswith("Pair this phone again?"), "another key" in other) == (True, True)
    assert (anothers.startswith("Pair this phone?"), "another key" in anothers) == (True, True)


@pytest.mark.parametrize(
    ("unsigned", "state", "title"),
    [
        ("refuse", "failed", "This phone is not paired"),
        ("allow", "signed_out", "Who are you?"),
    ],
)
async def test_a_browser_that_keeps_nothing_is_told_what_it_can(
    modules: Page, unsigned: Unsigned, state: str, title: str
) -> None:
    async with server(unsigned) as one, visit(modules) as context:
        await context.add_init_script(NOTHING_KEPT)
        async with opened(context, one.url) as tab:
            await shows(tab, state)
            assert await part(tab, "title").inner_text() == title
            endpoint, first, second = await tab.evaluate(WHO)
            assert endpoint.startswith("page-")
            assert second > first
