"""A camera, a microphone and a loudspeaker that work until a test breaks them, and can be repaired.

What breaks does so as drivers do: with an errno or in ZEGO's words, in a thread of its own or when it is
opened; it may also give nothing any more, or never come back from a call.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from appliance.media.base import AccessUnit, AudioSink, AudioSource, SourceFailed, VideoSource
from appliance.media.causes import failure
from appliance.model import DeviceException

Failed = Callable[[SourceFailed], None]
HANG_S = 60.0
"""Nothing hangs for longer, so that a test that fails does not."""


class _Breakable:
    def __init__(self) -> None:
        self.broken: DeviceException | int | str | None = None
        self.stalled = False
        self.opened = 0
        """How often it is open: 0 or 1."""
        self._failed: Failed | None = None
        self._lets_start, self._lets_stop = threading.Event(), threading.Event()
        self._lets_start.set()
        self._lets_stop.set()

    def breaks(self, how: DeviceException | int | str) -> None:
        """Stop in the middle of what it does, and do not open again.

        `how` is an errno, an exception's name, or the words of a driver that gives no errno.
        """
        self.broken = how
        if self._failed is not None:
            failed, self._failed = self._failed, None
            thread = threading.Thread(target=failed, args=(self.fault(),))
            thread.start()
            thread.join()

    def stalls(self) -> None:
        """Stay open, and give nothing any more, also when it is opened anew."""
        self.stalled = True

    def hangs(self, *, start: bool = False, stop: bool = False) -> None:
        """Never come back from being opened, or closed."""
        if start:
            self._lets_start.clear()
        if stop:
            self._lets_stop.clear()

    def works_again(self) -> None:
        """Open when it is tried next, and let go what hangs."""
        self.broken, self.stalled = None, False
        self._lets_start.set()
        self._lets_stop.set()

    def fault(self) -> SourceFailed:
        """As a driver words it in the middle of what it does."""
        return failure("it broke", self._error())

    def locate(self) -> bool:
        """Whether it is there. Only what can be found out without opening it."""
        if self.broken is not None:
            raise self._error()
        return True

    def _error(self) -> Exception:
        match self.broken:
            case DeviceException() as type_:
                return SourceFailed(type_, f"it broke: {type_.replace('_', ' ')}")
            case int(number):
                return OSError(number, os.strerror(number))
            case str(words):
                return RuntimeError(words)
        raise AssertionError("it works")

    def _open(self, failed: Failed) -> None:
        self._lets_start.wait(HANG_S)
        if self.broken is not None:
            raise self._error()
        self._failed = failed
        self.opened += 1

    def _close(self) -> None:
        self._lets_stop.wait(HANG_S)
        self._failed = None
        self.opened -= 1

    @property
    def _gives(self) -> bool:
        """After a failure nothing more comes."""
        return self.broken is None and not self.stalled


class BreakableCamera(_Breakable):
    """A camera of another make, with a weakness."""

    def __init__(self, camera: VideoSource) -> None:
        super().__init__()
        self._camera = camera
        self.encoder = camera.encoder

    @property
    def width(self) -> int:
        return self._camera.width

    @property
    def height(self) -> int:
        return self._camera.height

    @property
    def framerate(self) -> int:
        return self._camera.framerate

    def start(self, deliver: Callable[[AccessUnit], None], failed: Failed) -> None:
        self._open(failed)

        def pass_on(unit: AccessUnit) -> None:
            if self._gives:
                deliver(unit)

        self._camera.start(pass_on, failed)

    def stop(self) -> None:
        self._close()
        self._camera.stop()

    def rest(self, resting: bool, /) -> None:
        self._camera.rest(resting)

    def request_keyframe(self) -> None:
        self._camera.request_keyframe()

    def set_bitrate(self, kbps: int) -> None:
        self._camera.set_bitrate(kbps)

    def set_framerate(self, fps: int) -> None:
        self._camera.set_framerate(fps)

    def set_scale(self, divisor: int) -> None:
        self._camera.set_scale(divisor)


class BreakableMicrophone(_Breakable):
    """A microphone of another make, with a weakness."""

    def __init__(self, microphone: AudioSource) -> None:
        super().__init__()
        self._microphone = microphone
        self.silent = False
        self.deaf = False
        """It gives digital silence."""

    def start(self, deliver: Callable[[bytes], None], failed: Failed) -> None:
        self._open(failed)

        def pass_on(frame: bytes) -> None:
            if self._gives:
                deliver(bytes(len(frame)) if self.deaf else frame)

        self._microphone.start(pass_on, failed)

    def stop(self) -> None:
        self._close()
        self._microphone.stop()


class BreakableSpeaker:
    """A loudspeaker whose driver raises when it is given sound."""

    def __init__(self, speaker: AudioSink) -> None:
        self._speaker = speaker
        self.broken: int | None = None

    def push(self, participant: str, frame: bytes) -> None:
        self._fail()
        self._speaker.push(participant, frame)

    def remove(self, participant: str) -> None:
        self._fail()
        self._speaker.remove(participant)

    def _fail(self) -> None:
        if self.broken is not None:
            raise OSError(self.broken, os.strerror(self.broken))
