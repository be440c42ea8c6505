"""A real Chromium behind a network that loses packets, is gone for a while, or is narrow.

Whether it is quick enough is measured by `make bench`; here it is seen to happen at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from appliance.media.base import AccessUnit, VideoSource
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.governor import Cause
from appliance.media.handover import Handover
from appliance.media.peer import Peer
from appliance.media.synthetic import CardCamera
from tests.media.stranger import until
from tests.media.test_peer import Diary
from tests.parts.film import FilmCamera, grain
from tests.parts.network import Network, connection_of
from tests.web.receiving import Receiver, a_receiver, named_by_address

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started() -> AsyncIterator[Browser]:
    async with named_by_address() as browser:
        yield browser


class Scene:
    """The appliance's camera, its connection, and the network between that and the page."""

    def __init__(self, page: Receiver, fanout: VideoFanout, network: Network) -> None:
        self.page, self.fanout, self.network = page, fanout, network


@asynccontextmanager
async def a_scene(browser: Browser, camera: VideoSource) -> AsyncIterator[Scene]:
    fanout, diary = VideoFanout(), Diary()
    units: Handover[AccessUnit] = Handover(fanout.deliver)
    peer = Peer(diary, AudioFanout(), fanout)
    async with a_receiver(browser) as page:
        try:
            await peer.accept(await page.answers(await peer.offer()))
            await until(lambda: diary.connections, "the connection")
            fanout.attach(camera)
            camera.start(units.put, print)
            with Network(connection_of(peer)) as network:
                await page.sees()
                yield Scene(page, fanout, network)
        finally:
            units.close()
            camera.stop()
            await peer.close()


def noise() -> FilmCamera:
    """Some 180 packets a second."""
    return FilmCamera(grain(320, 180), 30, 1500)


async def test_after_two_seconds_without_network_a_keyframe_comes_before_anybody_asks(
    browser: Browser,
) -> None:
    async with a_scene(browser, noise()) as scene:
        await scene.network.outage(2)
        await scene.page.sees()
        assert scene.fanout.governor.wishes[Cause.LOST], "what is lost for good was noticed here"


async def test_a_few_packets_are_sent_again_and_no_keyframe_takes_their_place(
    browser: Browser,
) -> None:
    async with a_scene(browser, noise()) as scene:
        wishes = scene.fanout.governor.wishes[Cause.LOST]
        scene.network.takes_next = 12
        await scene.page.sees(20)
        assert scene.fanout.governor.wishes[Cause.LOST] == wishes
        assert (await scene.page.stats())["retransmittedPacketsReceived"] > 0


async def test_what_is_lost_here_and_there_is_sent_again_and_no_picture_is_missed(
    browser: Browser,
) -> None:
    async with a_scene(browser, noise()) as scene:
        before = await scene.page.stats()
        scene.network.loss = 0.02
        await scene.page.sees(240)
        scene.network.loss = 0
        assert scene.network.lost > 5
        await scene.page.sees()
        after = await scene.page.stats()
        received, decoded = (after[n] - before[n] for n in ("framesReceived", "framesDecoded"))
        assert received >= 240
        assert decoded >= 0.9 * received, "more by far, where the machine has time for it"
        assert after["retransmittedPacketsReceived"] > before.get("retransmittedPacketsReceived", 0)


async def test_smaller_and_fewer_pictures_come_without_a_break(browser: Browser) -> None:
    camera = CardCamera(640, 360, 30, 600)
    async with a_scene(browser, camera) as scene:
        for divisor in (2, 4, 1):
            camera.set_scale(divisor)
            camera.set_framerate(30 // divisor)
            size = 640 // divisor, 360 // divisor
            for _ in range(300):
                if await scene.page.size() == size:
                    break
                await asyncio.sleep(0.1)
            assert await scene.page.size() == size
        await scene.page.sees()
