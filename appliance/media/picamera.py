"""An open camera of libcamera, by picamera2: it streams and gives pictures. What is untyped ends here."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from av.video.frame import VideoFrame

from appliance.media.base import SourceFailed
from appliance.media.opening import close, explained, load, opened
from appliance.media.pixels import PACKED, PLANAR, copied
from appliance.model import DeviceException

SMALL_WIDTH = 640
"""Of the second, small picture that libcamera makes beside the large one at no cost of ours."""
SMALLEST = 32
"""The hardware encoder makes larger what is smaller, without saying so."""
BUFFERS = 6
"""Pictures that can be under way: one being taken, up to three in the encoder, one looked at."""
FOCUS_BY_ITSELF = 2
"""libcamera's AfModeContinuous: by default a lens that moves stays where it is."""
BOOT_CLOCK_OFF_S = 1.0
"""A time stamp that is so far from the monotonic clock is one of the clock that counts sleep too."""


class Taken:
    """A picture that has just been taken; valid while whoever got it has not returned."""

    def __init__(self, eye: Eye, request: Any, at_us: int, *, newest: bool) -> None:
        """`request` is picamera2's CompletedRequest."""
        self.request = request
        self.at_us = at_us
        """When, by the sensor, in µs of the monotonic clock."""
        self.newest = newest
        """False where another one waits already behind it."""
        self._eye = eye

    def frame(self) -> VideoFrame:
        """A copy, yuv420p, in the size that was asked for."""
        return self._eye.copy(self.request, "main")

    def small(self) -> VideoFrame:
        """A copy of the small picture of the same moment, yuv420p; the large one where there is none."""
        return self._eye.copy(self.request, "lores" if self._eye.has_small else "main")


class Eye:
    """An opened camera. It belongs to one thread."""

    def __init__(self, device: str, *, has_worked: bool = False) -> None:
        """Open the camera of this number, model or id. Raises SourceFailed.

        `has_worked`: it has been there, so that where it is not now it was unplugged.
        """
        self._camera, self._id = opened(device, has_worked=has_worked)
        self._picamera2 = load()
        self._newest: Any = None
        self._take: Callable[[Taken], None] = lambda _: None
        self._fault: BaseException | None = None
        self._camera.pre_callback = self._see
        self._camera.post_callback = self._hand_over
        self._poll = select.poll()
        self._poll.register(self._camera.notifyme_r, select.POLLIN)
        self._bell: int | None = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._ringing = threading.Lock()
        self._poll.register(self._bell, select.POLLIN)

    # -------------------- streaming

    def stream(self, width: int, height: int, framerate: int) -> None:
        """Take pictures of that size from now on, or of the nearest that it can. Raises SourceFailed."""
        camera = self._camera
        try:
            camera.stop()
            small = self._small(width, height)
            configuration = camera.create_video_configuration(
                main={"format": PLANAR, "size": (width, height)},
                lores=small,
                raw=None,  # would cost memory, and nobody wants it
                buffer_count=BUFFERS,
                controls=self._controls(framerate),
                display=None,
                encode=None,
                queue=False,  # nothing is to wait for somebody who might ask
            )
            camera.configure(configuration)
            camera.start(show_preview=None)  # whoever owns this drives it, by `look`
        except Exception as error:
            raise explained("the camera cannot be started", error) from error
        form = self.layout("main")["format"]
        if form != PLANAR and form not in PACKED:
            raise SourceFailed(
                DeviceException.GENERIC,
                f"the camera gives pictures as {form}, which is not known here",
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels of the pictures that come."""
        width, height = self.layout("main")["size"]
        return int(width), int(height)

    @property
    def not_for_hardware(self) -> str:
        """Why no hardware encodes what it gives; empty where it could."""
        form = self.layout("main")["format"]
        if form != PLANAR:
            return f"it does not take this camera's pictures ({form})"
        return "" if min(self.size) >= SMALLEST else f"it takes none below {SMALLEST} pixels"

    @property
    def has_small(self) -> bool:
        """Whether small pictures come beside them."""
        return self._camera.camera_configuration().get("lores") is not None

    def layout(self, stream: str) -> Mapping[str, Any]:
        """How libcamera lays the pictures of a stream out: format, size, stride."""
        layout: Mapping[str, Any] = self._camera.camera_configuration()[stream]
        return layout

    def set_framerate(self, framerate: int) -> None:
        """So many pictures a second from one of the next on, where the camera can be told."""
        limits = self._limits(framerate)
        if limits is not None:
            self._camera.set_controls({"FrameDurationLimits": limits})

    def look(self, patience_s: float, take: Callable[[Taken], None]) -> None:
        """Wait so long for pictures, or until it is stirred, and give `take` each that has come.

        Raises what `take` does, and SourceFailed.
        """
        ready = {descriptor for descriptor, _ in self._poll.poll(patience_s * 1000)}
        if self._bell in ready:
            assert self._bell is not None  # it is open as long as this is
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._bell)
            ready.discard(self._bell)
        if not ready:
            return
        self._camera.notifymeread.read()
        self._take, self._fault = take, None
        try:
            self._camera.process_requests(None)
        except Exception as error:
            self._fault = self._fault or explained("the camera stopped", error, has_worked=True)
        self._newest = None
        if self._fault is not None:
            raise self._fault

    def stir(self) -> None:
        """Let `look` return; from any thread."""
        with self._ringing:
            if self._bell is not None:
                os.eventfd_write(self._bell, 1)

    def copy(self, request: Any, stream: str) -> VideoFrame:
        """What picamera2's request holds of a stream, as yuv420p."""
        layout = self.layout(stream)
        with self._picamera2.MappedArray(request, stream, reshape=False, write=False) as mapped:
            return copied(mapped.array, layout["format"], layout["size"], layout["stride"])

    def present(self) -> bool:
        """Whether libcamera still lists it."""
        cameras = self._picamera2.Picamera2.global_camera_info()
        return any(camera["Id"] == self._id for camera in cameras)

    def close(self) -> None:
        """Let go of it, whatever state it is in."""
        with self._ringing:
            bell, self._bell = self._bell, None
        if bell is not None:
            os.close(bell)
        self._camera.pre_callback = self._camera.post_callback = None
        close(self._camera)

    def _see(self, request: Any) -> None:
        self._newest = request

    def _hand_over(self, request: Any) -> None:
        """Called inside of picamera2, which must not see what goes wrong: it would lose its buffers."""
        if self._fault is not None:
            return
        try:
            sensor_ns = request.get_metadata()["SensorTimestamp"]
            newest = request is self._newest
            self._take(Taken(self, request, monotonic_us(sensor_ns), newest=newest))
        except Exception as error:
            self._fault = error

    def _small(self, width: int, height: int) -> dict[str, Any] | None:
        """What is asked for beside the large picture: nothing where that is small, or of a USB camera."""
        own = "ColorFilterArrangement" in self._camera.camera_properties  # one on the Pi's own bus
        if not own or width <= SMALL_WIDTH:
            return None
        return {"format": PLANAR, "size": (SMALL_WIDTH, height * SMALL_WIDTH // width & ~1)}

    def _controls(self, framerate: int) -> dict[str, Any]:
        """What libcamera is told from the first picture on, of what this camera knows."""
        controls: dict[str, Any] = {}
        limits = self._limits(framerate)
        if limits is not None:
            controls["FrameDurationLimits"] = limits
        if "AfMode" in self._camera.camera_controls:
            controls["AfMode"] = FOCUS_BY_ITSELF
        return controls

    def _limits(self, framerate: int) -> tuple[int, int] | None:
        """How long a picture may take, in µs; None where the camera cannot be told."""
        known = self._camera.camera_controls.get("FrameDurationLimits")
        if known is None:
            return None
        shortest, longest = known[0], known[1]
        wanted = max(int(1e6 / framerate), shortest)
        wanted = min(wanted, longest) if longest > shortest else wanted
        return wanted, wanted


def monotonic_us(sensor_ns: int) -> int:
    """A sensor's time stamp in µs of the monotonic clock.

    libcamera says that it counts from the boot, as CLOCK_BOOTTIME does; most kernel drivers give
    CLOCK_MONOTONIC. They differ by the time that the computer has slept.
    """
    now_s = time.monotonic()
    if abs(sensor_ns / 1e9 - now_s) > BOOT_CLOCK_OFF_S:
        asleep_s = time.clock_gettime(time.CLOCK_BOOTTIME) - now_s
        if abs(sensor_ns / 1e9 - asleep_s - now_s) < BOOT_CLOCK_OFF_S:
            return int(sensor_ns / 1e3 - asleep_s * 1e6)
    return sensor_ns // 1000
