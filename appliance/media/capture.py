"""Microphone and camera while they are open: from the source's thread to the fan-out on the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from appliance.media.base import SILENT_FRAME, AudioSource, SourceFailed, VideoSource
from appliance.media.encoding import OpusEncoder
from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.handover import Handover

Failed = Callable[[SourceFailed], None]


class LiveMicrophone:
    """A microphone with its encoder: silence while muted, nothing at all while nobody listens."""

    def __init__(self, source: AudioSource, fanout: AudioFanout, failed: Failed) -> None:
        """`failed` is called on the loop."""
        self._source = source
        self._fanout = fanout
        self._encoder = OpusEncoder()
        self._packets = Handover(fanout.deliver)
        self._failures = Handover(failed)

    async def open(self) -> None:
        """Begin to hear. Raises SourceFailed."""
        await asyncio.to_thread(self._source.start, self._hear, self._failures.put)

    async def close(self) -> None:
        """Hear no more."""
        self._packets.close()
        self._failures.close()
        await asyncio.to_thread(self._source.stop)

    def _hear(self, frame: bytes) -> None:
        """On the source's thread, which encodes too: each frame costs one hand-over."""
        if self._fanout.listeners:
            self._packets.put(self._encoder.encode(SILENT_FRAME if self._fanout.muted else frame))


class LiveCamera:
    """A camera, and its encoder, whose pictures the fan-out spreads."""

    def __init__(self, source: VideoSource, fanout: VideoFanout, failed: Failed) -> None:
        """`failed` is called on the loop."""
        self._source = source
        self._fanout = fanout
        self._units = Handover(fanout.deliver)
        self._failures = Handover(failed)

    async def open(self) -> None:
        """Begin to see. Raises SourceFailed."""
        self._fanout.attach(self._source)
        try:
            await asyncio.to_thread(self._source.start, self._units.put, self._failures.put)
        except Exception:
            self._fanout.detach()
            raise

    async def close(self) -> None:
        """See no more."""
        self._units.close()
        self._failures.close()
        self._fanout.detach()
        await asyncio.to_thread(self._source.stop)
