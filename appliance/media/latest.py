"""The latest pictures of a camera that nobody looks at yet: what a peer that joins is shown at once."""

from __future__ import annotations

from collections import deque

from appliance.media.base import AccessUnit
from appliance.media.governor import KEYFRAME_INTERVAL_S

KEYFRAME_DUE_S = 0.06
"""The picture after the one that is so much younger than the last keyframe should be a keyframe: at 25 or
30 a second every third. Were it every one, the rate control would have so little for each that who joins
saw mud: at 720p30 and 1500 kbit/s 32.4 dB in the first half second. With every third it is 35.7 dB, and
37.2 dB for an encoder that has only begun; more pictures than that are more for a receiver to catch up."""
FRESH_S = 0.5
"""What is older is no picture of the present: the camera has stalled."""
LIMIT = 8
"""Some 50 KB; reached where the camera gives no keyframes, whatever it is asked."""


class LatestPictures:
    """From a keyframe on, two pictures or more, and as few as that takes.

    Two, since a receiver may show a picture only when the next one begins, as aiortc does.
    """

    def __init__(self) -> None:
        """None yet."""
        self._units: deque[AccessUnit] = deque(maxlen=LIMIT)
        self._asked_us: int | None = None

    def keep(self, unit: AccessUnit) -> None:
        """Add the latest, and forget what lies before a keyframe that has a picture after it."""
        self._units.append(unit)
        if unit.keyframe:
            self._asked_us = None
        while any(kept.keyframe for kept in list(self._units)[1:-1]):
            self._units.popleft()

    @property
    def keyframe_is_due(self) -> bool:
        """Whether the encoder is to be asked for one: that each is answered soon, and an encoder that does
        not is asked no more often than it would be for who looks.
        """
        if not self._units:
            return True
        now_us = self._units[-1].pts_us
        if self._asked_us is not None and 0 <= now_us - self._asked_us < KEYFRAME_INTERVAL_S * 1e6:
            return False
        keyframes = [unit for unit in self._units if unit.keyframe]
        if not keyframes:
            return True
        return now_us - keyframes[-1].pts_us >= KEYFRAME_DUE_S * 1e6

    def asked(self) -> None:
        """The encoder has been asked for one."""
        self._asked_us = self._units[-1].pts_us if self._units else None

    def fresh(self, now_s: float) -> list[AccessUnit]:
        """Those that are worth showing at the monotonic time `now_s`, in order."""
        return [unit for unit in self._units if now_s - unit.pts_us / 1e6 <= FRESH_S]

    def forget(self) -> None:
        """All of them."""
        self._units.clear()
        self._asked_us = None
