"""A phone is paired, and believes nobody without a key: a whole appliance, mosquitto, Chromium."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from playwright.async_api import Browser, Page, expect

from appliance.config import Security
from appliance.invitation import link_of
from appliance.model import Gesture
from appliance.trust.jws import seal
from appliance.trust.keys import DeviceKey
from tests.parts.house import House, config_for, house
from tests.parts.mosquitto import Mosquitto
from tests.web.visiting import opened, part, shows

pytestmark = [
    pytest.mark.browser,
    pytest.mark.broker,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]

DOOR = "front-door"
INBOX = f"appliance/call/alice/{DOOR}"
REMEMBER_STATES = """() => {
  const phone = document.querySelector('[data-testid=phone]');
  window.states = [];
  new MutationObserver(() => {
    if (window.states.at(-1) !== phone.dataset.state) window.states.push(phone.dataset.state);
  }).observe(phone, { attributeFilter: ['data-state'] });
}"""
ADVANCES = """async (video) => {
  const before = video.getVideoPlaybackQuality().totalVideoFrames;
  while (video.getVideoPlaybackQuality().totalVideoFrames < before + 5) {
    await new Promise((done) => { setTimeout(done, 50); });
  }
}"""

UNABLE = """
  const lacking = new URLSearchParams(location.search).get('no');
  const cannot = () => { throw new Error('no'); };
  if (lacking === 'keys') crypto.subtle.generateKey = cannot;
  if (lacking === 'storage') {
    indexedDB.open = cannot;
    navigator.locks.request = async () => cannot();
    for (const kept of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(window, kept, { get: cannot });
    }
  }
"""
"""A browser without what a pairing needs."""


class Stranger:
    """Somebody else at the broker, who reads everything and writes wherever it likes."""

    def __init__(self, broker: Mosquitto) -> None:
        self.recorded: list[tuple[str, bytes]] = []
        client = self._client = paho.Client(CallbackAPIVersion.VERSION2, "stranger")
        client.on_message = self._hears
        client.on_connect = self._connected
        client.connect(broker.host, broker.port)
        client.loop_start()

    def _connected(self, client: paho.Client, *_: Any) -> None:
        client.subscribe("appliance/#", 1)

    def _hears(self, _client: Any, _data: Any, packet: paho.MQTTMessage) -> None:
        self.recorded.append((packet.topic, bytes(packet.payload)))

    async def says(self, topic: str, payload: bytes | str) -> None:
        """Publish, and wait until the broker has it: what others publish later comes later."""
        info = self._client.publish(topic, payload, 1)
        await asyncio.to_thread(info.wait_for_publish, 30)

    def heard(self, topic: str) -> list[bytes]:
        return [payload for where, payload in self.recorded if where == topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def stranger(broker: Mosquitto) -> Iterator[Stranger]:
    one = Stranger(broker)
    try:
        yield one
    finally:
        one.close()


@asynccontextmanager
async def strict_house(
    mosquitto: Mosquitto, folder: Path, unsigned: Any = "refuse"
) -> AsyncIterator[House]:
    """The demo's door, which believes nobody without a key, and its page."""
    url = f"ws://127.0.0.1:{mosquitto.websocket_port}/"
    config = config_for(mosquitto.port, security=Security(unsigned))
    async with house(config, folder, websocket_url=url) as one:
        yield one


class Terminal:
    """`appliance pair`, as somebody types it."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "appliance", "pair", *words],
            env=os.environ | {"APPLIANCE_SOCKET": str(folder / "appliance.sock")},
            stdout=subprocess.PIPE,
            text=True,
        )

    async def link(self) -> str:
        """The link that it shows."""
        assert self._process.stdout is not None
        while line := await asyncio.to_thread(self._process.stdout.readline):
            if "#pair=" in line:
                return line.strip()
        raise AssertionError("it ended without a link")

    async def ends(self) -> tuple[int, str]:
        """Its exit status, and what it said since the link."""
        said, _ = await asyncio.to_thread(self._process.communicate)
        return self._process.returncode, said

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(2)


def forged(type_: str, body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A message as if from the door."""
    return {
        "v": 1,
        "id": f"forged-{type_}-{changes.get('seq', 0)}",
        "type": type_,
        "call_id": "f" * 32,
        "from": DOOR,
        "to": "alice",
        "endpoint": "main",
        "to_endpoint": None,
        "epoch": None,
        "seq": 2**52,
        "sent_at": 1795252800123,
        "ttl_s": 30,
        "clock": "unknown",
        "body": body,
    } | changes


INVITE = {
    "session_id": "f" * 32,
    "call_type": "video",
    "receiver": {"type": "user", "id": "alice"},
    "callees": ["alice"],
    "caller": {"uid": DOOR, "name": "Front door"},
    "timeout_s": 30,
    "custom_data": None,
    "token": None,
}


async def paired(tab: Page) -> None:
    """The page is somebody's phone, and ready."""
    await shows(tab, "idle")
    await expect(part(tab, "phone")).to_have_attribute("data-link", "connected")
    await expect(part(tab, "phone")).to_have_attribute("data-door", "online")


async def presses_the_bell(one: House) -> None:
    await one.appliance.board.press("bell_alice", Gesture.PRESS)


async def sees_the_door(tab: Page) -> None:
    await shows(tab, "in_call")
    await part(tab, "picture").evaluate(ADVANCES)


async def test_the_story_of_a_phone(browser: Browser, mosquitto: Mosquitto, tmp_path: Path) -> None:
    async with strict_house(mosquitto, tmp_path) as one:
        page = one.appliance.page
        assert page is not None
        with stranger(mosquitto) as mallory:
            # without an invitation there is no phone
            async with opened(browser, page) as tab:
                await expect(part(tab, "title")).to_have_text("This phone is not paired")

            terminal = Terminal(tmp_path, "Alice")
            link = await terminal.link()
            context = await browser.new_context()
            tab = await context.new_page()
            await tab.goto(link)
            await shows(tab, "pairing")
            assert "#" not in tab.url, "the secret is not in the address any more"
            assert not mallory.heard(f"appliance/call/{DOOR}/alice"), "nothing happens unasked"
            await part(tab, "pair").click()
            await paired(tab)
            status, said = await terminal.ends()
            assert (status, "Paired: Alice's phone" in said) == (0, True)
            await expect(part(tab, "identity-words")).to_contain_text(
                "may be rung, call, look through the camera, open the door"
            )
            secret = json.loads(_unpacked(link))["secret"]
            assert not any(secret.encode() in payload for _, payload in mallory.recorded)

            # it is rung, answers, sees; and who sent all that is kept for later
            await tab.evaluate(REMEMBER_STATES)
            await presses_the_bell(one)
            await shows(tab, "incoming")
            await part(tab, "answer").click()
            await sees_the_door(tab)
            await talks_with_another_phone(tab, browser, one)
            await part(tab, "hang-up").click()
            await shows(tab, "ended", "local_hang_up")
            await one.until("call_ended")
            await part(tab, "call").wait_for()

            await believes_no_stranger(tab, one, mallory)
            await is_used_up(browser, link)

            # the same browser is still Alice's after a reload, and gone when its key is revoked
            await tab.reload()
            await paired(tab)
            await expect(part(tab, "identity-words")).to_contain_text("phone · may")
            await one.appliance.contacts.revoke("alice")
            await expect(part(tab, "link")).to_have_text("Not known")
            await expect(part(tab, "identity-words")).to_be_hidden()
            await expect(part(tab, "problem")).to_contain_text("does not know this phone any more")
            await expect(part(tab, "call")).to_be_disabled()
            await tab.reload()
            await expect(part(tab, "link")).to_have_text("Not known")

            await part(tab, "unpair").click()
            await part(tab, "unpair-now").click()
            await expect(part(tab, "title")).to_have_text("This phone is not paired")
            await context.close()


async def talks_with_another_phone(tab: Page, browser: Browser, one: House) -> None:
    """Two phones know one another's keys by the door's signed list alone."""
    assert one.appliance.invite is not None
    assert one.appliance.page is not None
    invited = await one.appliance.invite("Bob", None, None)
    context = await browser.new_context()
    bob = await context.new_page()
    await bob.goto(link_of(one.appliance.page, invited.told["invitation"]))
    await part(bob, "pair").click()
    await paired(bob)
    await one.appliance.board.press("invite", Gesture.PRESS)
    await shows(bob, "incoming")
    await part(bob, "answer").click()
    for page, other in ((tab, "bob"), (bob, "alice")):
        await expect(part(page, f"tile-{other}")).to_have_attribute("data-state", "connected")
    await part(bob, "hang-up").click()
    await expect(part(tab, "tile-bob")).to_have_count(0)
    await context.close()


async def believes_no_stranger(tab: Page, one: House, mallory: Stranger) -> None:
    """Nothing that is forged or said again has any effect; what the door says has, behind all of it."""
    await tab.evaluate("() => { window.states.length = 0; }")
    key = DeviceKey.make()
    (presence,) = [
        json.loads(payload)
        for topic, payload in dict(mallory.recorded).items()
        if topic.startswith("appliance/presence/alice/page-")
    ]
    invite = forged("invite", INVITE, epoch=presence["epoch"])
    plain = json.dumps(invite).encode()
    alone = json.dumps(forged("invite", INVITE)).encode()
    replayed = mallory.heard(INBOX)
    assert len(replayed) > 3
    for payload in (plain, alone, seal(plain, key), seal(alone, key), *replayed):
        await mallory.says(INBOX, payload)

    # the door says something true behind it: nothing else was heard before
    await part(tab, "call").click()
    await one.until("incoming_call_received")
    await shows(tab, "outgoing")
    call_id = one.appliance.session.status()["calls"][0]["call_id"]
    for body in ({"answer": {"type": "answer", "sdp": "v=0\r\n"}, "custom_data": None},):
        accept = json.dumps(
            forged("accept", body, call_id=call_id, epoch=presence["epoch"])
        ).encode()
        await mallory.says(INBOX, accept)
        await mallory.says(INBOX, seal(accept, key))
    end = json.dumps(forged("end", {"reason": "hang_up", "kicked_by": None}, call_id=call_id))
    await mallory.says(INBOX, end)
    await mallory.says(INBOX, seal(end.encode(), key))
    await one.appliance.board.press("answer", Gesture.PRESS)
    await sees_the_door(tab)
    assert await tab.evaluate("window.states") == ["outgoing", "connecting", "in_call"]
    await part(tab, "hang-up").click()
    await shows(tab, "ended", "local_hang_up")
    # and nobody speaks for Alice at the door
    before = one.appliance.rejected.get("unsigned", 0)
    said = forged("invite", INVITE, **{"from": "alice", "to": DOOR, "endpoint": "page-x"})
    await mallory.says(f"appliance/call/{DOOR}/alice", json.dumps(said))
    await one.until_true(lambda: one.appliance.rejected.get("unsigned", 0) > before)


async def is_used_up(browser: Browser, link: str) -> None:
    """The invitation pairs no second phone."""
    context = await browser.new_context()
    tab = await context.new_page()
    await tab.goto(link)
    await part(tab, "pair").click()
    await expect(part(tab, "title")).to_have_text("This invitation is not good any more")
    await context.close()


def _unpacked(link: str) -> bytes:
    import base64

    packed = link.split("#pair=")[1]
    return base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))


async def test_invitations_that_are_no_good_and_a_browser_that_cannot(
    browser: Browser, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    async with strict_house(mosquitto, tmp_path, unsigned="allow") as one:
        assert one.appliance.page is not None
        assert one.appliance.invite is not None
        invited = await one.appliance.invite("Alice", None, None)
        words = invited.told["invitation"]
        context = await browser.new_context()
        tab = await context.new_page()
        await tab.add_init_script(UNABLE)

        async def tried(link: str) -> str:
            """What the page says after its button was pressed."""
            await tab.goto("about:blank")
            await tab.goto(link)
            await part(tab, "pair").click()
            await shows(tab, "failed")
            return await part(tab, "title").inner_text()

        page = one.appliance.page
        assert await tried(link_of(f"{page}?no=keys", words)) == "This browser is too old"
        assert await tried(link_of(f"{page}?no=storage", words)) == "This browser keeps nothing"
        wrong = link_of(page, {**words, "secret": "A" * 22})
        assert await tried(wrong) == "This invitation is not good any more"
        assert one.appliance.rejected["wrong_proof"] == 1
        invited.withdraw()
        assert (await invited.outcome())["outcome"] == "withdrawn"
        assert await tried(link_of(page, words)) == "This invitation is not good any more"
        assert one.appliance.rejected["not_invited"] == 1
        assert not one.appliance.contacts.keys_of("alice")
        await context.close()
