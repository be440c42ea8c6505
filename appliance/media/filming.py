"""A camera while it is open: the thread that owns it, from opening to closing, and watches over it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.media.base import AccessUnit, SourceFailed
from appliance.media.encoders import Kind, PictureEncoder, SoftwareEncoder, picture_encoder
from appliance.media.encoding import MET_S
from appliance.media.opening import explained
from appliance.media.pacing import Cadence
from appliance.media.picamera import Eye, Taken
from appliance.model import DeviceException

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

logger = logging.getLogger(__name__)

SILENT_S = 3.0
"""A camera that gives nothing for so long has failed."""
OWES_S = 2.0
"""An encoder that takes no pictures for so long has; sooner, so that it is not mistaken for the camera."""
LISTED_S = 1.0
"""One that gives nothing for so long is looked up, whether it is there at all."""
GLANCE_S = 0.2
"""How often the thread looks up while nothing comes."""
LOOK_S = 2.0
"""How long who wants to see a picture waits for one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is configured: the most that is ever sent. In pixels, pictures per second, kbit/s."""

    device: str
    encoder: Kind
    width: int
    height: int
    framerate: int
    bitrate_kbps: int


@dataclass(slots=True)
class Wishes:
    """What is wanted from the next picture on. Written by any thread, read by the camera's."""

    framerate: int
    kbps: int
    divisor: int = 1
    resting: bool = False
    keyframe: bool = False


class Filming:
    """Opens the camera and films until it is told to end or something fails."""

    def __init__(
        self,
        plan: Plan,
        wishes: Wishes,
        deliver: Callable[[AccessUnit], None],
        failed: Callable[[SourceFailed], None],
        *,
        has_worked: bool,
    ) -> None:
        """Start the thread; `opened` tells when it is filming."""
        self.size = plan.width, plan.height
        """In pixels: what is sent now."""
        self.encoder = ""
        """What encodes, once it is known."""
        self.has_worked = has_worked
        self._plan, self._wishes = plan, wishes
        self._deliver_on, self._failed = deliver, failed
        self._opened: Future[None] = Future()
        self._ended = threading.Event()
        self._delivering = threading.Lock()
        self._silenced = False
        self._asking = threading.Lock()
        self._asked: deque[Future[VideoFrame | None]] | None = deque()
        self._cadence = Cadence()
        self._divisor, self._framerate, self._kbps = 0, plan.framerate, plan.bitrate_kbps
        self._seen_s = self._listed_s = 0.0
        self._repeated_s = -MET_S
        self._eye: Eye | None = None
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    # -------------------- from outside

    def opened(self, patience_s: float) -> None:
        """Wait until it films. Raises SourceFailed where it does not, and TimeoutError."""
        self._opened.result(patience_s)
        self.has_worked = True

    def end(self, patience_s: float) -> bool:
        """Have it end; whether it has within so long. Nothing is delivered after, either way."""
        self._ended.set()
        self._thread.join(patience_s)
        with self._delivering:
            self._silenced = True
        return not self._thread.is_alive()

    @property
    def ends(self) -> bool:
        """Whether its thread has yet to end."""
        return self._thread.is_alive()

    def request_keyframe(self) -> None:
        """Make the next picture one, or where that is sooner the latest once more; from any thread."""
        if time.monotonic() - self._repeated_s < MET_S:
            return
        self._wishes.keyframe = True
        eye = self._eye
        if eye is not None and self.encoder == SoftwareEncoder.name:
            eye.stir()

    def look(self) -> VideoFrame | None:
        """The next picture, small; None where none comes."""
        wanted: Future[VideoFrame | None] = Future()
        with self._asking:
            if self._asked is None:
                return None
            self._asked.append(wanted)
        try:
            return wanted.result(LOOK_S)
        except TimeoutError:
            return None

    # -------------------- the thread

    def _run(self) -> None:
        fault: SourceFailed | None = None
        try:
            with contextlib.ExitStack() as stack:
                try:
                    self._film(stack)
                except Exception as error:
                    fault = explained("the camera stopped", error, has_worked=True)
                    if not isinstance(error, SourceFailed):
                        logger.exception("the camera stopped")
                    self._report(fault)
        except Exception:
            logger.exception("the camera could not be closed as it should")
        finally:
            self._answer(None, last=True)
            if fault is not None and not self._opened.done():
                self._opened.set_exception(fault)  # only now: whoever waits finds it closed

    def _report(self, fault: SourceFailed) -> None:
        """Before it is closed, which may take long."""
        with self._delivering:
            if self._silenced:
                return
            self._silenced = True
        if self._opened.done():
            self._failed(fault)

    def _film(self, stack: contextlib.ExitStack) -> None:
        eye = Eye(self._plan.device, has_worked=self.has_worked)
        stack.callback(eye.close)
        self._eye = eye
        while not self._ended.is_set():
            with contextlib.closing(self._begin(eye)) as encoder:
                if not self._opened.done():
                    self._opened.set_result(None)
                while not self._ended.is_set() and self._divisor == self._wishes.divisor:
                    eye.look(GLANCE_S, lambda taken: self._take(eye, encoder, taken))
                    self._repeat(encoder)
                    self._watch(eye, encoder)

    def _begin(self, eye: Eye) -> PictureEncoder:
        """Pictures of the size that is wanted, and something that encodes them, from a keyframe on."""
        plan, before = self._plan, self._divisor
        self._divisor = self._wishes.divisor
        try:
            encoder = self._stream(eye, self._divisor)
        except SourceFailed as fault:
            if before in (0, self._divisor):
                raise
            logger.warning("the camera stays as it is: %s", fault)
            encoder = self._stream(eye, before)
        self.size, self.encoder = eye.size, encoder.name
        encoder.set_framerate(self._framerate)
        self._kbps = plan.bitrate_kbps
        self._seen_s = self._listed_s = time.monotonic()
        return encoder

    def _stream(self, eye: Eye, divisor: int) -> PictureEncoder:
        plan = self._plan
        self._framerate = self._wishes.framerate
        eye.stream(plan.width // divisor & ~1, plan.height // divisor & ~1, self._framerate)
        return picture_encoder(plan.encoder, eye, plan.framerate, plan.bitrate_kbps, self._deliver)

    def _take(self, eye: Eye, encoder: PictureEncoder, taken: Taken) -> None:
        """A picture has come; picamera2 gets it back when this returns."""
        wishes = self._wishes
        self._seen_s = self._listed_s = time.monotonic()
        if wishes.resting:
            self._answer(None)
            return
        if self._asked:
            self._answer(taken.small())
        if wishes.framerate != self._framerate:
            self._framerate = wishes.framerate
            eye.set_framerate(self._framerate)
            encoder.set_framerate(self._framerate)
        if not self._cadence.takes(taken.at_us / 1e6, self._framerate, at_once=wishes.keyframe):
            return
        if wishes.kbps != self._kbps:
            self._kbps = wishes.kbps
            encoder.set_bitrate(self._kbps)
        if wishes.keyframe:
            wishes.keyframe = False
            encoder.request_keyframe()
        encoder.encode(taken)

    def _repeat(self, encoder: PictureEncoder) -> None:
        """Do not let who wants a keyframe wait for the next picture where it need not."""
        wishes = self._wishes
        if not wishes.keyframe or wishes.resting or wishes.divisor != self._divisor:
            return
        if encoder.again(self._framerate):
            self._repeated_s = time.monotonic()
            wishes.keyframe = False

    def _watch(self, eye: Eye, encoder: PictureEncoder) -> None:
        """Raises SourceFailed where pictures no longer come, from the camera or from the encoder."""
        encoder.check(OWES_S)
        now_s = time.monotonic()
        if now_s - self._listed_s >= LISTED_S:
            self._listed_s = now_s
            if not eye.present():
                raise SourceFailed(DeviceException.DEVICE_UNPLUGGED, "the camera was unplugged")
        if now_s - self._seen_s >= SILENT_S:
            sentence = f"the camera has given no picture for {SILENT_S:g} s"
            raise SourceFailed(DeviceException.ZERO_CAPTURE_FPS, sentence)

    def _deliver(self, unit: AccessUnit) -> None:
        """On this thread or the encoder's."""
        with self._delivering:
            if not self._silenced:
                self._deliver_on(unit)

    def _answer(self, frame: VideoFrame | None, *, last: bool = False) -> None:
        """Give who wants to see something this picture, the same to all."""
        with self._asking:
            asked = self._asked
            if asked is not None:
                self._asked = None if last else deque()
        for wanted in asked or ():
            wanted.set_result(frame)
