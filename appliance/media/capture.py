"""Microphone and camera while they are open: from the source's thread to the fan-out on the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from appliance.media.base import (
    SILENT_FRAME,
    AccessUnit,
    AudioSource,
    SourceFailed,
    VideoSource,
)
from appliance.media.encoding import OpusEncoder
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.handover import Handover, PictureHandover


class Live(Protocol):
    """An opened device. Its fan-out takes from it as soon as it gives something, and from no other."""

    @property
    def source(self) -> object:
        """The device itself."""

    @property
    def began(self) -> bool:
        """It has given something."""

    @property
    def fault(self) -> SourceFailed | None:
        """Why it stopped by itself."""

    async def open(self) -> None:
        """Open the device; `began` or `fault` follows. Raises SourceFailed."""

    async def close(self) -> None:
        """Nothing more comes from it; returns when it is released."""


class LiveMicrophone:
    """A microphone with its encoder: silence while muted, nothing at all while nobody listens."""

    def __init__(
        self, source: AudioSource, fanout: AudioFanout, changed: Callable[[], None]
    ) -> None:
        """`changed` is called on the loop when `began` or `fault` is."""
        self.source = source
        self.began = False
        self.fault: SourceFailed | None = None
        self._fanout = fanout
        self._changed = changed
        self._encoder = OpusEncoder()
        self._told = False
        self._first = Handover(self._begin)
        self._packets = Handover(fanout.deliver)
        self._failures = Handover(self._fail)

    async def open(self) -> None:
        """Begin to hear. Raises SourceFailed."""
        await asyncio.to_thread(self.source.start, self._hear, self._failures.put)

    async def close(self) -> None:
        """Hear no more."""
        for door in (self._first, self._packets, self._failures):
            door.close()
        if self._fanout.source is self.source:
            self._fanout.source = None
        await asyncio.to_thread(self.source.stop)

    def _hear(self, frame: bytes) -> None:
        """On the source's thread, which encodes too: each frame costs one hand-over."""
        if not self._told:
            self._told = True
            self._first.put(None)
        if self._fanout.source is not self.source:
            return
        sent = SILENT_FRAME if self._fanout.muted else frame
        if self._fanout.tap is not None:
            self._fanout.tap(sent)
        if self._fanout.listeners:
            self._packets.put(self._encoder.encode(sent))

    def _begin(self, _: None) -> None:
        self.began = True
        self._fanout.source = self.source
        self._changed()

    def _fail(self, fault: SourceFailed) -> None:
        self.fault = fault
        self._changed()


class LiveCamera:
    """A camera, and its encoder, whose pictures the fan-out spreads."""

    def __init__(
        self, source: VideoSource, fanout: VideoFanout, changed: Callable[[], None]
    ) -> None:
        """`changed` is called on the loop when `began` or `fault` is."""
        self.source = source
        self.began = False
        self.fault: SourceFailed | None = None
        self._fanout = fanout
        self._changed = changed
        self._units = PictureHandover(self._see, source.request_keyframe)
        self._failures = Handover(self._fail)

    async def open(self) -> None:
        """Begin to see. Raises SourceFailed."""
        await asyncio.to_thread(self.source.start, self._units.put, self._failures.put)

    async def close(self) -> None:
        """See no more."""
        self._units.close()
        self._failures.close()
        if self._fanout.source is self.source:
            self._fanout.detach()
        await asyncio.to_thread(self.source.stop)

    def _see(self, unit: AccessUnit) -> None:
        if not self.began:
            self.began = True
            self._fanout.attach(self.source)
            self._changed()
        if self._fanout.source is self.source:
            self._fanout.deliver(unit)

    def _fail(self, fault: SourceFailed) -> None:
        self.fault = fault
        self._changed()
