"""The whole product as a newcomer starts it: `appliance demo`, and people with browsers.

Every step is a click or a key in a real Chromium, or a word at a prompt; what comes of it is read from the
page, from the picture's own frame counter, and from the sound.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import struct
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect
from playwright.async_api import TimeoutError as PageTimeout

from appliance.client import Client
from tests.parts.mosquitto import free_port
from tests.web.conftest import WITH_CONSENT, browser, chromium

__all__ = ["browser"]

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PATIENCE_MS = 30_000
PATIENCE_S = 60.0
expect.set_options(timeout=PATIENCE_MS)

VOICE_HZ = 900
DOOR_HZ = 440

COUNTER = """() => {
  const video = document.querySelector('[data-testid=picture]');
  const { videoWidth: width, videoHeight: height } = video;
  if (!width) return null;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0);
  const row = context.getImageData(0, Math.floor(height / 24), width, 1).data;
  let word = 0n;
  for (let block = 0; block < 32; block += 1) {
    const x = Math.floor(((2 * block + 1) * width) / 64);
    word = (word << 1n) | (row[4 * x + 1] > 127 ? 1n : 0n);
  }
  const [number, check] = [Number(word >> 8n), Number(word & 0xffn)];
  let crc = 0xff;
  for (const shift of [16, 8, 0]) {
    crc ^= (number >> shift) & 0xff;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x80 ? (crc << 1) ^ 0x107 : crc << 1;
  }
  return crc === check ? number : null;
}"""
"""The frame number in the picture, as docs/test-card.md says; null where the check does not hold."""

TONE = """async () => {
  const stream = document.querySelector('[data-testid=picture]').srcObject;
  const context = new AudioContext();
  await context.resume();
  const analyser = context.createAnalyser();
  analyser.fftSize = 16384;
  context.createMediaStreamSource(new MediaStream(stream.getAudioTracks())).connect(analyser);
  await new Promise((done) => { setTimeout(done, 600); });
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const loudest = bins.indexOf(Math.max(...bins));
  await context.close();
  return (loudest * context.sampleRate) / analyser.fftSize;
}"""
"""The loudest frequency of what comes from the door, in Hz."""


@dataclass(frozen=True)
class Demo:
    """A running demo: its page, and where its command line finds it."""

    url: str
    environ: dict[str, str]

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a command."""
        return subprocess.run(
            [sys.executable, "-m", "appliance", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        """What `appliance status` prints."""
        found: dict[str, Any] = json.loads(self.cli("status").stdout)
        return found

    def asked(self) -> dict[str, Any]:
        """The same, from its socket: no process has to be started for it."""
        with Client(self.environ) as client:
            found: dict[str, Any] = client.ask(status=True)
        return found

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until its status is such."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition(await asyncio.to_thread(self.asked)):  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.05)

    def events(self) -> list[dict[str, Any]]:
        """What `appliance events` prints: the latest, oldest first."""
        return [json.loads(line) for line in self.cli("events").stdout.splitlines()]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`appliance demo`, until Ctrl-C."""
    port = free_port()
    home = tmp_path_factory.mktemp("demo")
    book = home / ".local/state/appliance/contacts.toml"
    book.parent.mkdir(parents=True)
    book.write_text("of a door of this computer, and broken: no matter")
    environ = os.environ | {"APPLIANCE_SOCKET": str(home / "socket")}
    with (
        (home / "stderr").open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", "appliance", "demo", "--no-browser", "--port", str(port)],
            env=environ | {"HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said == f"Front door is ready: http://localhost:{port}/\n"
            assert (home / "stderr").read_text() == "", "nothing is wrong with a demo"
            yield Demo(f"http://localhost:{port}/", environ)
        finally:
            process.send_signal(2)
            rest, _ = process.communicate()
        assert process.returncode == 0, rest
        assert rest.endswith("The demo ends.\n")


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the browsers' microphones hear: a beep that no noise suppression takes for noise."""
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(48000)
        for at in range(48000 * 2):
            loud = 12000 if at // 9600 % 2 == 0 else 0
            sample = int(loud * math.sin(2 * math.pi * VOICE_HZ * at / 48000))
            sound.writeframesraw(struct.pack("<h", sample))
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(voice: Path) -> AsyncIterator[Browser]:
    async with chromium(*WITH_CONSENT, f"--use-file-for-fake-audio-capture={voice}") as one:
        yield one


# -------------------- people


@asynccontextmanager
async def at_home(browser: Browser, demo: Demo, uid: str = "alice") -> AsyncIterator[Page]:
    """Somebody's page, ready to be rung; an error in its scripts fails the test."""
    errors: list[str] = []
    async with await browser.new_page(
        viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
    ) as page:
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(f"{demo.url}?as={uid}")
        await expect(part(page, "phone")).to_have_attribute("data-link", "connected")
        await expect(part(page, "phone")).to_have_attribute("data-door", "online")
        await expect(part(page, "phone")).to_have_attribute("data-state", "idle")
        yield page
    assert errors == []


def part(page: Page, name: str) -> Locator:
    return page.get_by_test_id(name)


async def shows(page: Page, state: str, reason: str | None = None) -> None:
    await expect(part(page, "phone")).to_have_attribute("data-state", state)
    if reason is not None:
        await expect(part(page, "phone")).to_have_attribute("data-reason", reason)


async def rings_at_the_door(page: Page) -> None:
    await shows(page, "outgoing")
    await expect(part(page, "door-call")).to_have_attribute("data-state", "incoming")


async def sees_the_picture_advance(page: Page) -> None:
    """The frame counter, read from the picture, goes on."""
    # a function: an expression would be evaluated anew in the page, which its policy forbids
    await page.wait_for_function(f"() => ({COUNTER})() !== null", timeout=PATIENCE_MS)
    first = await page.evaluate(COUNTER)
    await page.wait_for_function(
        f"(first) => (({COUNTER})() ?? 0) > first + 5", arg=first, timeout=PATIENCE_MS
    )


async def hears_the_door(page: Page) -> None:
    async with asyncio.timeout(30):
        while abs(await page.evaluate(TONE) - DOOR_HZ) > 10:
            pass


async def is_heard_at_the_door(demo: Demo) -> None:
    def is_the_voice(status: dict[str, Any]) -> bool:
        tone_hz: float = status["media"]["speaker"]["tone_hz"] or 0
        return abs(tone_hz - VOICE_HZ) < 10

    await demo.until(is_the_voice)


async def is_quiet(demo: Demo) -> None:
    """No call is left at the door."""
    await demo.until(lambda status: status["call"] is None)
    assert (await asyncio.to_thread(demo.status))["call"] is None


async def ended_at_the_door(demo: Demo) -> str:
    await is_quiet(demo)
    events = await asyncio.to_thread(demo.events)
    ends = [one for one in events if one["type"] == "appliance.call_ended"]
    return str(ends[-1]["data"]["reason"])


# -------------------- what happens


async def test_the_bell_is_pressed_and_alice_answers(browser: Browser, demo: Demo) -> None:
    async with at_home(browser, demo) as alice:
        await part(alice, "button-call").click()
        await shows(alice, "incoming")
        await expect(part(alice, "chime")).to_have_attribute("data-on", "true")
        await expect(part(alice, "notice")).to_have_text("It is ringing.")
        await expect(part(alice, "title")).to_have_text("Front door")
        await part(alice, "answer").click()
        await shows(alice, "in_call")
        await sees_the_picture_advance(alice)
        await hears_the_door(alice)
        await is_heard_at_the_door(demo)
        await expect(part(alice, "led-status")).to_have_attribute("data-lit", "true")
        await expect(part(alice, "led-privacy")).to_have_attribute("data-lit", "true")

        await part(alice, "open-door").click()
        await expect(part(alice, "relay-door")).to_have_attribute("data-on", "true")
        await expect(part(alice, "notice")).to_have_text("The door is open.")
        await expect(part(alice, "open-door")).to_contain_text("open")
        await expect(part(alice, "relay-door")).to_have_attribute("data-on", "false")

        await part(alice, "show-chat").click()
        await part(alice, "chat-text").fill("Leave it at the door, please")
        await part(alice, "chat-send").click()
        said = await asyncio.to_thread(demo.cli, "ctl", "send_chat_message", "text=Will do!")
        assert said.returncode == 0, said.stderr
        await expect(part(alice, "chat-lines")).to_contain_text("Will do!")

        await part(alice, "hang-up").click()
        await shows(alice, "ended", "local_hang_up")
        assert await ended_at_the_door(demo) == "remote_hang_up"
        events = await asyncio.to_thread(demo.events)
        call_id = events[-1]["subject"]
        names = [
            one["type"].removeprefix("appliance.")
            for one in events
            if one["subject"] == call_id or one["type"].endswith("call_button_clicked")
        ]
        assert_order(
            names[max(i for i, name in enumerate(names) if name == "call_button_clicked") :],
            "call_button_clicked",
            "outgoing_call_started",
            "outgoing_call_accepted",
            "session_joined",
            "participant_joined",
            "chat_message",
            "participant_left",
            "session_left",
            "call_ended",
        )
        assert names[-1] == "call_ended"
        sequences = [int(one["sequence"]) for one in events]
        assert sequences == sorted(sequences)


async def test_alice_calls_the_door_and_it_answers_with_its_button(
    browser: Browser, demo: Demo
) -> None:
    async with at_home(browser, demo) as alice:
        await part(alice, "call").click()
        await rings_at_the_door(alice)
        await part(alice, "button-answer").click()
        await shows(alice, "in_call")
        await sees_the_picture_advance(alice)
        await hears_the_door(alice)
        await is_heard_at_the_door(demo)
        await part(alice, "open-door").click()
        await expect(part(alice, "relay-door")).to_have_attribute("data-on", "true")
        await expect(part(alice, "relay-door")).to_have_attribute("data-on", "false")
        await alice.keyboard.press("t")
        await part(alice, "chat-text").fill("Is the parcel there?")
        await part(alice, "chat-text").press("Enter")
        await alice.keyboard.press("Escape")  # out of the text, so that keys are shortcuts again
        events = await asyncio.to_thread(demo.events)
        assert "Is the parcel there?" in [one["data"].get("text") for one in events]
        await alice.keyboard.press("m")
        await expect(part(alice, "mute")).to_have_attribute("aria-pressed", "true")
        await part(alice, "button-answer").click()  # the same button: now it hangs up
        await shows(alice, "ended", "remote_hang_up")
        assert await ended_at_the_door(demo) == "local_hang_up"


async def test_declined_there_and_declined_here(browser: Browser, demo: Demo) -> None:
    async with at_home(browser, demo) as alice:
        await part(alice, "button-bell_alice").click()
        await shows(alice, "incoming")
        await part(alice, "decline").click()
        assert await ended_at_the_door(demo) == "rejected"
        await back_to_idle(alice)

        await part(alice, "call").click()
        await rings_at_the_door(alice)
        await part(alice, "button-answer-hold").click()
        await shows(alice, "ended", "rejected")
        assert await ended_at_the_door(demo) == "rejected"


async def test_cancelled_there_and_cancelled_here(browser: Browser, demo: Demo) -> None:
    async with at_home(browser, demo) as alice:
        await part(alice, "button-call").click()
        await shows(alice, "incoming")
        await part(alice, "button-answer").click()  # the visitor takes it back
        assert await ended_at_the_door(demo) == "cancelled"
        await expect(part(alice, "phone")).not_to_have_attribute("data-state", "incoming")
        await back_to_idle(alice)

        await part(alice, "call").click()
        await rings_at_the_door(alice)
        await part(alice, "hang-up").click()
        assert await ended_at_the_door(demo) == "cancelled"


async def test_nobody_answers(browser: Browser, demo: Demo) -> None:
    async with at_home(browser, demo) as alice:
        words = ("ctl", "initiate_call", "receiver=alice", "timeout_s=1.5")
        rung = await asyncio.to_thread(demo.cli, *words)
        assert rung.returncode == 0, rung.stderr
        await shows(alice, "incoming")
        assert await ended_at_the_door(demo) == "timed_out"
        await expect(part(alice, "missed")).to_be_visible()


async def test_nobody_answers_at_the_door(browser: Browser, demo: Demo) -> None:
    async with at_home(browser, demo) as alice:
        await part(alice, "call").click()
        await rings_at_the_door(alice)
        await expect(part(alice, "phone")).to_have_attribute(
            "data-state", "ended", timeout=3 * PATIENCE_MS
        )
        await shows(alice, "ended", "timed_out")
        assert await ended_at_the_door(demo) == "timed_out"


async def test_of_three_at_home_the_first_to_answer_takes_it_and_another_finds_it_busy(
    browser: Browser, demo: Demo
) -> None:
    async with AsyncExitStack() as stack:
        alice, bob, carol = [
            await stack.enter_async_context(at_home(browser, demo, uid))
            for uid in ("alice", "bob", "carol")
        ]
        await part(alice, "button-call").click()
        for page in (alice, bob, carol):
            await shows(page, "incoming")
        await part(bob, "answer").click()
        await shows(bob, "in_call")
        for page in (alice, carol):
            await expect(part(page, "phone")).not_to_have_attribute("data-state", "incoming")
        await sees_the_picture_advance(bob)
        await back_to_idle(carol)
        await part(carol, "call").click()
        await shows(carol, "ended", "busy")
        await part(bob, "hang-up").click()
        assert await ended_at_the_door(demo) == "remote_hang_up"
        events = await asyncio.to_thread(demo.events)
        accepted = [one for one in events if one["type"].endswith("outgoing_call_accepted")][-1]
        states = {one["uid"]: one["state"] for one in accepted["data"]["call"]["callees"]}
        assert states == {"alice": "cancelled", "bob": "accepted", "carol": "cancelled"}


async def test_events_are_followed_as_they_happen(demo: Demo) -> None:
    following = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "appliance", "events", "--follow", "--type", "*call*"),
        env=demo.environ,
        stdout=subprocess.PIPE,
    )
    assert following.stdout is not None
    try:
        names: list[str] = []

        async def until(last: str) -> None:
            """Read on, up to an event of that name."""
            while last not in names:
                assert following.stdout is not None
                line = json.loads(await following.stdout.readline())
                names.append(line["type"].removeprefix("appliance."))

        async with asyncio.TaskGroup() as tasks:
            listens = tasks.create_task(until("call_ended"))
            while not listens.done():  # it may have begun in the middle of a call
                await asyncio.to_thread(demo.cli, "press", "call")
                await asyncio.to_thread(demo.cli, "ctl", "end_call")
        await is_quiet(demo)
        names.clear()
        await asyncio.to_thread(demo.cli, "press", "call")
        await asyncio.to_thread(demo.cli, "ctl", "end_call")
        await until("call_button_clicked")  # what is left of the calls before is passed over
        del names[: names.index("call_button_clicked")]
        await until("call_ended")
    finally:
        following.terminate()
        await following.communicate()
    assert names.index("call_button_clicked") < names.index("outgoing_call_started")
    await is_quiet(demo)


async def back_to_idle(page: Page) -> None:
    """Put away what the page says of the last call, if it still does: it does so for eight seconds, and
    they may be over between the look and the click.
    """
    if await part(page, "phone").get_attribute("data-state") == "ended":
        with contextlib.suppress(PageTimeout):
            await part(page, "dismiss").click(timeout=10_000)
    await shows(page, "idle")


def assert_order(names: list[str], *expected: str) -> None:
    """Each stands there, the first time after the one before it."""
    places = [names.index(name) for name in expected]
    assert places == sorted(places), names
