"""The encoder follows what the ways to the peers bear: reports go in, and how to encode comes out.

There is one for each fan-out, since each has one encode for all its peers. It is looked at twice a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from appliance.media.base import VideoSource
from appliance.media.fanout import VideoFanout
from appliance.media.governor import Cause
from appliance.media.ladder import Encoding, Ladder
from appliance.media.rate import RateController
from appliance.media.tracks import VideoTrack
from appliance.model import Json

REFRESH_S = 4.0
"""Who gets keyframes alone gets one so often at least."""


class Steering:
    """Of the source of one fan-out. On the loop."""

    def __init__(
        self, fanout: VideoFanout, ceiling_kbps: int, keeps_size: Callable[[], bool]
    ) -> None:
        """`ceiling_kbps` is what was configured; while `keeps_size`, the size stays as it is."""
        self._fanout, self._keeps_size = fanout, keeps_size
        self._ceiling_kbps = ceiling_kbps
        self._controller = RateController(ceiling_kbps)
        self._tracks: frozenset[VideoTrack] = frozenset()
        self._attached = 0
        self._ladder: Ladder | None = None
        self._told: Encoding | None = None
        self._refreshed_s = 0.0

    def look(self, now_s: float) -> None:
        """Read what has been reported, and let the source encode accordingly."""
        self._meet(now_s)
        for track in self._tracks:
            while track.feedback is not None and track.feedback.unread:
                self._controller.take(track, track.feedback.unread.popleft())
        kbps = self._controller.decide(now_s)
        for track in self._tracks:
            track.keyframes_only = self._controller.is_left_behind(track)
        self._refresh(now_s)
        source = self._fanout.source
        if source is None:
            return
        if self._ladder is None or self._fanout.attached != self._attached:
            self._begin(source)
        assert self._ladder is not None
        self._tell(
            source, self._borne(self._ladder.step(kbps, now_s, keep_size=self._keeps_size()))
        )

    def _borne(self, wanted: Encoding) -> Encoding:
        """What the ways to the peers bear, as far as this device does."""
        limit = self._fanout.framerate_limit
        return wanted if limit is None else replace(wanted, framerate=min(wanted.framerate, limit))

    def _meet(self, now_s: float) -> None:
        there = self._fanout.tracks
        for track in there - self._tracks:
            self._controller.join(track, now_s, yields=track.yields)
        for track in self._tracks - there:
            self._controller.leave(track)
            track.keyframes_only = False
        if self._tracks and not there and self._ladder is not None:
            self._ladder.to_the_top()  # for whoever comes next
        self._tracks = there

    def _begin(self, source: VideoSource) -> None:
        """It has just been started, as configured; where the size is kept, that of the one before is."""
        before = self._told
        self._attached = self._fanout.attached
        self._ladder = Ladder(source.width, source.framerate, self._ceiling_kbps)
        self._told = self._ladder.now
        if before is not None:
            self._ladder.now = replace(self._ladder.now, divisor=before.divisor)

    def _tell(self, source: VideoSource, wanted: Encoding) -> None:
        told, self._told = self._told, wanted
        if told is None or told.divisor != wanted.divisor:
            source.set_scale(wanted.divisor)
        if told is None or told.framerate != wanted.framerate:
            source.set_framerate(wanted.framerate)
        if told is None or told.kbps != wanted.kbps:
            source.set_bitrate(wanted.kbps)

    def _refresh(self, now_s: float) -> None:
        is_due = now_s - self._refreshed_s >= REFRESH_S
        if is_due and any(track.keyframes_only for track in self._tracks):
            self._refreshed_s = now_s
            self._fanout.request_keyframe(Cause.REFRESH)

    # -------------------- for `status`

    def sent(self) -> dict[str, Json] | None:
        """How pictures are encoded now; None where there is no source."""
        source = self._fanout.source
        if source is None:
            return None
        return {
            "width": source.width,
            "height": source.height,
            "framerate": source.framerate,
            "kbps": self._controller.kbps,
        }

    def link(self, track: VideoTrack) -> dict[str, Json]:
        """What is known of the way to the peer of a track; null: not yet."""
        feedback = track.feedback
        loss = None if feedback is None else feedback.fraction_lost
        joined = track in self._tracks
        return {
            "rtt_ms": _ms(None if feedback is None else feedback.rtt_s),
            "jitter_ms": _ms(None if feedback is None else feedback.jitter_s),
            "loss_percent": None if loss is None else round(loss * 100, 1),
            "estimate_kbps": self._controller.estimate_kbps(track) if joined else None,
            "keyframes_only": track.keyframes_only,
        }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
