"""From aiortc's receiver to who listens: packets in, 20 ms of sound out at a steady pace.

aiortc decodes what its jitter buffer gives it. The one that stands in its place here gives it nothing, so
its decoder is idle; its statistics, its reports and its list of sources are made before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket

from appliance.media import opus
from appliance.media.base import FRAME_S
from appliance.media.playout import Playout, VoicePacket

logger = logging.getLogger(__name__)

SILENT_FRAMES = 100
"""After 2 s of silence with nothing to come no frames are given, until a packet comes."""
STALL_S = 0.1
"""A loop that was held up for longer does not make up for it: what was due then is past,"""
CATCH_UP_S = 0.005
"""and else the frames are at least so far apart, for who plays them has little room."""


class Reception:
    """One connection's incoming sound. On the loop."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        """`heard` gets each frame while `run` runs."""
        self.playout = Playout(opus.decoder())
        self.slot: JitterBuffer = _Slot(self._take)
        """What stands in for the jitter buffer of a receiver, or of one after the other."""
        self._heard = heard
        self._clock = asyncio.get_running_loop().time
        self._came = asyncio.Event()

    async def run(self) -> None:
        """Give frames whenever there is something to play; to be cancelled at the end."""
        try:
            while True:
                self._came.clear()
                await self._came.wait()
                await self._play()
        finally:
            logger.debug("of a connection's sound: %s", self.playout.counts)

    def _take(self, packet: RtpPacket) -> None:
        self.playout.put(
            VoicePacket(packet.ssrc, packet.sequence_number, packet.timestamp, packet.payload),
            self._clock(),
        )
        self._came.set()

    async def _play(self) -> None:
        """Play until there has been nothing for a while."""
        due_s = self._clock()
        silent = 0
        while silent < SILENT_FRAMES:
            self._heard(self.playout.pull(due_s))
            silent = silent + 1 if self.playout.silent else 0
            due_s += FRAME_S
            now_s = self._clock()
            if now_s - due_s > STALL_S:
                due_s = now_s
            await asyncio.sleep(max(CATCH_UP_S, due_s - now_s))


class _Slot(JitterBuffer):
    """Passes packets on, and has nothing for aiortc to decode."""

    def __init__(self, take: Callable[[RtpPacket], None]) -> None:
        super().__init__(capacity=1)
        self._take = take

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """A packet that has come; neither a picture is wanted nor is there anything to decode."""
        self._take(packet)
        return False, None
