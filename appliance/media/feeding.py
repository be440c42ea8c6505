"""A video source of raw pictures, as a screen gives them: encoded only while somebody has started it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import av
from av.video.reformatter import VideoReformatter

from appliance.media.base import AccessUnit, SourceFailed
from appliance.media.encoding import H264Encoder
from appliance.model import DeviceException

if TYPE_CHECKING:
    from appliance.media.base import Rgb

logger = logging.getLogger(__name__)

REPEAT_S = 1.0
"""A picture that stands still is sent again so often: some receivers show one only when the next begins,
and it becomes sharper."""


class FrameEncoder:
    """H.264 of whatever is fed: a `VideoSource` with a thread of its own from `start` to `stop`.

    Of pictures that come faster than they can be encoded, or than the framerate, the latest counts.
    """

    encoder = "software"

    def __init__(self, width: int, height: int, framerate: int, kbps: int) -> None:
        """The size in pixels to which pictures are scaled, one less where it is odd; pictures per second;
        kbit/s.
        """
        self._full = width & ~1, height & ~1
        self._fastest, self._ceiling_kbps = framerate, kbps
        self._begin_as_configured()
        self._changed = threading.Condition()
        self._frame: Rgb | None = None
        self._is_new = self._keyframe_wanted = self._resting = self._ending = False
        self._h264: H264Encoder | None = None
        self._thread: threading.Thread | None = None

    def _begin_as_configured(self) -> None:
        self.framerate, self._divisor, self._kbps = self._fastest, 1, self._ceiling_kbps

    @property
    def width(self) -> int:
        """Of what is sent."""
        return self._full[0] // self._divisor & ~1

    @property
    def height(self) -> int:
        """Of what is sent."""
        return self._full[1] // self._divisor & ~1

    def feed(self, frame: Rgb) -> None:
        """The latest picture, RGB; not to be changed afterwards. From any thread, and never waits long."""
        with self._changed:
            self._frame, self._is_new = frame, True
            self._changed.notify()

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        """Encode from now on, beginning with what was fed last. Raises SourceFailed for an odd encoder."""
        self._begin_as_configured()
        try:
            self._h264 = self._new_encoder()
        except ValueError as fault:
            raise SourceFailed(DeviceException.GENERIC, str(fault)) from fault
        self._ending = self._resting = False
        self._is_new = self._frame is not None
        self._thread = threading.Thread(
            target=self._run, args=(deliver, failed), name="screen encoder", daemon=True
        )
        self._thread.start()

    def _new_encoder(self) -> H264Encoder:
        encoder = H264Encoder(self.width, self.height, self._fastest, self._ceiling_kbps)
        encoder.set_bitrate(self._kbps)
        return encoder

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        self._thread = self._h264 = None

    def rest(self, resting: bool, /) -> None:
        """Encode nothing, or go on with a keyframe."""
        with self._changed:
            self._resting = resting
        if not resting:
            self.request_keyframe()

    def request_keyframe(self) -> None:
        """Encode the latest picture again, as a keyframe."""
        with self._changed:
            self._keyframe_wanted = True
            self._changed.notify()

    def set_bitrate(self, kbps: int) -> None:
        """Aim at `kbps`; at most what was configured."""
        self._kbps, encoder = kbps, self._h264
        if encoder is not None:
            encoder.set_bitrate(kbps)

    def set_framerate(self, fps: int) -> None:
        """At most so many pictures a second."""
        self.framerate = max(1, min(fps, self._fastest))

    def set_scale(self, divisor: int) -> None:
        """Send them in a size of 1/`divisor`, encoded anew."""
        self._divisor = divisor

    # -------------------- on its thread

    def _run(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        try:
            converter = VideoReformatter()  # a picture's own would be prepared for each
            last_s = 0.0
            while (frame := self._next(last_s)) is not None:
                last_s = time.monotonic()
                deliver(self._encode(frame, int(last_s * 1e6), converter))
        except Exception as fault:
            logger.exception("the screen's encoder stopped")
            failed(SourceFailed(DeviceException.GENERIC, f"the screen's encoder stopped: {fault}"))

    def _encode(self, frame: Rgb, pts_us: int, converter: VideoReformatter) -> AccessUnit:
        encoder = self._h264
        assert encoder is not None  # it outlives the thread
        if (encoder.width, encoder.height) != (self.width, self.height):
            encoder = self._h264 = self._new_encoder()
        with self._changed:
            if self._keyframe_wanted:
                encoder.request_keyframe()
            self._keyframe_wanted = False
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        planar = converter.reformat(picture, encoder.width, encoder.height, "yuv420p")
        return encoder.encode(planar, pts_us)

    def _next(self, last_s: float) -> Rgb | None:
        """Wait for what is to be encoded next; None: nothing any more."""
        with self._changed:
            while not self._ending:
                now_s = time.monotonic()
                if self._frame is None or self._resting:
                    self._changed.wait()
                elif now_s - last_s < 1 / self.framerate:
                    self._changed.wait(last_s + 1 / self.framerate - now_s)
                elif self._is_new or self._keyframe_wanted or now_s - last_s >= REPEAT_S:
                    self._is_new = False
                    return self._frame
                else:
                    self._changed.wait(last_s + REPEAT_S - now_s)
            return None
