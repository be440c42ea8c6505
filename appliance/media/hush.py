"""A microphone that is open and hears nothing at all: it is broken, covered, or switched off."""

from __future__ import annotations

from appliance.media.voice import level_dbfs

TOO_LOW_DBFS = -70.0
"""A quiet room at a cheap microphone is at -60; what is below is the converter's own noise."""
TOO_LONG_S = 10.0


class Hush:
    """Judges one frame after the other; on one thread."""

    def __init__(self) -> None:
        """Nothing has been heard yet."""
        self._since_s: float | None = None

    def heard(self, frame: bytes, now_s: float) -> bool:
        """Whether every frame has been below the level for so long; the first that is not ends it."""
        if level_dbfs(frame) >= TOO_LOW_DBFS:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s
        return self._since_s is not None and now_s - self._since_s >= TOO_LONG_S

    def forget(self) -> None:
        """For now nobody cares what it hears."""
        self._since_s = None
