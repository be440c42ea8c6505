"""Who speaks: the loudest of the others of a call, by the measured levels of their sound."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

FLOOR_DBFS = -50.0
"""Who is not louder than that does not speak."""
MARGIN_DB = 6.0
"""By how much another one must be louder than who spoke last,"""
HOLD_S = 0.6
"""and for how long."""
SMOOTHING_S = 0.2
"""The time constant of the level: a syllable, so that a click is no speech."""
STALE_S = 0.3
"""Of whom nothing has come for so long is silent."""
SILENCE_DBFS = -100.0

Who = TypeVar("Who", bound=Hashable)


@dataclass(slots=True)
class _Level:
    dbfs: float
    at_s: float
    louder_since_s: float | None = None


class Loudest(Generic[Who]):
    """Follows the levels of any number of people; time is an argument, in seconds that only rise."""

    def __init__(self) -> None:
        """Nobody has been heard."""
        self.speaker: Who | None = None
        """Who spoke last."""
        self._levels: dict[Who, _Level] = {}

    def heard(self, who: Who, dbfs: float, now_s: float) -> bool:
        """The level of 20 ms of somebody; whether this makes them the speaker."""
        level = self._measure(who, dbfs, now_s)
        if who == self.speaker or level.dbfs <= FLOOR_DBFS:
            level.louder_since_s = None
            return False
        if self.speaker is None:
            self._speaks(who)
            return True
        if level.dbfs < self._level_of(self.speaker, now_s) + MARGIN_DB:
            level.louder_since_s = None
            return False
        if level.louder_since_s is None:
            level.louder_since_s = now_s
        if now_s - level.louder_since_s < HOLD_S:
            return False
        self._speaks(who)
        return True

    def left(self, who: Who) -> None:
        """Forget somebody; if they spoke last, whoever is heard next is the speaker."""
        self._levels.pop(who, None)
        if self.speaker == who:
            self.speaker = None

    def _measure(self, who: Who, dbfs: float, now_s: float) -> _Level:
        level = self._levels.get(who)
        if level is None or now_s - level.at_s > STALE_S:
            level = self._levels[who] = _Level(SILENCE_DBFS, now_s)
        weight = min(1.0, max(now_s - level.at_s, 0.02) / SMOOTHING_S)
        level.dbfs += weight * (max(dbfs, SILENCE_DBFS) - level.dbfs)
        level.at_s = now_s
        return level

    def _level_of(self, who: Who, now_s: float) -> float:
        level = self._levels.get(who)
        return SILENCE_DBFS if level is None or now_s - level.at_s > STALE_S else level.dbfs

    def _speaks(self, who: Who) -> None:
        self.speaker = who
        for level in self._levels.values():
            level.louder_since_s = None
