"""A camera and a microphone that work until a test breaks them, and can be repaired."""

from __future__ import annotations

import threading
from collections.abc import Callable

from appliance.media.base import AccessUnit, AudioSource, SourceFailed, VideoSource
from appliance.model import DeviceException

Failed = Callable[[SourceFailed], None]


class _Breakable:
    """What breaks does so as drivers do: in a thread of its own, or when it is to be opened."""

    def __init__(self) -> None:
        self.broken: DeviceException | None = None
        self._failed: Failed | None = None

    def breaks(self, type_: DeviceException) -> None:
        """Stop in the middle of what it does, and do not open again."""
        self.broken = type_
        if self._failed is not None:
            failed, self._failed = self._failed, None
            thread = threading.Thread(target=failed, args=(self.fault(),))
            thread.start()
            thread.join()

    def works_again(self) -> None:
        """Open when it is tried next."""
        self.broken = None

    def fault(self) -> SourceFailed:
        """As a driver words it."""
        assert self.broken is not None
        return SourceFailed(self.broken, f"it broke: {self.broken.replace('_', ' ')}")

    def _opened(self, failed: Failed) -> None:
        if self.broken is not None:
            raise self.fault()
        self._failed = failed


class BreakableCamera(_Breakable):
    """A camera of another make, with a weakness."""

    def __init__(self, camera: VideoSource) -> None:
        super().__init__()
        self._camera = camera
        self.encoder = camera.encoder
        self.width, self.height, self.framerate = camera.width, camera.height, camera.framerate

    def start(self, deliver: Callable[[AccessUnit], None], failed: Failed) -> None:
        self._opened(failed)

        def pass_on(unit: AccessUnit) -> None:
            if self.broken is None:  # after a failure nothing more comes
                deliver(unit)

        self._camera.start(pass_on, failed)

    def stop(self) -> None:
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

    def start(self, deliver: Callable[[bytes], None], failed: Failed) -> None:
        self._opened(failed)

        def pass_on(frame: bytes) -> None:
            if self.broken is None:
                deliver(frame)

        self._microphone.start(pass_on, failed)

    def stop(self) -> None:
        self._microphone.stop()
