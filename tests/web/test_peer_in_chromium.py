"""The media edge and a real Chromium: what they agree to, once and again, and what flows then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from appliance.calls.effects import (
    AcceptAnswer,
    ClosePeer,
    HoldPeer,
    OpenPeer,
    Renegotiate,
    ShareScreen,
    StartCapture,
)
from appliance.calls.inputs import (
    FaultReported,
    PeerAgreed,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerLost,
    PeerOffered,
)
from appliance.config import Media
from appliance.media.feeding import FrameEncoder
from appliance.messages import SessionDescription
from appliance.model import CallType
from tests.media.stranger import until
from tests.media.studio_door import ALICE, Door, a_door
from tests.media.test_leg import Screen
from tests.web.receiving import named_by_address

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SCRIPT = """
const pc = window.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
window.film = (colour) => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 160, height: 120 });
  const drawing = canvas.getContext('2d');
  setInterval(() => {
    drawing.fillStyle = colour;
    drawing.fillRect(0, 0, 160, 120);
    drawing.fillStyle = 'black';
    drawing.fillRect(Date.now() / 20 % 150, 0, 8, 8);
  }, 50);
  return canvas.captureStream(20).getVideoTracks()[0];
};
window.tone = () => {
  const sound = new AudioContext();
  const source = sound.createOscillator();
  const sink = sound.createMediaStreamDestination();
  source.frequency.value = 700;
  source.connect(sink);
  source.start();
  return sink.stream.getAudioTracks()[0];
};
pc.ontrack = ({ track }) => {
  const element = document.createElement(track.kind);
  element.srcObject = new MediaStream([track]);
  element.muted = true;
  element.autoplay = true;
  document.body.append(element);
};
const gathered = () => new Promise((resolve) => {
  const look = () => pc.iceGatheringState === 'complete' && resolve(pc.localDescription.sdp);
  pc.addEventListener('icegatheringstatechange', look);
  look();
});
window.offer = async () => {
  await pc.setLocalDescription();
  return gathered();
};
window.take = (sdp) => pc.setRemoteDescription({ type: 'answer', sdp });
window.answer = async (sdp, wanted) => {
  await pc.setRemoteDescription({ type: 'offer', sdp });
  const videos = pc.getTransceivers().filter((one) => one.receiver.track.kind === 'video');
  for (const [n, colour] of wanted.entries()) {
    videos[n].direction = 'sendrecv';
    await videos[n].sender.replaceTrack(film(colour));
  }
  await pc.setLocalDescription();
  return gathered();
};
window.decoded = async (n) => {
  const videos = pc.getTransceivers().filter((one) => one.receiver.track.kind === 'video');
  const stats = videos[n] ? await videos[n].receiver.getStats() : new Map();
  const inbound = [...stats.values()].find((entry) => entry.type === 'inbound-rtp');
  return inbound?.framesDecoded ?? 0;
};
window.directions = () => pc.getTransceivers().map((one) => one.currentDirection);
"""


class Chromium:
    """A page with a peer connection and little more."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def __call__(self, script: str, *arguments: Any) -> Any:
        return await self.page.evaluate(
            f"(args) => {{ return ({script})(...args); }}", list(arguments)
        )

    async def offers(self) -> SessionDescription:
        return SessionDescription("offer", await self("offer"))

    async def takes(self, answer: SessionDescription) -> None:
        await self("take", answer.sdp)

    async def answers(self, offer: SessionDescription, *colours: str) -> SessionDescription:
        return SessionDescription("answer", await self("answer", offer.sdp, colours))

    async def sees(self, number: int, more: int = 5) -> None:
        """Wait for so many further pictures of the first or second video."""
        goal = await self("decoded", number) + more
        await self.page.wait_for_function(
            "async ([n, goal]) => await decoded(n) >= goal", arg=[number, goal]
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started() -> AsyncIterator[Browser]:
    async with named_by_address() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Chromium]:
    async with await browser.new_page() as page:
        await page.evaluate(SCRIPT)
        yield Chromium(page)
        await page.evaluate("pc.close()")


@pytest.fixture
def screen() -> Screen:
    return Screen()


async def answered(door: Door, page: Chromium, type: CallType) -> PeerAgreed:
    offer = await page.offers()
    if door.studio.status()["peers"]:
        door.studio.perform(Renegotiate(ALICE, type, offer))
    else:
        door.studio.perform(OpenPeer(ALICE, type, offer))
    await page.takes((await door.next(PeerAnswered)).description)
    return await door.next(PeerAgreed)


async def offered(door: Door, page: Chromium, type: CallType, *colours: str) -> PeerAgreed:
    if door.studio.status()["peers"]:
        door.studio.perform(Renegotiate(ALICE, type))
    else:
        door.studio.perform(OpenPeer(ALICE, type))
    answer = await page.answers((await door.next(PeerOffered)).description, *colours)
    door.studio.perform(AcceptAnswer(ALICE, answer))
    return await door.next(PeerAgreed)


def shared() -> FrameEncoder:
    encoder = FrameEncoder(160, 90, 15, 200)
    encoder.feed(np.full((90, 160, 3), (20, 200, 20), np.uint8))
    return encoder


@pytest.mark.parametrize("who_offers", ["the page", "the device"])
async def test_sound_becomes_video_and_then_gets_a_screen(
    page: Chromium, screen: Screen, who_offers: str
) -> None:
    async with a_door(pictures=screen, screen_source=shared()) as door:
        door.studio.perform(StartCapture(video=True))
        if who_offers == "the page":
            await page("() => { pc.addTransceiver(tone(), { direction: 'sendrecv' }); }")
            agreed = await answered(door, page, CallType.AUDIO)
            assert not agreed.video
            await door.next(PeerConnected)
            await page("() => { pc.addTransceiver(film('red')); }")
            agreed = await answered(door, page, CallType.VIDEO)
            assert (agreed.video, agreed.screen) == (True, False)
            await page.sees(0)
            await page("() => { pc.addTransceiver(film('blue')); }")
            agreed = await answered(door, page, CallType.VIDEO)
        else:
            await page("() => { pc.addTrack(tone()); }")
            agreed = await offered(door, page, CallType.AUDIO)
            assert not agreed.video
            await door.next(PeerConnected)
            agreed = await offered(door, page, CallType.VIDEO, "red", "blue")
        assert (agreed.video, agreed.screen) == (True, True)
        assert await page("directions") == ["sendrecv"] * 3
        await page.sees(0)
        await until(lambda: screen.colour() == "red", "the page's camera")
        await until(lambda: screen.colour(screen=True) == "blue", "the page's screen")
        assert await page("decoded", 1) == 0, "it is not shared yet"
        door.studio.perform(ShareScreen(on=True))
        await page.sees(1, 2)
        await until(lambda: hears(door), "the page's tone")

        door.studio.perform(HoldPeer(ALICE, here=True, there=False))
        await until(lambda: len(screen.ended) == 2, "the page's pictures to go")
        door.studio.perform(HoldPeer(ALICE, here=False, there=False))
        shown = len(screen.shown)
        await page.sees(0)
        await until(lambda: len(screen.shown) > shown + 5, "the page's pictures")
        await until(lambda: screen.colour() == "red" and screen.colour(screen=True) == "blue")
        door.studio.perform(ClosePeer(ALICE))
        assert door.all(PeerFailed) + door.all(PeerLost) + door.all(FaultReported) == []


def hears(door: Door) -> bool:
    return bool(abs((door.studio.status()["speaker"]["tone_hz"] or 0) - 700) < 5)


async def test_both_videos_from_the_first_offer_on(page: Chromium, screen: Screen) -> None:
    """As the page has it: the second section is there, and has no picture until one is shared."""
    async with a_door(pictures=screen) as door:
        door.studio.perform(StartCapture(video=True))
        await page("() => { pc.addTransceiver(tone()); pc.addTransceiver(film('red')); }")
        await page("() => { pc.addTransceiver('video', { direction: 'sendrecv' }); }")
        agreed = await answered(door, page, CallType.VIDEO)
        assert (agreed.video, agreed.screen) == (True, False)
        await page.sees(0)
        await until(lambda: screen.colour() == "red", "the page's camera")
        await page(
            "async () => { await pc.getTransceivers()[2].sender.replaceTrack(film('blue')); }"
        )
        await until(lambda: screen.colour(screen=True) == "blue", "the page's screen")
        assert screen.colour() == "red"


async def test_what_cannot_be_agreed_to_is_rejected_and_the_rest_goes_on(
    page: Chromium,
) -> None:
    async with a_door() as door:
        door.studio.perform(StartCapture(video=True))
        await page(
            """() => {
              pc.addTransceiver(tone());
              const video = pc.addTransceiver('video');
              const { codecs } = RTCRtpReceiver.getCapabilities('video');
              video.setCodecPreferences(codecs.filter((one) => one.mimeType === 'video/VP8'));
              pc.createDataChannel('chat');
            }"""
        )
        agreed = await answered(door, page, CallType.VIDEO)
        assert not agreed.video
        await door.next(PeerConnected)
        await until(lambda: hears(door), "the page's tone")
        await page("() => { pc.addTransceiver('video', { direction: 'recvonly' }); }")
        agreed = await answered(door, page, CallType.VIDEO)
        assert agreed.video, "the first that can be agreed to is the camera's"
        assert (await page("directions"))[-1] == "recvonly"
        goal = "async () => (await pc.getTransceivers().at(-1).receiver.getStats()).size > 0"
        await page.page.wait_for_function(goal)
        await until(lambda: door.studio.status()["video_listeners"] == 1, "the camera to be sent")


async def test_a_page_that_stops_a_video_and_begins_another(page: Chromium, screen: Screen) -> None:
    async with a_door(pictures=screen) as door:
        door.studio.perform(StartCapture(video=True))
        await page("() => { pc.addTransceiver(tone()); pc.addTransceiver(film('red')); }")
        await answered(door, page, CallType.VIDEO)
        await page.sees(0)
        await until(lambda: screen.colour() == "red", "the page's camera")
        await page("() => { pc.getTransceivers()[1].stop(); }")
        agreed = await answered(door, page, CallType.VIDEO)
        assert not agreed.video
        await until(lambda: not door.studio.status()["video_listeners"], "the camera to rest")
        await until(lambda: hears(door), "the page's tone")
        shown = len(screen.shown)
        await page("() => { pc.addTransceiver(film('blue')); }")  # in the place of the other
        agreed = await answered(door, page, CallType.VIDEO)
        assert agreed.video
        await until(lambda: len(screen.shown) > shown + 3, "the page's other camera")
        await until(lambda: screen.colour() == "blue")


async def test_what_is_more_than_its_level_is_decoded_all_the_same(page: Chromium) -> None:
    """It says level 3.1, and so 3600 blocks a picture at most: here are 8160, as the stream's SPS says."""
    large = Media(width=1920, height=1080, framerate=5, bitrate_kbps=1500)
    async with a_door(media=large) as door:
        door.studio.perform(StartCapture(video=True))
        door.studio.perform(OpenPeer(ALICE, CallType.VIDEO))
        answer = await page.answers((await door.next(PeerOffered)).description)
        assert "profile-level-id=42e01f" in answer.sdp
        door.studio.perform(AcceptAnswer(ALICE, answer))
        await door.next(PeerConnected)
        await page.sees(0)
        # what is decoded is counted before it is shown
        await expect(page.page.locator("video")).to_have_js_property("videoWidth", 1920)
        door.studio.perform(ClosePeer(ALICE))
    assert not door.all(PeerFailed)


async def test_an_ice_restart_is_refused_and_the_call_goes_on(page: Chromium) -> None:
    async with a_door() as door:
        door.studio.perform(StartCapture(video=True))
        await page("() => { pc.addTransceiver(tone()); pc.addTransceiver('video'); }")
        await answered(door, page, CallType.VIDEO)
        await page.sees(0)
        await page("() => { pc.restartIce(); }")
        door.studio.perform(Renegotiate(ALICE, CallType.VIDEO, await page.offers()))
        assert "restart ICE" in (await door.next(FaultReported)).message
        await page.sees(0)
