"""One encoded source, many peers: pictures and sound are encoded once and go to each as they are.

While nobody listens or looks, as little as possible is done. Everything here is on the loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from appliance.media.annexb import parameter_sets, picture_size
from appliance.media.base import (
    FRAME_S,
    FRAME_SAMPLES,
    AccessUnit,
    AudioSource,
    Onlooker,
    PictureFormat,
    VideoSource,
)
from appliance.media.governor import KEYFRAME_INTERVAL_S, Cause, KeyframeGovernor
from appliance.media.latest import LatestPictures
from appliance.media.sending import Packet
from appliance.media.tracks import AudioTrack, Fanout, VideoTrack, sound_packet
from appliance.media.voiceloss import LEAST_PERCENT

VIDEO_CLOCK = Fraction(1, 90_000)

WEIGHED_EVERY_S = 1.0

NEXT_US = 1000
"""How much later than the last picture of one camera the first of another is, at least."""


class VideoFanout(Fanout[VideoTrack]):
    """Spreads the pictures of whichever source is attached.

    While nobody looks the latest are kept, so that who joins waits for none: they are the first it gets,
    and what is encoded next continues from them. While paused the encoder rests, and nothing is kept.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """To be made on the loop. `clock` in seconds, as the time stamps of the pictures."""
        super().__init__()
        self._clock = clock
        self._source: VideoSource | None = None
        self.attached = 0
        """How many sources there have been: the same one counts anew when it has been started again."""
        self._latest = LatestPictures()
        self._last_us = -1
        self._onlookers: set[Onlooker] = set()
        self._parameter_sets = b""
        self.paused = False
        self.governor = KeyframeGovernor()
        self.resumed_at_s = 0.0
        """When the latest pause ended, by the loop's clock."""
        self.framerate_limit: int | None = None
        """How many pictures a second the device can bear; None: as many as were configured."""
        self._postponed: asyncio.TimerHandle | None = None

    def track(self) -> VideoTrack:
        """A track for one more peer."""
        return VideoTrack(self, self.request_keyframe)

    @property
    def tracks(self) -> frozenset[VideoTrack]:
        """Of the peers that take what comes."""
        return frozenset(self._tracks)

    def join(self, track: VideoTrack) -> None:
        """A peer is connected: it begins with what has been kept, or else with the next keyframe."""
        super().join(track)
        for unit in self._latest.fresh(self._clock()):
            track.push(_packet(unit))
        if track.waits_for_keyframe:
            self.request_keyframe(Cause.JOIN)

    @property
    def source(self) -> VideoSource | None:
        """Whose pictures are spread."""
        return self._source

    @property
    def format(self) -> PictureFormat | None:
        """What the pictures of the present source are like; None before its first."""
        source = self._source
        if source is None or not self._parameter_sets:
            return None
        size = picture_size(self._parameter_sets) or (source.width, source.height)
        return PictureFormat(*size, source.framerate, self._parameter_sets)

    @property
    def changes_size(self) -> bool:
        """Whether what comes next has another size than what came last."""
        looks, source = self.format, self._source
        if looks is None or source is None:
            return False
        return (looks.width, looks.height) != (source.width, source.height)

    def watch(self, onlooker: Onlooker) -> None:
        """Let `onlooker` have every picture that is sent, from the next keyframe on."""
        self._onlookers.add(onlooker)
        self.request_keyframe(Cause.JOIN)

    def unwatch(self, onlooker: Onlooker) -> None:
        """It gets no more."""
        self._onlookers.discard(onlooker)

    def attach(self, source: VideoSource) -> None:
        """Take pictures from `source`, which has just been started, instead of another's."""
        if self._source is not None and self._source is not source:
            self.detach()
        if self._source is None:
            self.attached += 1
        self._source = source

    def detach(self) -> None:
        """There is no source any more; the tracks stay, and begin with a keyframe when one comes."""
        self._source, self._parameter_sets = None, b""
        self._answered()
        self._begin_anew()

    def pause(self, paused: bool, /) -> None:
        """Let no picture out from now on, not even one that is queued; or again, from a keyframe on."""
        self.paused = paused
        self.resumed_at_s = self._loop.time()
        self._begin_anew()
        if self._source is not None:
            self._source.rest(paused)
        if not paused:
            self.request_keyframe(Cause.RESUME)

    def deliver(self, unit: AccessUnit) -> None:
        """Spread one picture, or keep it for who comes."""
        if self._source is None:
            return
        if unit.pts_us <= self._last_us:  # of another camera: time never steps back
            unit = replace(unit, pts_us=self._last_us + NEXT_US)
        self._last_us = unit.pts_us
        if unit.keyframe:
            self._answered()
            self._parameter_sets = parameter_sets(unit.data) or self._parameter_sets
        if self.paused:
            self._source.rest(self.paused)  # it was being started when the pause began
            return
        for onlooker in self._onlookers:
            onlooker.push(unit)
        if self._tracks or self._onlookers:
            self._spread(unit)
        else:
            self._keep(unit, self._source)

    def request_keyframe(self, cause: Cause) -> None:
        """Let the encoder be asked for a keyframe as soon as the governor allows it."""
        if self._wanted:
            self.governor.want(cause)
            self._ask_when_due()

    def _ask_when_due(self) -> None:
        self._forget_postponed()
        wait_s = self.governor.due_in_s(self._loop.time())
        if wait_s is None or self._source is None or not self._wanted:
            self.governor.answered()
            return
        if wait_s == 0:
            self.governor.asked(self._loop.time())
            self._source.request_keyframe()
            wait_s = KEYFRAME_INTERVAL_S  # by then it has come, or was lost on the encoder
        self._postponed = self._loop.call_later(wait_s, self._ask_when_due)

    def _spread(self, unit: AccessUnit) -> None:
        self._latest.forget()  # who joins from now on would miss this one
        packet = _packet(unit)
        for track in self._tracks:
            track.push(packet)
        if not self.governor.wanted and any(track.waits_for_keyframe for track in self._tracks):
            self.request_keyframe(Cause.JOIN)  # a source that had stalled goes on in the middle

    def _keep(self, unit: AccessUnit, source: VideoSource) -> None:
        self._latest.keep(unit)
        if self._latest.keyframe_is_due:
            self._latest.asked()
            source.request_keyframe()  # nobody's bandwidth is at stake: many are no harm

    @property
    def _wanted(self) -> bool:
        looked_at = bool(self._tracks or self._onlookers)
        return looked_at and not self.paused and self._source is not None

    def _answered(self) -> None:
        self.governor.answered()
        self._forget_postponed()

    def _forget_postponed(self) -> None:
        if self._postponed is not None:
            self._postponed.cancel()
            self._postponed = None

    def _begin_anew(self) -> None:
        self._latest.forget()
        for track in self._tracks:
            track.restart()
        for onlooker in self._onlookers:
            onlooker.restart()


def _packet(unit: AccessUnit) -> Packet:
    return Packet(unit.data, unit.pts_us * 9 // 100, VIDEO_CLOCK, is_keyframe=unit.keyframe)


class AudioFanout(Fanout[AudioTrack]):
    """Spreads the packets of the microphone; while `muted` is set, it encodes silence."""

    def __init__(self) -> None:
        """To be made on the loop."""
        super().__init__()
        self.muted = False
        self.source: AudioSource | None = None
        """Whose sound is spread."""
        self.tap: Callable[[bytes], None] | None = None
        """Gets each frame as it is sent, on the source's thread."""
        self.beats: set[Callable[[], None]] = set()
        """What is called with each 20 ms of sound: who else has something to do every 20 ms."""
        self.loss_percent = LEAST_PERCENT
        """What the encoder is to expect on the worst of the ways, looked at once a second."""
        self._frames = 0
        self._last_at_s = self._weighed_at_s = self._loop.time()

    def track(self) -> AudioTrack:
        """A track for one more peer."""
        return AudioTrack(self)

    def deliver(self, opus: bytes) -> None:
        """Spread 20 ms. A pause of the microphone becomes one of the time stamps."""
        now_s = self._loop.time()
        gap_s, self._last_at_s = now_s - self._last_at_s, now_s
        self._frames += 1 if gap_s < 10 * FRAME_S else round(gap_s / FRAME_S)
        if now_s - self._weighed_at_s >= WEIGHED_EVERY_S:
            self._weighed_at_s = now_s
            self.loss_percent = max(
                (track.loss.percent for track in self._tracks), default=LEAST_PERCENT
            )
        packet = sound_packet(opus, self._frames * FRAME_SAMPLES)
        for track in self._tracks:
            track.push(packet)
        for beat in tuple(self.beats):
            beat()
