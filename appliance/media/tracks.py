"""What aiortc reads from, one for each peer: packets that are encoded already, from a fan-out.

What a track hands out is for what sends in the place of aiortc's loop (`seams/sending.py`) and for nobody
else; so aiortc's encoders stay idle. It takes part from its first `recv()`, which is when its peer is
connected, until it is stopped, and can be told to draw from another fan-out, or from none. All this is on
the loop.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Generic, TypeVar

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from appliance.media.base import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ
from appliance.media.feedback import Feedback
from appliance.media.governor import Cause
from appliance.media.sending import Packet
from appliance.media.voiceloss import VoiceLoss

AUDIO_CLOCK = Fraction(1, SAMPLE_RATE_HZ)

T = TypeVar("T", bound="PacketTrack")


class Fanout(Generic[T]):
    """Who takes part."""

    def __init__(self) -> None:
        """To be made on the loop."""
        self._loop = asyncio.get_running_loop()
        self._tracks: set[T] = set()

    @property
    def listeners(self) -> int:
        """How many peers take what comes."""
        return len(self._tracks)

    def join(self, track: T) -> None:
        """From now on `track` gets what comes."""
        self._tracks.add(track)

    def leave(self, track: T) -> None:
        """From now on it does not."""
        self._tracks.discard(track)


class PacketTrack(MediaStreamTrack):
    """A bounded queue with aiortc's face."""

    def __init__(self, fanout: Fanout[Any]) -> None:
        """To be made by `fanout`."""
        super().__init__()
        self.dropped = 0
        self._fanout: Fanout[Any] | None = fanout
        self.send_at_once: Callable[[Packet], bool] | None = None
        """Who sends a packet as it is pushed, where nothing is queued; or says that it cannot."""
        self._read = False
        self._queue: deque[Packet] = deque()
        self._filled = asyncio.Event()

    @abstractmethod
    def push(self, packet: Packet) -> None:
        """Queue a packet, or drop something; never waits."""

    def draw_from(self, fanout: Fanout[Any] | None) -> None:
        """Take what another one spreads from now on, or nothing; nothing of before is handed out."""
        if fanout is self._fanout:
            return
        if self._read and self._fanout is not None:
            self._fanout.leave(self)
        self._fanout = fanout
        self.restart()
        if self._read and fanout is not None:
            fanout.join(self)

    def restart(self) -> None:
        """Forget what is queued."""
        self.dropped += len(self._queue)
        self._queue.clear()

    async def recv(self) -> Packet:  # type: ignore[override]
        """The next packet. Raises MediaStreamError once the track is stopped."""
        if self.readyState == "live" and not self._read:
            self._read = True
            if self._fanout is not None:
                self._fanout.join(self)
        while not self._queue:
            if self.readyState != "live":
                raise MediaStreamError
            self._filled.clear()
            await self._filled.wait()
        return self._queue.popleft()

    def stop(self) -> None:
        """Take part no more; who waits in `recv` is released."""
        super().stop()
        self._queue.clear()
        self._filled.set()
        if self._read and self._fanout is not None:
            self._fanout.leave(self)
        self._read, self._fanout, self.send_at_once = False, None, None

    def _append(self, packet: Packet) -> None:
        if self.send_at_once is not None and not self._queue and self.send_at_once(packet):
            return
        self._queue.append(packet)
        self._filled.set()


class VideoTrack(PacketTrack):
    """Pictures for one peer: begins with a keyframe, and after a gap goes on with one."""

    kind = "video"
    LIMIT = 8

    def __init__(
        self, fanout: Fanout[VideoTrack], request_keyframe: Callable[[Cause], None]
    ) -> None:
        """To be made by `fanout`."""
        super().__init__(fanout)
        self._request_keyframe = request_keyframe
        self._keyframes_only = False
        self.waits_for_keyframe = True
        self.feedback: Feedback | None = None
        """What its peer reports on it."""
        self.yields = False
        """Its peer only looks: while others are in a call they do not get less for its sake."""

    @property
    def keyframes_only(self) -> bool:
        """Whether its peer is to get nothing else, since it can take no more."""
        return self._keyframes_only

    @keyframes_only.setter
    def keyframes_only(self, only: bool) -> None:
        if self._keyframes_only and not only:
            self.waits_for_keyframe = True
            self._request_keyframe(Cause.RESUME)
        self._keyframes_only = only

    def push(self, packet: Packet) -> None:
        """A picture: queued, or dropped where a decoder could make nothing of it."""
        if (self.waits_for_keyframe or self._keyframes_only) and not packet.is_keyframe:
            return
        if len(self._queue) >= self.LIMIT:
            self.restart()
            if not packet.is_keyframe:
                self.dropped += 1
                self._request_keyframe(Cause.RESUME)
                return
        self.waits_for_keyframe = False
        self._append(packet)

    def restart(self) -> None:
        """Forget what is queued, and go on with the next keyframe."""
        super().restart()
        self.waits_for_keyframe = True


class AudioTrack(PacketTrack):
    """Sound for one peer: what is too old to be heard is dropped.

    Each fan-out counts its own time; whichever it draws from, the time stamps of the track go on.
    """

    kind = "audio"
    LIMIT = 5

    def __init__(self, fanout: Fanout[AudioTrack]) -> None:
        """To be made by `fanout`."""
        super().__init__(fanout)
        self.loss = VoiceLoss()
        """How much of it is lost on the way to its peer."""
        self._clock = asyncio.get_running_loop().time
        self._offset = 0
        self._last_pts: int | None = None
        self._last_at_s = 0.0
        self._restarted = False

    def push(self, packet: Packet) -> None:
        """20 ms of Opus."""
        if len(self._queue) >= self.LIMIT:
            self._queue.popleft()
            self.dropped += 1
        self._append(self._in_time(packet))

    def restart(self) -> None:
        """Forget what is queued; what comes next has another count of time."""
        super().restart()
        self._restarted = True

    def _in_time(self, packet: Packet) -> Packet:
        assert packet.pts is not None
        now_s = self._clock()
        if self._restarted and self._last_pts is not None:
            passed = max(1, round((now_s - self._last_at_s) / FRAME_S)) * FRAME_SAMPLES
            self._offset = self._last_pts + passed - packet.pts
        self._restarted = False
        self._last_pts, self._last_at_s = packet.pts + self._offset, now_s
        if self._offset:
            packet = sound_packet(packet.data, self._last_pts)
        return packet


def sound_packet(opus: bytes, pts: int) -> Packet:
    """20 ms of Opus; `pts` counts samples."""
    return Packet(opus, pts, AUDIO_CLOCK)
