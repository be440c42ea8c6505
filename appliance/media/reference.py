"""What the loudspeaker was given, kept until the microphone's thread asks for it: frame for frame.

Two threads at their own pace meet here. The sound card smooths what they do, and an echo canceller needs
the same smoothness: one far frame for each near one, always equally late. What is written in bursts
therefore waits in line, but never for so long that its echo would be heard before it; and where one clock
runs faster than the other a frame is left out (or there is silence for one), and whoever adapts is told.
"""

from __future__ import annotations

import threading
from collections import deque

from appliance.media.base import FRAME_MS, SILENT_FRAME

CUSHION_FRAMES = 2
"""As many wait before the first is taken, where the delay permits: a thread may be that late."""
LONGEST_FRAMES = 25
"""Half a second: more is of no use, the microphone has been closed."""
LOOK_FRAMES = 100
"""For two seconds there were always too many before one is left out: then it is the clock, no burst."""
SPARE_FRAMES = 4
"""So many more than the delay can explain are left out at once."""


class Reference:
    """The line of far frames. `put` on the playback's thread, `take` on the capture's."""

    def __init__(self) -> None:
        """Nothing sounds yet."""
        self._lock = threading.Lock()
        self._frames: deque[bytes] = deque(maxlen=LONGEST_FRAMES)
        self._flowing = False
        self._looked = 0
        self._fewest = LONGEST_FRAMES

    def put(self, frame: bytes) -> None:
        """20 ms that are being written now."""
        with self._lock:
            self._frames.append(frame)

    def take(self, delay_ms: int) -> tuple[bytes, int]:
        """What belongs to the next near frame, and how many were left out before it.

        Silence where there is nothing. `delay_ms` is that of EchoCanceller.near: so long may a frame wait,
        less one for the acoustics' sake.
        """
        may_wait = max(0, delay_ms // FRAME_MS - 1)
        with self._lock:
            if not self._flowing and len(self._frames) <= min(may_wait, CUSHION_FRAMES):
                return SILENT_FRAME, 0
            if not self._frames:
                self._flowing = False
                return SILENT_FRAME, 0
            left_out = self._too_many(may_wait) if self._flowing else 0
            self._flowing = True
            for _ in range(left_out):
                self._frames.popleft()
            return self._frames.popleft(), left_out

    @property
    def waiting_ms(self) -> int:
        """How long the next frame would wait, were it put now."""
        return len(self._frames) * FRAME_MS

    def clear(self) -> None:
        """Forget what waits."""
        with self._lock:
            self._frames.clear()
            self._flowing = False

    def _too_many(self, may_wait: int) -> int:
        """How many are to be left out now, of those that will wait behind the next."""
        behind = len(self._frames) - 1
        self._fewest = min(self._fewest, behind)
        self._looked += 1
        too_many = behind - may_wait - SPARE_FRAMES
        if too_many > 0:
            too_many += SPARE_FRAMES
        elif self._looked >= LOOK_FRAMES:
            too_many = self._fewest - may_wait
        elif too_many <= 0:
            return 0
        self._looked, self._fewest = 0, LONGEST_FRAMES
        return max(0, too_many)
