"""A camera before which prepared pictures pass: as hard to encode as the test wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import av
import numpy as np

from appliance.media.base import AccessUnit, SourceFailed
from appliance.media.encoding import H264Encoder
from appliance.media.pacing import Paced


class FilmCamera:
    """Plays them forwards and backwards for ever, encoded live, with keyframes on request."""

    encoder = "software"

    def __init__(self, pictures: Sequence[av.VideoFrame], framerate: int, kbps: int) -> None:
        self.width, self.height = pictures[0].width, pictures[0].height
        self.framerate, self._kbps = framerate, kbps
        self._pictures = pictures
        self._h264: H264Encoder | None = None
        self._thread: Paced | None = None

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        encoder = self._h264 = H264Encoder(self.width, self.height, self.framerate, self._kbps)

        def take(number: int, at_s: float) -> None:
            place = number % max(1, 2 * len(self._pictures) - 2)
            picture = self._pictures[min(place, abs(2 * len(self._pictures) - 2 - place))]
            deliver(encoder.encode(picture, int(at_s * 1e6)))

        def repeat() -> None:
            unit = encoder.again(self.framerate) if encoder.keyframe_wanted else None
            if unit is not None:
                deliver(unit)

        self._thread = Paced("camera", self.framerate, take, print, stirred=repeat)

    def stop(self) -> None:
        if self._thread is not None:
            self._thread.stop()

    def rest(self, resting: bool, /) -> None: ...

    def request_keyframe(self) -> None:
        if self._h264 is not None:
            self._h264.request_keyframe()
        if self._thread is not None:
            self._thread.stir()

    def set_bitrate(self, kbps: int) -> None:
        if self._h264 is not None:
            self._h264.set_bitrate(kbps)

    def set_framerate(self, fps: int) -> None: ...
    def set_scale(self, divisor: int) -> None: ...


def grain(width: int, height: int) -> list[av.VideoFrame]:
    """Pictures of which a whole bitrate is needed: each is noise."""
    rng = np.random.default_rng(1)
    return [
        av.VideoFrame.from_ndarray(
            rng.integers(100, 140, (height * 3 // 2, width), dtype=np.uint8), format="yuv420p"
        )
        for _ in range(4)
    ]
