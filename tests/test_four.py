"""Four participants hold a session for a minute: the appliance, two people with browsers, a third party.

All of it is real: the broker, both Chromiums and the network of one of them, which has a cable that is
pulled; the fourth is an independent endpoint that knows the documented messages only.
"""

from __future__ import annotations

import asyncio
import math
import struct
import wave
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from playwright.async_api import BrowserType, Locator, Page, expect

from appliance.config import Config, Group, Security
from appliance.invitation import link_of
from tests.parts.cable import cable
from tests.parts.guest import Guest, guest
from tests.parts.house import House, config_for, house
from tests.parts.mosquitto import Mosquitto, mosquitto
from tests.parts.pen import Pen
from tests.parts.proxy import proxy_to
from tests.parts.told import Item, name_of
from tests.parts.urgency import urgent, urgently
from tests.web.conftest import CHROMIUM, WITH_CONSENT, another, starting
from tests.web.visiting import part, shows

__all__ = ["mosquitto"]

pytestmark = [pytest.mark.browser, pytest.mark.broker, pytest.mark.timeout(600)]

PATIENCE_S = 90.0
"""Far longer than anything takes; only a fault waits for it."""
A_MINUTE_S = 60
SMALL = "camera=160x90@5"
DOOR = "front-door"
TONES_HZ = {DOOR: 440, "alice": 900, "bob": 1400, "carol": 2000}
"""What each of them says all the time."""
CAMERA, SCREEN = False, True
A_SECOND = 50
"""Of sound, in packets."""
MORE_PICTURES = 5
"""Few: who cannot keep up on a busy computer gets a keyframe every few seconds (`media/steering.py`)."""

REMEMBER_CONNECTIONS = """
  const connections = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...settings) {
      super(...settings);
      connections.push(this);
    }
  };
  window.decodedOf = async (video) => {
    /* of which source (RFC 3550), and how many */
    const tracks = video.srcObject?.getVideoTracks() ?? [];
    for (const receiver of connections.flatMap((one) => one.getReceivers())) {
      if (!tracks.includes(receiver.track)) continue;
      for (const stats of (await receiver.getStats()).values()) {
        if (stats.type === 'inbound-rtp') return [stats.ssrc, stats.framesDecoded ?? 0];
      }
    }
    return null;
  };
  window.openConnections = () =>
    connections.filter(({ connectionState }) => connectionState !== 'closed').length;
"""
"""The page keeps its connections to itself, so that a test has to be there when they are made."""
"""How many pictures of a tile were decoded, as the browser's statistics have it."""

TONE = """async (video) => {
  const sound = video.srcObject?.getAudioTracks() ?? [];
  if (sound.length === 0) return 0;
  const context = new AudioContext();
  await context.resume();
  const analyser = context.createAnalyser();
  analyser.fftSize = 16384;
  context.createMediaStreamSource(new MediaStream(sound)).connect(analyser);
  await new Promise((done) => { setTimeout(done, 600); });
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const loudest = bins.indexOf(Math.max(...bins));
  await context.close();
  return (loudest * context.sampleRate) / analyser.fftSize;
}"""
"""The loudest frequency of what comes from somebody, in Hz."""


# -------------------- the four of them


@dataclass
class Four:
    """The session: the door that is its host, two pages, and the third party."""

    door: House
    alice: Page
    bob: Page
    carol: Guest
    """In the order in which they joined."""
    shown: Counter[tuple[str, bool]]
    """How many pictures of each, camera or screen, the door's own screen was given."""
    pull: Callable[[], None]
    plug: Callable[[], None]
    """Bob's cable."""

    @property
    def pages(self) -> dict[str, Page]:
        return {"alice": self.alice, "bob": self.bob}

    def call(self) -> dict[str, Any]:
        """The session, as the door has it."""
        call: dict[str, Any] | None = self.door.appliance.session.status()["call"]
        assert call is not None
        return call

    def listed(self) -> list[str]:
        """Who is in it, as the door has it."""
        return [DOOR, *(one["uid"] for one in self.call()["participants"])]

    def state_of(self, uid: str) -> str:
        """How somebody is connected with the door."""
        (state,) = (one["state"] for one in self.call()["participants"] if one["uid"] == uid)
        return str(state)

    def connections(self) -> dict[str, int]:
        """How many connections the door has with each endpoint."""
        found: dict[str, int] = self.door.appliance.session.status()["media"]["connections"]
        return found

    def heard_hz(self) -> float:
        """What is loudest at the door."""
        return self.door.appliance.session.status()["media"]["speaker"]["tone_hz"] or 0.0

    async def toggle_carol(self) -> None:
        """Carol mutes herself, or speaks again."""
        self.carol.muted = not self.carol.muted
        await self.carol.tell(audio_muted=self.carol.muted)


def about(uid: str) -> Callable[[Item], bool]:
    """Whether an event is about that participant."""
    return lambda item: item["data"]["participant"]["uid"] == uid


def voice(folder: Path, uid: str) -> Path:
    """What a browser's microphone hears: a beep that no noise suppression takes for noise."""
    path = folder / f"{uid}.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(48000)
        for at in range(48000 * 2):
            loud = 12000 if at // 9600 % 2 == 0 else 0
            sample = int(loud * math.sin(2 * math.pi * TONES_HZ[uid] * at / 48000))
            sound.writeframesraw(struct.pack("<h", sample))
    return path


def small(port: int, origin: str) -> Config:
    """Four of them fit on two cores; who is rung may come in, each of them."""
    config = config_for(port)
    residents = Group(members=("alice", "bob", "carol"), policy="all")
    media = replace(config.media, width=160, height=96, framerate=5, bitrate_kbps=100)
    http = replace(config.http, origins=(origin,))
    return replace(config, groups={"residents": residents}, media=media, http=http)


@asynccontextmanager
async def at_home(
    kind: BrowserType, one: House, url: str, uid: str, folder: Path, executable: Path
) -> AsyncIterator[Page]:
    """Somebody with a browser of its own, which is paired and can be rung."""
    assert one.appliance.invite is not None
    invited = await one.appliance.invite(uid.title(), None, None)
    errors: list[str] = []
    flags = [
        *WITH_CONSENT,
        f"--use-file-for-fake-audio-capture={voice(folder, uid)}",
        f"--unsafely-treat-insecure-origin-as-secure={url.rstrip('/')}",
        "--window-size=640,360",
    ]
    async with another(kind, *flags, executable=executable) as browser:
        page = await browser.new_page(
            viewport={"width": 900, "height": 480}, reduced_motion="reduce"
        )
        page.set_default_timeout(1000 * PATIENCE_S)
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.add_init_script(REMEMBER_CONNECTIONS)
        await page.goto(link_of(f"{url}/?{SMALL}", invited.told["invitation"]))
        await part(page, "pair").click()
        await expect(part(page, "phone")).to_have_attribute("data-door", "online")
        await shows(page, "idle")
        await part(page, "with-camera").click()
        yield page
    assert errors == []


@asynccontextmanager
async def all_at_home(
    broker: Mosquitto, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Four]:
    """Everybody is online, and nobody is called yet."""
    async with AsyncExitStack() as stack:
        stack.enter_context(urgent())
        browser = urgently(CHROMIUM, folder)
        wire = stack.enter_context(cable())
        sockets = await stack.enter_async_context(proxy_to(broker.websocket_port, wire.host))
        config, pen = small(broker.port, ""), Pen()
        known = replace(config.contacts["carol"], keys=(pen.public,))
        contacts = {**config.contacts, "carol": known}
        config = replace(config, contacts=contacts, security=Security(unsigned="refuse"))
        web = await stack.enter_async_context(proxy_to(config.http.port, wire.host))
        url = f"http://{wire.host}:{web.port}"
        config = replace(config, http=replace(config.http, origins=(url,)))
        websocket_url = f"ws://{wire.host}:{sockets.port}/"
        one = await stack.enter_async_context(house(config, folder, websocket_url=websocket_url))
        kind = await stack.enter_async_context(starting())
        alice = await stack.enter_async_context(at_home(kind, one, url, "alice", folder, browser))
        cut_off = wire.within(browser, folder)
        bob = await stack.enter_async_context(at_home(kind, one, url, "bob", folder, cut_off))

        def dress(carol: Guest) -> None:
            carol.hertz, carol.colour = TONES_HZ["carol"], (180, 60, 60)
            carol.pen = pen

        carol = await stack.enter_async_context(guest("carol", broker.port, dress=dress))
        shown = watched(one, monkeypatch)
        yield Four(one, alice, bob, carol, shown, wire.pull, wire.plug)


def watched(one: House, monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, bool]]:
    """Count what the door's own screen is given."""
    screen = one.appliance.screen
    assert screen is not None
    show, shown = screen.show, Counter[tuple[str, bool]]()

    def count(uid: str, endpoint: str, is_screen: bool, frame: Any) -> None:
        shown[uid, is_screen] += 1
        show(uid, endpoint, is_screen, frame)

    monkeypatch.setattr(screen, "show", count)
    return shown


# -------------------- what one can tell of them


def part_of(page: Page, uid: str) -> Locator:
    """The picture of somebody, in somebody else's page."""
    return part(page, f"tile-{uid}").locator("video")


async def decoded(video: Locator) -> tuple[int, int] | None:
    found: tuple[int, int] | None = await video.evaluate("(video) => decodedOf(video)")
    return found


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what no event tells of."""
    async with asyncio.timeout(PATIENCE_S):
        while not await true():  # noqa: ASYNC110 - a page tells nobody what it has decoded
            await asyncio.sleep(0.2)


@contextmanager
def expecting(sentence: str) -> Iterator[None]:
    """Say what it was that did not come about."""
    try:
        yield
    except TimeoutError as error:
        raise AssertionError(f"it did not come about that {sentence}") from error


class More:
    """Whether there are so many more than at first, on any one connection."""

    def __init__(self) -> None:
        self._at_first: dict[object, int] = {}

    def are_there(self, connection: object, now: int, many: int = MORE_PICTURES) -> bool:
        """So many there are now, of the connection that there is now."""
        return now >= self._at_first.setdefault(connection, now) + many


async def sees(video: Locator) -> None:
    """New pictures are decoded."""
    more = More()

    async def does() -> bool:
        found = await decoded(video)
        return found is not None and more.are_there(*found)

    await until(does)


async def hears(video: Locator, hertz: float) -> None:
    async def does() -> bool:
        heard: float = await video.evaluate(TONE)
        return abs(heard - hertz) < 20

    await until(does)


async def lists_are_equal(four: Four, *uids: str) -> None:
    """Whom each knows of, in the order in which they came."""
    order = [DOOR, *uids]
    await four.door.until_true(lambda: four.listed() == order)
    for uid, page in four.pages.items():
        if uid in uids:
            rows = [f"member-{one}" for one in order if one != uid]
            members = part(page, "members").locator("li")
            await expect(members).to_have_count(len(order))
            shown = await members.evaluate_all("(all) => all.map((one) => one.dataset.testid)")
            assert shown == [*rows, "member-me"]
    if "carol" in uids:
        await four.door.until_true(lambda: [one["uid"] for one in four.carol.listed] == order)


async def all_have_all(four: Four) -> None:
    """Everybody sees and hears everybody else, and nobody twice."""
    async with asyncio.TaskGroup() as tasks:
        for uid, page in four.pages.items():
            for other in {*TONES_HZ} - {uid}:
                await expect(part(page, f"tile-{other}")).to_have_attribute(
                    "data-state", "connected"
                )
                tasks.create_task(page_has(uid, page, other))
        for other in {*TONES_HZ} - {"carol"}:
            tasks.create_task(carol_has(four, other))
        tasks.create_task(the_door_sees(four, *four.pages, "carol"))
    # one that was replaced is closed when the other stands
    for uid, page in four.pages.items():
        with expecting(f"{uid} has one connection with each"):
            await until(partial(has_open, page, len(TONES_HZ) - 1))
    await four.door.until_true(lambda: [*four.connections().values()] == [1, 1, 1])


async def page_has(uid: str, page: Page, other: str) -> None:
    with expecting(f"{uid} sees {other}"):
        await sees(part_of(page, other))
    with expecting(f"{uid} hears {other}"):
        await hears(part_of(page, other), TONES_HZ[other])


async def carol_has(four: Four, uid: str) -> None:
    pictures, packets = More(), More()

    async def sees_more() -> bool:
        media = (await four.carol.talks(uid)).media
        return pictures.are_there(media, media.pictures)

    async def hears_it() -> bool:
        media = (await four.carol.talks(uid)).media
        is_new = packets.are_there(media, len(media.samples), A_SECOND)
        return is_new and abs(media.tone_hz() - TONES_HZ[uid]) < 20

    with expecting(f"carol sees {uid}"):
        await until(sees_more)
    with expecting(f"carol hears {uid}"):
        await until(hears_it)


async def the_door_sees(four: Four, *uids: str) -> None:
    before = four.shown.copy()
    await four.door.until_true(
        lambda: all(four.shown[uid, CAMERA] >= before[uid, CAMERA] + 5 for uid in uids)
    )


async def all_are_heard_at_the_door(four: Four) -> None:
    """One after the other says something."""
    speakers: dict[str, Callable[[], Awaitable[None]]] = {
        uid: part(page, "mute").click for uid, page in four.pages.items()
    }
    speakers["carol"] = four.toggle_carol
    for toggle in speakers.values():
        await toggle()
    for uid, toggle in speakers.items():
        await toggle()
        await four.door.until_true(lambda: abs(four.heard_hz() - TONES_HZ[uid]) < 20)  # noqa: B023
        await toggle()
    for toggle in speakers.values():
        await toggle()


# -------------------- what happens


async def all_take_the_call(four: Four) -> None:
    """The bell is pressed, and each comes in when the one before is there."""
    await four.door.appliance.board.press("call")
    for uid, page in four.pages.items():
        await shows(page, "incoming")
        await part(page, "answer").click()
        await four.door.until("participant_joined", about(uid))
    await four.carol.takes()
    await four.door.until("participant_joined", about("carol"))


async def bob_loses_his_network_and_returns(four: Four) -> None:
    alice, bob = four.alice, four.bob
    four.pull()
    await four.door.until_true(lambda: four.state_of("bob") == "reconnecting")
    await expect(part(alice, "tile-bob")).to_have_attribute("data-state", "reconnecting")
    await shows(bob, "reconnecting")
    await lists_are_equal(four, "alice", "bob", "carol")
    four.plug()
    await shows(bob, "in_call")
    await four.door.until_true(lambda: four.state_of("bob") == "connected")
    await expect(part(alice, "tile-bob")).to_have_attribute("data-state", "connected")
    # her aiortc would wait for what was lost for good, so she puts another connection in its place
    (endpoint,) = (where for where in four.carol.links if where[0] == "bob")
    await four.carol.replace(endpoint)
    assert "participant_left" not in four.door.names()


async def alice_shares_her_screen(four: Four) -> None:
    await part(four.alice, "share").click()
    await four.door.until("participant_started_screen_share", about("alice"))
    await sees(part(four.bob, "screen-alice").locator("video"))
    more = More()

    async def carol_sees_it() -> bool:
        screen = (await four.carol.talks("alice")).screen
        return more.are_there(screen, screen.pictures)

    with expecting("carol sees the screen"):
        await until(carol_sees_it)
    await four.door.until_true(lambda: four.shown["alice", SCREEN] > 2)
    await part(four.alice, "share").click()
    await four.door.until("participant_stopped_screen_share", about("alice"))
    await expect(part(four.bob, "screen-alice")).to_have_count(0)


async def alice_takes_bob_out(four: Four) -> None:
    await part(four.alice, "show-people").click()
    await part(four.alice, "kick-bob").click()
    left = await four.door.until("participant_left", about("bob"))
    assert left["data"]["reason"] == "kicked_out"
    await shows(four.bob, "ended", "kicked_out")
    await expect(part(four.bob, "title")).to_have_text("You were taken out of the call")
    await expect(part(four.bob, "line")).to_have_text("Alice ended your part of the call.")
    await lists_are_equal(four, "alice", "carol")
    await expect(part(four.alice, "tile-bob")).to_have_count(0)


async def the_minute_is_over(four: Four) -> None:
    # on a quick machine most of it is still to come
    async with asyncio.timeout(2 * A_MINUTE_S):
        while four.call()["duration_s"] < A_MINUTE_S:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.1)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(page_has("alice", four.alice, DOOR))
        tasks.create_task(page_has("alice", four.alice, "carol"))
        tasks.create_task(carol_has(four, DOOR))
        tasks.create_task(carol_has(four, "alice"))
        tasks.create_task(the_door_sees(four, "alice", "carol"))


async def has_open(page: Page, connections: int) -> bool:
    there_are: int = await page.evaluate("openConnections()")
    return there_are == connections


async def all_leave(four: Four) -> None:
    await four.carol.leaves()
    left = await four.door.until("participant_left", about("carol"))
    assert left["data"]["reason"] == "left"
    await lists_are_equal(four, "alice")
    await part(four.alice, "hang-up").click()
    await shows(four.alice, "ended", "local_hang_up")
    ended = await four.door.until("call_ended")
    assert ended["data"]["reason"] == "remote_hang_up"
    assert ended["data"]["duration_s"] >= A_MINUTE_S
    assert four.door.names()[-1] == "call_ended"
    for page in four.pages.values():
        with expecting("the pages close their connections"):
            await until(partial(has_open, page, 0))
    await four.door.until_true(lambda: four.connections() == {})
    assert four.door.appliance.session.status()["media"]["microphone_open"] is False


async def test_four_hold_a_session_for_a_minute(
    mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as in every run but the tests': watching each step costs more than sound and pictures of all four
    asyncio.get_running_loop().set_debug(enabled=False)
    async with all_at_home(mosquitto, tmp_path, monkeypatch) as four:
        await all_take_the_call(four)
        await lists_are_equal(four, "alice", "bob", "carol")
        await all_have_all(four)
        await all_are_heard_at_the_door(four)
        await bob_loses_his_network_and_returns(four)
        await all_have_all(four)
        await alice_shares_her_screen(four)
        await alice_takes_bob_out(four)
        await the_minute_is_over(four)
        joined = [one for one in four.door.told if name_of(one) == "participant_joined"]
        assert [one["data"]["participant"]["uid"] for one in joined] == ["alice", "bob", "carol"]
        await all_leave(four)
