"""The other side's pictures, as often as a screen can show them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame
from av.video.reformatter import VideoReformatter

from appliance.media.stills import rgb

if TYPE_CHECKING:
    from appliance.media.base import Rgb


LOOKS = 3
"""At so many looks in a row packets had come and no picture, until that is a stall."""


class Stall:
    """Notices that packets come, and that no picture is made of them any more.

    aiortc waits for a packet that was lost for good until 512 more have come: of a small picture that is
    a minute.
    """

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._pictures = self._packets = self._looks = 0

    def look(self, pictures: int, packets: int) -> bool:
        """Whether it is so, given how many have come in all; where it is, the looks count anew."""
        if pictures != self._pictures:
            self._looks = 0
        elif packets != self._packets:
            self._looks += 1
        self._pictures, self._packets = pictures, packets
        if self._looks < LOOKS:
            return False
        self._looks = 0
        return True


class View:
    """One stream: the latest picture is converted, in a thread; those that it overtook are dropped."""

    def __init__(self, show: Callable[[Rgb], None], framerate: int) -> None:
        """`show` is called on the loop, `framerate` times a second at most."""
        self.count = 0
        """How many pictures have come."""
        self._show = show
        self._interval_s = 1 / framerate
        self._latest: VideoFrame | None = None
        self._came = asyncio.Event()
        self._converter = VideoReformatter()

    async def run(self, track: MediaStreamTrack) -> None:
        """Until the track ends; to be cancelled before."""
        async with asyncio.TaskGroup() as tasks:
            showing = tasks.create_task(self._keep_showing(), name="show pictures")
            await self._read(track)
            showing.cancel()

    async def _read(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, VideoFrame)
            self._latest = frame
            self.count += 1
            self._came.set()

    async def _keep_showing(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            await self._came.wait()
            await asyncio.sleep(due_s - loop.time())
            self._came.clear()
            assert self._latest is not None
            due_s = max(due_s, loop.time() - self._interval_s) + self._interval_s
            self._show(await asyncio.to_thread(rgb, self._latest, self._converter))
