"""Pictures for a screen: the latest counts, at the screen's rate."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from appliance.media import watching
from appliance.media.stills import rgb
from appliance.media.watching import LOOKS, Stall, View

if TYPE_CHECKING:
    from av.video.reformatter import VideoReformatter

    from appliance.media.base import Rgb


class Burst(MediaStreamTrack):
    """Grey pictures, each brighter, as fast as they are taken."""

    kind = "video"

    def __init__(self, count: int) -> None:
        super().__init__()
        self._left = iter(range(count))
        self.ending = asyncio.Event()

    async def recv(self) -> av.VideoFrame:
        number = next(self._left, None)
        if number is None:
            await self.ending.wait()
            raise MediaStreamError
        picture = np.full((16, 16, 3), number, np.uint8)
        return av.VideoFrame.from_ndarray(picture, format="rgb24")


@pytest.mark.parametrize("slow_s", [0.0, 0.05])
async def test_what_was_overtaken_is_dropped(
    slow_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long converting takes, the last one is shown in the end, and few of those before."""

    def slow(frame: av.VideoFrame, converter: VideoReformatter) -> Rgb:
        stop = asyncio.run_coroutine_threadsafe(asyncio.sleep(slow_s), loop)
        stop.result()
        return rgb(frame, converter)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(watching, "rgb", slow)
    shown: list[int] = []
    track = Burst(200)

    def show(picture: Rgb) -> None:
        shown.append(int(picture[0, 0, 0]))
        if shown[-1] == 199:
            track.ending.set()

    async with asyncio.timeout(30):
        await View(show, 30).run(track)
    assert shown[-1] == 199
    assert len(shown) <= 3
    assert shown == sorted(shown)


async def test_no_more_are_shown_than_the_screen_can_show() -> None:
    times_s: list[float] = []
    track = Burst(10**9)
    track_recv = track.recv

    async def paced() -> av.VideoFrame:
        await asyncio.sleep(0.005)
        return await track_recv()

    track.recv = paced  # type: ignore[method-assign]
    enough = asyncio.Event()

    def show(_: Rgb) -> None:
        times_s.append(asyncio.get_running_loop().time())
        if len(times_s) == 8:
            enough.set()

    track._left = iter([n % 200 for n in range(10_000)])
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(View(show, 20).run(track))
        await enough.wait()
        running.cancel()
    assert times_s[-1] - times_s[0] >= 0.3, "eight pictures of twenty a second"


def test_colours_come_out_as_red_green_and_blue() -> None:
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:, :, 0] = 200
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
    shown = rgb(frame)
    assert shown.shape == (32, 48, 3)
    assert shown.flags.c_contiguous
    assert np.abs(shown.astype(int) - picture).max() < 6


def test_packets_without_pictures_are_a_stall_and_no_packets_are_none() -> None:
    stall = Stall()
    assert not any(stall.look(pictures=at, packets=3 * at) for at in range(10))
    assert not any(stall.look(pictures=9, packets=27) for _ in range(10))  # the camera is paused
    looks = [stall.look(pictures=9, packets=27 + at) for at in range(1, 2 * LOOKS + 1)]
    assert looks == 2 * ([False] * (LOOKS - 1) + [True])


def test_a_picture_ends_what_was_about_to_be_a_stall() -> None:
    stall = Stall()
    for at in range(1, LOOKS):
        assert not stall.look(pictures=0, packets=at)
    assert not stall.look(pictures=1, packets=LOOKS)
    assert not stall.look(pictures=1, packets=LOOKS + 1)
