"""A Chromium, a broker with WebSockets, and the page between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserType, Page, async_playwright

from appliance.config import Button, Contact, Device, Http, Mqtt
from appliance.web.server import WebServer
from tests.parts.door import Door, door
from tests.parts.mosquitto import Mosquitto, mosquitto
from tests.parts.need import skip_or_fail
from tests.web.station import Station

__all__ = ["mosquitto"]

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NEEDLESS = [
    # what proposes addresses to type is drawn anew behind each window: as dear as the page itself
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    # Playwright's own (its chromiumSwitches), which it names in the same flag: the last one counts
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
]
"""Of Chromium's features."""
WITH_CONSENT = [
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--auto-select-desktop-capture-source=Entire screen",
]


@asynccontextmanager
async def chromium(
    *flags: str, without: tuple[str, ...] = (), executable: Path = CHROMIUM
) -> AsyncIterator[Browser]:
    """A real Chromium with a fake microphone and camera, and `without` some features more.

    `executable` may start it elsewhere.
    """
    async with (
        starting() as kind,
        another(kind, *flags, without=without, executable=executable) as browser,
    ):
        yield browser


@asynccontextmanager
async def starting() -> AsyncIterator[BrowserType]:
    """Playwright, which starts any number of them."""
    if not CHROMIUM.exists():
        skip_or_fail(f"{CHROMIUM} is not installed (apt install chromium)")
    async with async_playwright() as playwright:
        yield playwright.chromium


@asynccontextmanager
async def another(
    kind: BrowserType,
    *flags: str,
    without: tuple[str, ...] = (),
    executable: Path = CHROMIUM,
) -> AsyncIterator[Browser]:
    """The same by a Playwright that is there: half of what it costs."""
    args = [*FLAGS, f"--disable-features={','.join([*NEEDLESS, *without])}", *flags]
    async with await kind.launch(
        executable_path=executable, args=args, chromium_sandbox=False
    ) as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kind() -> AsyncIterator[BrowserType]:
    """Starts browsers, one for all tests of a file: that costs more than most of what they do."""
    async with starting() as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(kind: BrowserType) -> AsyncIterator[Browser]:
    """A Chromium whose user says yes to everything."""
    async with another(kind, *WITH_CONSENT) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def browser(started: Browser) -> AsyncIterator[Browser]:
    """The file's Chromium, in which a test closes whatever it opens."""
    before = started.contexts
    yield started
    left = [one for one in started.contexts if one not in before]
    for one in left:
        await one.close()
    assert not left, "the test left something open in the browser"


@pytest.fixture
def station() -> Station:
    """The simulated door station behind the demo's page."""
    return Station()


PEOPLE = {"alice": Contact(name="Alice"), "bob": Contact(name="Bob")}
BUTTONS = {
    "call": Button(pin="GPIO17", press="call"),
    "bell_alice": Button(pin="GPIO27", press="call:user:alice"),
    "bell_bob": Button(pin="GPIO22", press="call:user:bob"),
    "answer": Button(pin="GPIO5", press="answer", hold="decline", hold_s=0.5),
    "mute": Button(pin="GPIO6", press="toggle_audio", double_press="chat"),
    "unlock": Button(pin="GPIO13", press="unlock"),
}


@asynccontextmanager
async def page_server(
    mosquitto: Mosquitto, station: Station | None = None
) -> AsyncIterator[WebServer]:
    """The web server, as the demo has it where there is a station."""
    async with WebServer(
        Device(id="front-door", name="Front door", board="simulated"),
        Mqtt(),
        Http(port=0),
        status=lambda: {"mqtt": "connected"},
        websocket_url=f"ws://127.0.0.1:{mosquitto.websocket_port}/",
        demo=station.demo(PEOPLE, BUTTONS) if station else None,
    ) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def server(mosquitto: Mosquitto, station: Station) -> AsyncIterator[WebServer]:
    """The demo's web server."""
    async with page_server(mosquitto, station) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def front_door(mosquitto: Mosquitto) -> AsyncIterator[Door]:
    """The far side; what is sent to it against the document is a fault."""
    async with door(mosquitto.host, mosquitto.port) as one:
        yield one
        assert one.faults == []


PURE = [
    "call",
    "envelope",
    "identity",
    "jws",
    "trust",
    "pairing",
    "pairings",
    "words",
    "notes",
    "people",
    "tiles",
    "gestures",
    "doorlink",
    "media",
    "capture",
    "speaker",
]
IMPORT_ALL = "(names) => Promise.all(names.map(async (name) => { await import(`/${name}.js`); }))"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def modules(started: Browser) -> AsyncIterator[Page]:
    """A document of the server's from which the page's modules can be imported, without the page.

    One for all tests of a file: what they import keeps nothing.
    """
    async with (
        WebServer(Device(), Mqtt(), Http(port=0), status=dict) as one,
        await started.new_page() as page,
    ):
        await page.goto(f"{one.url}healthz")
        # now, so that no test is the one that opened the connection
        await page.evaluate(IMPORT_ALL, PURE)
        yield page
