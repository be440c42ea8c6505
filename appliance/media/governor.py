"""When an encoder is asked for a keyframe: at once, but never twice within 0.3 s.

A keyframe is some ten times as large as another picture, and there is one encode for all: each that one
peer asks for is sent to everybody. Laws: the first wish is served at once; of all that come within 0.3 s of
a request one more is served, when they are over; a keyframe answers all wishes of before; a wish stands,
and the encoder is asked again, until a keyframe comes or nobody is there any more.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

KEYFRAME_INTERVAL_S = 0.3


class Cause(StrEnum):
    """Why a keyframe is wanted."""

    JOIN = "join"
    """Somebody new looks."""
    PLI = "pli"
    """A decoder has lost its place (RFC 4585, section 6.3.1)."""
    FIR = "fir"
    """The same in other words (RFC 5104, section 4.3.1)."""
    LOST = "lost"
    """A peer misses packets that cannot be sent again."""
    RESUME = "resume"
    """Pictures were left out: by a peer that could not take them, or while nothing was sent."""
    REFRESH = "refresh"
    """Somebody gets, or keeps, nothing but keyframes."""


class KeyframeGovernor:
    """One encoder's. Times are of one clock, in seconds."""

    def __init__(self) -> None:
        """Nobody wants one yet."""
        self.wishes: Counter[Cause] = Counter()
        """How many there were, of each cause."""
        self.requests = 0
        """How often the encoder was asked."""
        self._wanted = False
        self._asked_at_s = -KEYFRAME_INTERVAL_S

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for one."""
        return self._wanted

    def want(self, cause: Cause) -> None:
        """A keyframe is wanted from now on."""
        self.wishes[cause] += 1
        self._wanted = True

    def due_in_s(self, now_s: float) -> float | None:
        """How long to wait before the encoder is asked, 0 for not at all; None: nobody wants one."""
        if not self._wanted:
            return None
        return max(0.0, self._asked_at_s + KEYFRAME_INTERVAL_S - now_s)

    def asked(self, now_s: float) -> None:
        """The encoder has been asked."""
        self.requests += 1
        self._asked_at_s = now_s

    def answered(self) -> None:
        """A keyframe has come, or there is nobody left for it."""
        self._wanted = False
