"""Microphone and camera while they are open: from the source's thread to the fan-out on the loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from appliance.media.base import (
    SILENT_FRAME,
    AccessUnit,
    AudioSource,
    Processed,
    Silent,
    SourceFailed,
    VideoSource,
)
from appliance.media.driver import Driver
from appliance.media.encoding import OpusEncoder
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.handover import Handover, PictureHandover
from appliance.media.hush import TOO_LONG_S, TOO_LOW_DBFS, Hush
from appliance.model import DeviceException

logger = logging.getLogger(__name__)

STALL_LIMIT_S = 3.0
"""What is open is to give a picture or sound at least so often."""

NOTHING_HEARD = SourceFailed(
    DeviceException.SOUND_LEVEL_TOO_LOW,
    f"the microphone has heard nothing above {TOO_LOW_DBFS:g} dBFS for {TOO_LONG_S:g} s",
)


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

    @property
    def complaint(self) -> SourceFailed | None:
        """What is wrong with what it gives, while it gives."""

    @property
    def due_s(self) -> float:
        """Until when it is to give the next thing, by the loop's clock."""

    @property
    def released(self) -> bool:
        """Nothing of it is open; False also while it does not come to an end with opening or closing."""

    async def open(self) -> None:
        """Open the device; `began` or `fault` follows. Raises SourceFailed, also where that hangs."""

    async def close(self) -> SourceFailed | None:
        """Nothing more comes from it; why it is not released, if it does not let go in time."""


class LiveMicrophone:
    """A microphone with its encoder: silence while muted, nothing at all while nobody listens."""

    def __init__(
        self, source: AudioSource, fanout: AudioFanout, changed: Callable[[], None]
    ) -> None:
        """`changed` is called on the loop when `began`, `fault` or `complaint` is."""
        self.source = source
        self.began = False
        self.fault: SourceFailed | None = None
        self.complaint: SourceFailed | None = None
        self._fanout = fanout
        self._changed = changed
        self._driver: Driver[bytes] = Driver("microphone", source)
        self._encoder = OpusEncoder()
        self._hush = None if isinstance(source, Silent) and source.silent else Hush()
        self._processed = source if isinstance(source, Processed) else None
        self._told = self._hushed = False
        self._heard_at_s = 0.0
        self._first = Handover(self._begin)
        self._packets = Handover(fanout.deliver)
        self._failures = Handover(self._fail)
        self._complaints = Handover(self._complain)

    @property
    def due_s(self) -> float:
        """By the clock of `time.monotonic`, as the loop's."""
        return self._heard_at_s + STALL_LIMIT_S

    @property
    def released(self) -> bool:
        """It is closed."""
        return self._driver.released

    async def open(self) -> None:
        """Begin to hear. Raises SourceFailed."""
        await self._driver.start(self._hear, self._failures.put)

    async def close(self) -> SourceFailed | None:
        """Hear no more."""
        for door in (self._first, self._packets, self._failures, self._complaints):
            door.close()
        if self._fanout.source is self.source:
            self._fanout.source = None
        return await self._driver.stop()

    def _hear(self, frame: bytes) -> None:
        """On the source's thread, which encodes too: each frame costs one hand-over."""
        self._heard_at_s = time.monotonic()
        if not self._told:
            self._told = True
            self._first.put(None)
        if self._fanout.source is not self.source:
            return
        try:
            self._judge(frame)
            self._send(SILENT_FRAME if self._fanout.muted else frame)
        except Exception as fault:  # the source goes on, and would raise it fifty times a second
            logger.exception("the sound of the microphone cannot be sent")
            lost = f"the encoder of the microphone ended: {fault}"
            self._failures.put(SourceFailed(DeviceException.MEDIA_SERVICES_WERE_LOST, lost))

    def _send(self, frame: bytes) -> None:
        if self._fanout.tap is not None:
            self._fanout.tap(frame)
        if self._fanout.listeners:
            self._encoder.expect_loss(self._fanout.loss_percent)
            self._packets.put(self._encoder.encode(frame))

    def _judge(self, frame: bytes) -> None:
        """By what the microphone itself heard: who takes out noise leaves nothing of a quiet room. Muted it
        may well be silent: many have a switch for that.
        """
        if self._hush is None:
            return
        hushed = False
        if self._fanout.muted:
            self._hush.forget()
        else:
            heard = self._processed.unprocessed if self._processed else frame
            hushed = self._hush.heard(heard, self._heard_at_s)
        if hushed is not self._hushed:
            self._hushed = hushed
            self._complaints.put(NOTHING_HEARD if hushed else None)

    def _begin(self, _: None) -> None:
        self.began = True
        self._fanout.source = self.source
        self._changed()

    def _fail(self, fault: SourceFailed) -> None:
        self.fault = self.fault or fault
        self._changed()

    def _complain(self, complaint: SourceFailed | None) -> None:
        self.complaint = complaint
        self._changed()


class LiveCamera:
    """A camera, and its encoder, whose pictures the fan-out spreads."""

    complaint: SourceFailed | None = None

    def __init__(
        self, source: VideoSource, fanout: VideoFanout, changed: Callable[[], None]
    ) -> None:
        """`changed` is called on the loop when `began` or `fault` is."""
        self.source = source
        self.began = False
        self.fault: SourceFailed | None = None
        self._fanout = fanout
        self._changed = changed
        self._driver: Driver[AccessUnit] = Driver("camera", source)
        self._seen_at_s = 0.0
        self._units = PictureHandover(self._see, source.request_keyframe)
        self._failures = Handover(self._fail)

    @property
    def due_s(self) -> float:
        """While it rests it owes no picture, nor in the time after."""
        if self._fanout.paused:
            return asyncio.get_running_loop().time() + STALL_LIMIT_S
        return max(self._seen_at_s, self._fanout.resumed_at_s) + STALL_LIMIT_S

    @property
    def released(self) -> bool:
        """It is closed."""
        return self._driver.released

    async def open(self) -> None:
        """Begin to see. Raises SourceFailed."""
        await self._driver.start(self._take, self._failures.put)

    async def close(self) -> SourceFailed | None:
        """See no more."""
        self._units.close()
        self._failures.close()
        if self._fanout.source is self.source:
            self._fanout.detach()
        return await self._driver.stop()

    def _take(self, unit: AccessUnit) -> None:
        """On the source's thread: a loop that is busy is not the camera's fault."""
        self._seen_at_s = time.monotonic()
        self._units.put(unit)

    def _see(self, unit: AccessUnit) -> None:
        if not self.began:
            self.began = True
            self._fanout.attach(self.source)
            self._changed()
        if self._fanout.source is self.source:
            self._fanout.deliver(unit)

    def _fail(self, fault: SourceFailed) -> None:
        self.fault = self.fault or fault
        self._changed()
