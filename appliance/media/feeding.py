"""A video source of raw pictures, as a screen gives them: encoded only while somebody has started it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import av

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
        self.width, self.height, self.framerate = width & ~1, height & ~1, framerate
        self._kbps = kbps
        self._changed = threading.Condition()
        self._frame: Rgb | None = None
        self._is_new = self._keyframe_wanted = self._resting = self._ending = False
        self._h264: H264Encoder | None = None
        self._thread: threading.Thread | None = None

    def feed(self, frame: Rgb) -> None:
        """The latest picture, RGB; not to be changed afterwards. From any thread, and never waits long."""
        with self._changed:
            self._frame, self._is_new = frame, True
            self._changed.notify()

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        """Encode from now on, beginning with what was fed last. Raises SourceFailed for an odd encoder."""
        try:
            self._h264 = H264Encoder(self.width, self.height, self.framerate, self._kbps)
        except ValueError as fault:
            raise SourceFailed(DeviceException.GENERIC, str(fault)) from fault
        self._ending = self._resting = False
        self._is_new = self._frame is not None
        self._thread = threading.Thread(
            target=self._run, args=(self._h264, deliver, failed), name="screen encoder", daemon=True
        )
        self._thread.start()

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
        encoder = self._h264
        if encoder is not None:
            encoder.set_bitrate(kbps)

    # -------------------- on its thread

    def _run(
        self,
        encoder: H264Encoder,
        deliver: Callable[[AccessUnit], None],
        failed: Callable[[SourceFailed], None],
    ) -> None:
        try:
            last_s = 0.0
            while (frame := self._next(encoder, last_s)) is not None:
                last_s = time.monotonic()
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                picture = picture.reformat(self.width, self.height, "yuv420p")
                deliver(encoder.encode(picture, int(last_s * 1e6)))
        except Exception as fault:
            logger.exception("the screen's encoder stopped")
            failed(SourceFailed(DeviceException.GENERIC, f"the screen's encoder stopped: {fault}"))

    def _next(self, encoder: H264Encoder, last_s: float) -> Rgb | None:
        """Wait for what is to be encoded next; None: nothing any more."""
        with self._changed:
            while not self._ending:
                now_s = time.monotonic()
                if self._frame is None or self._resting:
                    self._changed.wait()
                elif now_s - last_s < 1 / self.framerate:
                    self._changed.wait(last_s + 1 / self.framerate - now_s)
                elif self._is_new or self._keyframe_wanted or now_s - last_s >= REPEAT_S:
                    if self._keyframe_wanted:
                        encoder.request_keyframe()
                    self._is_new = self._keyframe_wanted = False
                    return self._frame
                else:
                    self._changed.wait(last_s + REPEAT_S - now_s)
            return None
