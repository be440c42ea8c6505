"""A camera of the Pi (or of another Linux that has libcamera), encoded by hardware or libx264."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from appliance.media.base import AccessUnit, SourceFailed
from appliance.media.filming import Filming, Plan, Wishes
from appliance.media.opening import locate
from appliance.media.stills import jpeg, rgb
from appliance.model import DeviceException

if TYPE_CHECKING:
    from appliance.media.base import Rgb

logger = logging.getLogger(__name__)

OPEN_LIMIT_S = 10.0
"""libcamera opens and configures a camera in less than one second."""
STOP_LIMIT_S = 5.0
"""A driver that has not let go of a camera within this is left alone."""
DIVISORS = (1, 2, 4)


class PiCamera:
    """A `VideoSource` and a `Viewfinder`. Nothing is imported or opened before it is started."""

    def __init__(self, plan: Plan) -> None:
        """`plan.device` is a camera's number, model or id, as libcamera lists them."""
        self._plan = plan
        self._wishes = Wishes(plan.framerate, plan.bitrate_kbps)
        self._filming: Filming | None = None
        self._stuck: Filming | None = None
        self._has_worked = False

    @property
    def encoder(self) -> str:
        """What encodes: software or v4l2; known once it is started."""
        filming = self._filming
        return filming.encoder if filming is not None and filming.encoder else "software"

    @property
    def width(self) -> int:
        """Of what is sent now, in pixels."""
        return self._size[0]

    @property
    def height(self) -> int:
        """Of what is sent now, in pixels."""
        return self._size[1]

    @property
    def framerate(self) -> int:
        """Pictures per second, at most."""
        return self._wishes.framerate

    @property
    def _size(self) -> tuple[int, int]:
        filming = self._filming
        return filming.size if filming is not None else (self._plan.width, self._plan.height)

    def locate(self) -> bool:
        """Look whether it is there, without opening it. Raises SourceFailed where it is not."""
        locate(self._plan.device, has_worked=self._has_worked)
        self._has_worked = True
        return True

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        """Open the camera and its encoder, and film. Raises SourceFailed."""
        if self.lingers:
            sentence = "the camera is still held by a driver that does not answer"
            raise SourceFailed(DeviceException.MEDIA_SERVICES_WERE_LOST, sentence)
        plan = self._plan
        self._stuck, self._wishes = None, Wishes(plan.framerate, plan.bitrate_kbps)
        filming = Filming(plan, self._wishes, deliver, failed, has_worked=self._has_worked)
        self._filming = filming
        try:
            filming.opened(OPEN_LIMIT_S)
        except TimeoutError as error:
            self.stop()
            sentence = f"the camera has not opened within {OPEN_LIMIT_S:g} s"
            raise SourceFailed(DeviceException.MEDIA_SERVICES_WERE_LOST, sentence) from error
        except SourceFailed:
            self.stop()
            raise
        self._has_worked = True

    def stop(self) -> None:
        """Release the camera. Returns, even where a driver does not: that one is then not asked again."""
        filming, self._filming = self._filming, None
        if filming is not None and not filming.end(STOP_LIMIT_S):
            logger.error("the camera's driver has not let go of it within %g s", STOP_LIMIT_S)
            self._stuck = filming

    @property
    def lingers(self) -> bool:
        """Whether a driver that did not let go of the camera still does not."""
        return self._stuck is not None and self._stuck.ends

    def rest(self, resting: bool, /) -> None:
        """Take pictures and encode none of them, or go on with a keyframe."""
        if not resting:
            self._wishes.keyframe = True
        self._wishes.resting = resting

    def request_keyframe(self) -> None:
        """Make the next picture a keyframe, or, encoded by libx264, the latest once more."""
        filming = self._filming
        if filming is None:
            self._wishes.keyframe = True
        else:
            filming.request_keyframe()

    def set_bitrate(self, kbps: int) -> None:
        """Aim at `kbps` from the next picture on; at most what was configured."""
        self._wishes.kbps = min(kbps, self._plan.bitrate_kbps)

    def set_framerate(self, fps: int) -> None:
        """At most so many pictures a second from the next on, and never more than was configured."""
        self._wishes.framerate = max(1, min(fps, self._plan.framerate))

    def set_scale(self, divisor: int) -> None:
        """Film at 1/`divisor` of the configured width and height: 1, 2 or 4.

        The camera makes the smaller pictures itself; for the change it stops for a moment.
        """
        if divisor in DIVISORS:
            self._wishes.divisor = divisor

    def frame(self) -> Rgb | None:
        """The next picture, some 640 pixels wide where the camera makes small ones beside the large."""
        filming = self._filming
        seen = filming.look() if filming is not None and not self._wishes.resting else None
        return None if seen is None else rgb(seen)

    def picture(self) -> bytes | None:
        """The same as JPEG."""
        filming = self._filming
        seen = filming.look() if filming is not None and not self._wishes.resting else None
        return None if seen is None else jpeg(seen)
