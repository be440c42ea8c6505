"""What a finger did with a button, told from the edges of its contact: pure, fed with time stamps.

Laws: a contact that chatters, however long, is one touch if it falls quiet for `bounce_s` only at
the end. A touch belongs to one gesture at most, and is never both a press and a hold. Nothing is
decided while the contact chatters, save its first edge. What is found depends on the edges alone,
not on how late `tick` is called. Times are seconds of any monotonic clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from appliance.model import Gesture

STUCK_S = 30.0
"""No finger presses for so long."""

DOUBLE_PRESS_S = 0.3
"""How long a press waits for a second touch, where that means something; and the longest touch
that may be half of a double press."""


class Debounce:
    """A contact behind its chatter.

    The first edge out of rest is believed at once; further ones are not until the contact has been
    quiet for `bounce_s`. Then whatever level it has is believed.
    """

    def __init__(self, bounce_s: float, *, closed: bool = False) -> None:
        """Begin at rest, with the contact `closed` or open."""
        self.closed = closed
        self.quiet_at_s: float | None = None
        """When the chatter is over unless another edge comes; None at rest."""
        self._bounce_s = bounce_s
        self._level = closed

    def edge(self, at_s: float, *, closed: bool) -> bool:
        """Take an edge to the level `closed`; whether the believed level changed."""
        at_rest = self.quiet_at_s is None
        self._level = closed
        if at_rest and closed == self.closed:
            return False
        self.quiet_at_s = at_s + self._bounce_s
        return at_rest and self._believe()

    def rest(self) -> bool:
        """Take note that `quiet_at_s` has come; whether the believed level changed."""
        self.quiet_at_s = None
        return self._believe()

    def _believe(self) -> bool:
        changed, self.closed = self.closed != self._level, self._level
        return changed


@dataclass(frozen=True, slots=True)
class FirstEdge:
    """A touch began; what it will be is not known yet."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A gesture is complete."""

    gesture: Gesture


@dataclass(frozen=True, slots=True)
class Stuck:
    """The contact has been closed for longer than a finger presses (`stuck`), or is open again."""

    stuck: bool


Happening = FirstEdge | Recognised | Stuck


class _Stage(Enum):
    """How much of a gesture there has been."""

    NOTHING = auto()
    TOUCHED = auto()
    """The contact is closed, and it is open what this will be."""
    RELEASED = auto()
    """One short touch is over, and a second may follow."""
    DECIDED = auto()
    """The contact is closed still, but its touch has been told already."""


class Recogniser:
    """The gestures of one button, of those that are `bound` to an action.

    A press is told as early as can be: at its first edge, unless it may become a hold (then when it
    is released) or half of a double press (then `DOUBLE_PRESS_S` after that).
    """

    def __init__(
        self,
        bound: Collection[Gesture],
        *,
        bounce_s: float,
        hold_s: float,
        closed: bool = False,
        at_s: float = 0.0,
        stuck_s: float = STUCK_S,
    ) -> None:
        """Begin at rest, at `at_s`; a contact that is `closed` already is no touch until it has opened.

        It may be stuck all the same.
        """
        self._bound = frozenset(bound)
        self._hold_s = hold_s
        self._contact = Debounce(bounce_s, closed=closed)
        self._stage = _Stage.NOTHING
        self._touched_s = 0.0
        self._decide_at_s: float | None = None
        self._stuck_s = max(stuck_s, hold_s + 1)
        self._stuck_at_s = at_s + self._stuck_s if closed else None
        self._is_stuck = False

    @property
    def deadline_s(self) -> float | None:
        """When `tick` is next to be called; None: not before another edge."""
        dues_s = (self._decision_s, self._stuck_at_s)
        return min((due_s for due_s in dues_s if due_s is not None), default=None)

    @property
    def _decision_s(self) -> float | None:
        if self._contact.quiet_at_s is not None:
            return self._contact.quiet_at_s
        return self._decide_at_s

    def edge(self, at_s: float, *, closed: bool) -> list[Happening]:
        """Take an edge of the contact, and tell what it brought about."""
        told = self.tick(at_s)
        if self._contact.edge(at_s, closed=closed):
            told += self._changed(at_s)
        return told

    def tick(self, now_s: float) -> list[Happening]:
        """Tell what the time that has passed brought about, in order."""
        told: list[Happening] = []
        while (due_s := self.deadline_s) is not None and due_s <= now_s:
            if due_s == self._stuck_at_s:
                self._stuck_at_s, self._is_stuck = None, True
                told.append(Stuck(stuck=True))
            elif self._contact.quiet_at_s is None:
                told += self._decide()
            elif self._contact.rest():
                told += self._changed(due_s)
        return told

    def _changed(self, at_s: float) -> Iterator[Happening]:
        """The contact has closed or opened."""
        if self._contact.closed:
            self._stuck_at_s = at_s + self._stuck_s
            yield FirstEdge()
            yield from self._touch(at_s)
        else:
            self._stuck_at_s = None
            yield from self._release(at_s)
            if self._is_stuck:
                self._is_stuck = False
                yield Stuck(stuck=False)

    def _touch(self, at_s: float) -> Iterator[Happening]:
        if self._stage is _Stage.RELEASED:
            yield from self._tell(Gesture.DOUBLE_PRESS, _Stage.DECIDED)
        elif Gesture.HOLD in self._bound:
            self._wait(_Stage.TOUCHED, at_s + self._hold_s)
        elif Gesture.DOUBLE_PRESS in self._bound:
            self._wait(_Stage.TOUCHED, at_s + DOUBLE_PRESS_S)
        else:
            yield from self._tell(Gesture.PRESS, _Stage.DECIDED)
        self._touched_s = at_s

    def _release(self, at_s: float) -> Iterator[Happening]:
        short = at_s - self._touched_s <= DOUBLE_PRESS_S
        if self._stage is not _Stage.TOUCHED:
            self._stage = _Stage.NOTHING
        elif short and Gesture.DOUBLE_PRESS in self._bound:
            self._wait(_Stage.RELEASED, at_s + DOUBLE_PRESS_S)
        else:
            yield from self._tell(Gesture.PRESS, _Stage.NOTHING)

    def _decide(self) -> Iterator[Happening]:
        """Waiting is over."""
        if self._stage is _Stage.RELEASED:
            yield from self._tell(Gesture.PRESS, _Stage.NOTHING)
        elif Gesture.HOLD in self._bound:
            yield from self._tell(Gesture.HOLD, _Stage.DECIDED)
        else:
            yield from self._tell(Gesture.PRESS, _Stage.DECIDED)

    def _wait(self, stage: _Stage, until_s: float) -> None:
        self._stage, self._decide_at_s = stage, until_s

    def _tell(self, gesture: Gesture, stage: _Stage) -> Iterator[Happening]:
        self._stage, self._decide_at_s = stage, None
        if gesture in self._bound:
            yield Recognised(gesture)
