"""The Pi's H.264 encoder (V4L2, memory to memory, before the Pi 5), as picamera2 drives it.

To be imported where picamera2 is: it extends picamera2's own class by what that has no argument for.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import videodev2
from picamera2.encoders.h264_encoder import H264Encoder
from picamera2.encoders.v4l2_encoder import V4L2Encoder
from picamera2.outputs import Output

from appliance.media.annexb import parameter_sets
from appliance.media.base import AccessUnit, SourceFailed
from appliance.media.encoding import h264_level
from appliance.media.opening import explained
from appliance.media.picamera import Taken, monotonic_us
from appliance.model import DeviceException

logger = logging.getLogger(__name__)

IN_FLIGHT = 3
"""Pictures in the encoder at once. What would be the fourth is left out before it is encoded: that costs
one picture and no keyframe, where a longer queue would cost delay for as long as the encoder is behind."""
SPARSE = 5
"""At a low bitrate the encoder leaves pictures out by itself: that it gives none may last so much longer
than that it takes none."""
LET_GO_S = 0.5
"""The encoder returns a picture within a few ms, or never."""
KEYFRAME_S = 20
"""A keyframe comes by itself after so long; whoever needs one asks for it."""
LOWEST_BIT_S, STEP_BIT_S = 25_000, 25_000
"""The driver's."""


class _Levelled(V4L2Encoder):  # type: ignore[misc]
    """The level goes to the driver with picamera2's own controls, before it begins to stream."""

    level = "4.0"
    _controls: list[tuple[int, int]]

    def _start(self) -> None:
        name = f"V4L2_MPEG_VIDEO_H264_LEVEL_{self.level.replace('.', '_')}"
        level = videodev2.V4L2_CID_MPEG_VIDEO_H264_LEVEL
        self._controls = [held for held in self._controls if held[0] != level]
        self._controls.append((level, getattr(videodev2, name)))
        super()._start()


class _Nothing:
    """Stands in for a picture that was given back already."""

    def release(self) -> None:
        """There is nothing to be released."""


class _InFlight(queue.Queue[Any]):
    """The pictures in the encoder; whoever waits for one that was given back is not left waiting."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The oldest, which the encoder has returned."""
        try:
            return super().get(block, LET_GO_S if timeout is None else timeout)
        except queue.Empty:
            return _Nothing()


class _Encoder(H264Encoder, _Levelled):  # type: ignore[misc]
    """picamera2's encoder, which ends whatever happens to its device."""

    def __init__(self, lost: Callable[[BaseException], None], **settings: Any) -> None:
        super().__init__(**settings)
        self._lost = lost

    def _start(self) -> None:
        try:
            super()._start()
        except BaseException:
            self.release()
            raise
        self.buf_frame = _InFlight()  # nothing is in picamera2's yet

    def release(self) -> None:
        """Where something failed half-way: picamera2 leaves its thread and the device as they are."""
        self._running = False
        thread = getattr(self, "thread", None)
        if thread is not None and thread.ident is not None:
            thread.join()
        for memory, _ in self.bufs.values():
            memory.close()
        if self.vd is not None:
            self.vd.close()

    def thread_poll(self, buf_available: Any) -> None:
        """As picamera2 does it, but a device that fails is told of, and what it held is given back."""
        try:
            super().thread_poll(buf_available)
        except Exception as error:
            self._lost(error)
            self.give_back()

    def give_back(self) -> None:
        """Let the camera have the pictures again that the encoder does not return."""
        while self.buf_frame.qsize():
            with contextlib.suppress(Exception):  # the camera may be gone as well
                self.buf_frame.get(block=False).release()

    def set_bitrate(self, bit_s: int) -> None:
        """While it runs. Raises OSError."""
        control = videodev2.v4l2_control()
        control.id, control.value = videodev2.V4L2_CID_MPEG_VIDEO_BITRATE, bit_s
        fcntl.ioctl(self.vd, videodev2.VIDIOC_S_CTRL, control)

    def set_framerate(self, framerate: int) -> None:
        """While it runs. Raises OSError."""
        rate = videodev2.v4l2_streamparm()
        rate.type = videodev2.V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE
        rate.parm.output.timeperframe.numerator = 1
        rate.parm.output.timeperframe.denominator = framerate
        fcntl.ioctl(self.vd, videodev2.VIDIOC_S_PARM, rate)


class _Outlet(Output):  # type: ignore[misc]
    """Where picamera2 puts what was encoded, on its own thread."""

    def __init__(self, put: Callable[[bytes, bool, int], None]) -> None:
        super().__init__()
        self._put = put

    def outputframe(
        self,
        frame: bytes,
        keyframe: bool = True,
        timestamp: int | None = None,
        packet: object = None,
        audio: bool = False,
    ) -> None:
        """One access unit in Annex B; `timestamp` in µs after the first."""
        self._put(frame, keyframe, timestamp or 0)


class HardwareEncoder:
    """Constrained baseline from the camera's own buffers: no picture is copied before it is encoded.

    It belongs to the camera's thread, except that units are delivered on picamera2's.
    """

    name = "v4l2"

    def __init__(
        self,
        layout: Mapping[str, Any],
        framerate: int,
        bitrate_kbps: int,
        deliver: Callable[[AccessUnit], None],
    ) -> None:
        """For pictures of this layout; `bitrate_kbps` is the ceiling too. Raises SourceFailed."""
        self._deliver = deliver
        self._ceiling_kbps = self._kbps = bitrate_kbps
        self._parameter_sets = b""
        self._lost: BaseException | None = None
        self._lock = threading.Lock()
        self._waits_since_s: float | None = None
        self._full_since_s: float | None = None
        width, height = layout["size"]
        encoder = _Encoder(
            self._lose,
            bitrate=_bit_s(bitrate_kbps),
            repeat=True,  # SPS and PPS with each keyframe, for who comes later
            iperiod=KEYFRAME_S * framerate,
            framerate=framerate,
            enable_sps_framerate=True,  # which the rate control counts with as well
            profile="constrained baseline",
        )
        try:
            encoder.level = h264_level(width, height, framerate)
            encoder.width, encoder.height = width, height
            encoder.format, encoder.stride = layout["format"], layout["stride"]
            encoder.output = _Outlet(self._receive)
            encoder.start()
        except ValueError as fault:
            raise SourceFailed(DeviceException.GENERIC, str(fault)) from fault
        except Exception as error:
            raise explained("the hardware encoder cannot be opened", error) from error
        self._encoder = encoder

    def request_keyframe(self) -> None:
        """Make the next picture an IDR."""
        self._encoder.force_key_frame()

    def again(self, framerate: int) -> bool:
        """The driver has given the latest picture back to the camera: it is the next one that is forced."""
        return False

    def set_bitrate(self, kbps: int) -> None:
        """From the next picture on; at most the first one."""
        self._kbps = min(kbps, self._ceiling_kbps)
        try:
            self._encoder.set_bitrate(_bit_s(self._kbps))
        except OSError as error:
            raise self._gone(error) from error

    def set_framerate(self, framerate: int) -> None:
        """The driver counts pictures, and not by their time stamps, to keep to the bitrate."""
        try:
            self._encoder.set_framerate(framerate)
        except OSError as error:
            raise self._gone(error) from error

    def encode(self, taken: Taken) -> None:
        """Give it a picture, or leave that out while it is behind. Raises SourceFailed once it is gone."""
        self.check()
        if self._is_full:
            self._full_since_s = self._full_since_s or time.monotonic()
            return
        self._full_since_s = None
        with self._lock:
            if self._waits_since_s is None:
                self._waits_since_s = time.monotonic()
        try:
            self._encoder.encode("main", taken.request)
        except Exception as error:
            raise self._gone(error) from error

    def check(self, patience_s: float = float("inf")) -> None:
        """Raises SourceFailed where it is gone, or has taken no picture for longer than that."""
        if self._lost is not None:
            raise self._gone(self._lost)
        now_s = time.monotonic()
        with self._lock:
            gives_none_s = now_s - (self._waits_since_s or now_s)
        takes_none_s = now_s - (self._full_since_s or now_s) if self._is_full else 0
        if takes_none_s > patience_s or gives_none_s > patience_s * SPARSE:
            sentence = f"the hardware encoder does nothing for {patience_s:g} s"
            raise SourceFailed(DeviceException.MEDIA_SERVICES_WERE_LOST, sentence)

    def close(self) -> None:
        """Release it; nothing is delivered after."""
        until_s = time.monotonic() + LET_GO_S
        while self._encoder.buf_frame.qsize() and time.monotonic() < until_s:
            time.sleep(0.002)
        self._encoder.give_back()  # what it does not return would keep picamera2's thread for ever
        try:
            self._encoder.stop()
        except Exception as error:
            logger.info("the hardware encoder was closed in spite of: %s", error)
            self._encoder.release()

    @property
    def _is_full(self) -> bool:
        return int(self._encoder.buf_frame.qsize()) >= IN_FLIGHT

    def _receive(self, data: bytes, keyframe: bool, after_us: int) -> None:
        """On picamera2's thread."""
        with self._lock:
            self._waits_since_s = None
        if keyframe:
            sets = parameter_sets(data)
            if not sets:
                data = self._parameter_sets + data
            self._parameter_sets = sets or self._parameter_sets
        begin_us = self._encoder.firsttimestamp or 0
        self._deliver(AccessUnit(data, monotonic_us((begin_us + after_us) * 1000), keyframe))

    def _lose(self, error: BaseException) -> None:
        self._lost = error

    @staticmethod
    def _gone(error: BaseException) -> SourceFailed:
        sentence = f"the hardware encoder is gone: {error}"
        return SourceFailed(DeviceException.MEDIA_SERVICES_WERE_LOST, sentence)


def _bit_s(kbps: int) -> int:
    """In the driver's steps."""
    return max(LOWEST_BIT_S, kbps * 1000 // STEP_BIT_S * STEP_BIT_S)
