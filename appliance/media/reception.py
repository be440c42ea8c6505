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
BEATS_S = 0.06
"""A beat was the last one when no other has come for so long."""
NEAR_S = FRAME_S / 2
"""What is due sooner than that, or was, is given with a beat,"""
PULL_S = 0.000_08
"""and the next one is due by so much nearer to the next beat: 0.4 % of the time between them."""


class Reception:
    """One connection's incoming sound. On the loop."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        """`heard` gets each frame while `run` runs."""
        self.playout = Playout(opus.decoder())
        self.slot: JitterBuffer = _Slot(self.take)
        """What stands in for the jitter buffer of a receiver, or of one after the other."""
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._failure: asyncio.Future[None] | None = None
        """Of `run`, while it runs."""
        self._timer: asyncio.Handle | None = None
        """Of the next frame; None while there is nothing to play."""
        self._due_s = 0.0
        self._beat_s = -BEATS_S
        self._silent = 0

    def let_go(self) -> None:
        """The connection is closed: nothing more is taken, and nobody is kept who would hear it."""
        self.slot = _Slot(lambda _: None)
        self._heard = lambda _: None

    async def run(self, beats: set[Callable[[], None]] | None = None) -> None:
        """Give frames whenever there is something to play; to be cancelled at the end.

        Whoever wakes the loop up every 20 ms calls what is in `beats`, on the loop.
        """
        beats = set() if beats is None else beats
        beats.add(self.beat)
        self._failure = self._loop.create_future()
        if not self.playout.silent:
            self._wake()
        try:
            await self._failure
        finally:
            beats.discard(self.beat)
            self._failure = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            logger.debug("of a connection's sound: %s", self.playout.counts)

    def take(self, packet: VoicePacket) -> None:
        """A packet that has just come."""
        self.playout.put(packet, self._loop.time())
        if self._failure is not None and self._timer is None:
            self._wake()

    def beat(self) -> None:
        """The loop is awake, as it is every 20 ms for the microphone: give what is due about now.

        Of two clocks that wake the loop up each by itself the one costs as much as the other.
        """
        self._beat_s = now_s = self._loop.time()
        early_s = self._due_s - now_s
        if self._timer is None or not -NEAR_S <= early_s <= NEAR_S:
            return
        self._timer.cancel()
        self._due_s -= max(-PULL_S, min(early_s, PULL_S))
        self._give(min(now_s, self._due_s))

    def _wake(self) -> None:
        self._due_s, self._silent = self._loop.time(), 0
        if self._beats(self._due_s):
            self._timer = self._loop.call_at(self._due_s + NEAR_S, self._give)
        else:
            self._timer = self._loop.call_soon(self._give)

    def _beats(self, now_s: float) -> bool:
        return now_s - self._beat_s < BEATS_S

    def _give(self, at_s: float | None = None) -> None:
        """The frame that is due, and a timer for the next one: a task would wake the loop up twice."""
        self._timer = None
        try:
            self._heard(self.playout.pull(self._due_s if at_s is None else at_s))
        except Exception as fault:
            if self._failure is not None and not self._failure.done():
                self._failure.set_exception(fault)
            return
        self._silent = self._silent + 1 if self.playout.silent else 0
        if self._silent >= SILENT_FRAMES or self._failure is None:
            return
        self._due_s += FRAME_S
        now_s = self._loop.time()
        if now_s - self._due_s > STALL_S:
            self._due_s = now_s
        next_s = max(self._due_s, now_s + CATCH_UP_S)
        if self._beats(now_s):
            next_s += NEAR_S  # a beat is there before
        self._timer = self._loop.call_at(next_s, self._give)


class _Slot(JitterBuffer):
    """Passes packets on, and has nothing for aiortc to decode."""

    def __init__(self, take: Callable[[VoicePacket], None]) -> None:
        super().__init__(capacity=1)
        self._take = take

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """A packet that has come; neither a picture is wanted nor is there anything to decode."""
        self._take(
            VoicePacket(packet.ssrc, packet.sequence_number, packet.timestamp, packet.payload)
        )
        return False, None
