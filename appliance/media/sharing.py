"""The screen's pictures while they are shared: started and stopped one after the other, as told last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from appliance.calls.inputs import FaultReported, Input
from appliance.media.base import SourceFailed, VideoSource
from appliance.media.handover import Handover, PictureHandover

if TYPE_CHECKING:
    from appliance.media.fanout import VideoFanout

logger = logging.getLogger(__name__)


class Sharing:
    """Starts the source that a screen gives, and stops it: while it is not shared, nothing is encoded."""

    def __init__(
        self,
        source: VideoSource | None,
        fanout: Callable[[], Awaitable[VideoFanout]],
        post: Callable[[Input], None],
    ) -> None:
        """`fanout` gives the one that spreads it, as soon as there is one."""
        self._source = source
        self._fanout = fanout
        self._post = post
        self._wanted = self._ending = False
        self._changed = asyncio.Event()
        self._live: _LiveScreen | None = None

    @property
    def is_on(self) -> bool:
        """Whether the screen is sent to those who have agreed to it."""
        return self._live is not None

    def want(self, on: bool, /) -> None:
        """Share it, or no longer."""
        if on and self._source is None:
            self._failed(SourceFailed.code, "this device has no screen that could be shared")
            return
        self._wanted = on
        self._changed.set()

    def end(self) -> None:
        """Stop, and let `run` return."""
        self._ending, self._wanted = True, False
        self._changed.set()

    async def run(self) -> None:
        """Do what is wanted, until the end."""
        while self._live or not self._ending:
            await self._changed.wait()
            self._changed.clear()
            if self._wanted and self._live is None and self._source is not None:
                await self._start(_LiveScreen(self._source, await self._fanout(), self._stopped))
            elif not self._wanted and self._live is not None:
                live, self._live = self._live, None
                await live.close()

    async def _start(self, live: _LiveScreen) -> None:
        self._live = live
        try:
            await live.open()
        except Exception as fault:  # a driver's surprise: the call goes on without the screen
            if not isinstance(fault, SourceFailed):
                logger.exception("the screen could not be shared")
            self._live = None
            self._failed(SourceFailed.code, f"the screen cannot be shared: {fault}")

    def _stopped(self, fault: SourceFailed) -> None:
        """By itself: it is released, and may be wanted again."""
        self._failed(fault.code, str(fault))
        self._wanted = False
        self._changed.set()

    def _failed(self, code: str, message: str) -> None:
        self._post(FaultReported(code, message, "screen"))


class _LiveScreen:
    def __init__(
        self, source: VideoSource, fanout: VideoFanout, failed: Callable[[SourceFailed], None]
    ) -> None:
        self._source, self._fanout = source, fanout
        self._units = PictureHandover(fanout.deliver, source.request_keyframe)
        self._failures: Handover[SourceFailed] = Handover(failed)

    async def open(self) -> None:
        self._fanout.attach(self._source)
        try:
            await asyncio.to_thread(self._source.start, self._units.put, self._failures.put)
        except BaseException:
            self._fanout.detach()
            raise

    async def close(self) -> None:
        self._units.close()
        self._failures.close()
        self._fanout.detach()
        await asyncio.to_thread(self._source.stop)
