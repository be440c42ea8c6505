"""How long to wait before the next attempt at the broker."""

from __future__ import annotations

import random as _random
from collections.abc import Callable

PATIENT_AFTER_S = 300.0
"""An outage that is older than this is a long one."""

IMPATIENT_CAP_S = 3.0
"""With the two seconds that an attempt at a dead network may still have to run, five from its return."""
PATIENT_CAP_S = 30.0

RIVAL_BASE_S, RIVAL_CAP_S = 2.0, 60.0
CALM_S = 300.0
"""A connection that lasted longer was nobody's to take."""
STEADY_AFTER_S = 5.0
"""A connection that lasted longer was a good one; after a shorter one the wait keeps growing."""
UNSTEADY_AFTER = 3
"""So many short connections in a row are more than a bad network."""


def full_jitter(
    attempt: int,
    base_s: float = 0.5,
    cap_s: float = 30.0,
    random: Callable[[], float] = _random.random,
) -> float:
    """Any time between nothing and `base_s * 2**attempt`, `cap_s` at most; `attempt` begins at 0.

    All of it is random, so that the devices of a street do not come back in one beat after the
    broker's restart (M. Brooker, "Exponential Backoff And Jitter").
    """
    ceiling_s = cap_s if attempt > 32 else min(cap_s, base_s * 2**attempt)
    return ceiling_s * random()


def reconnect_delay_s(
    attempt: int, outage_s: float, random: Callable[[], float] = _random.random
) -> float:
    """The wait before an attempt: a door is missed within seconds, a broken broker within a minute."""
    cap_s = IMPATIENT_CAP_S if outage_s < PATIENT_AFTER_S else PATIENT_CAP_S
    return full_jitter(attempt, cap_s=cap_s, random=random)


class Attempts:
    """One connection after the other: what each end means for the wait before the next.

    Where another program has our client id, the broker lets whoever comes last throw the other out. If
    both came back at once, neither would be of use: so each waits longer each time that its place was
    taken, after a minute never less than half of `RIVAL_CAP_S`. Pure: `now_s` is monotonic time.
    """

    def __init__(self, now_s: float, random: Callable[[], float] = _random.random) -> None:
        """Nothing was connected yet."""
        self._random = random
        self._attempt = 0
        self._lost_at_s = now_s
        self._short = False
        self._taken_times = 0

    def ended(self, now_s: float, lasted_s: float, *, was_useful: bool) -> None:
        """One has ended that was connected, or never came about."""
        self._short = was_useful and lasted_s <= STEADY_AFTER_S
        if was_useful:
            self._lost_at_s = now_s
            if not self._short:
                self._attempt = 0
        if lasted_s > CALM_S:
            self._taken_times = 0

    def taken(self) -> None:
        """Another has our place, as the broker says or as was seen."""
        self._taken_times += 1

    @property
    def is_suspicious(self) -> bool:
        """Whether it is worth a look if somebody else is there."""
        return self._taken_times > 0 or (self._short and self._attempt >= UNSTEADY_AFTER - 1)

    @property
    def is_unsteady(self) -> bool:
        """Whether connections come about and end again, time after time."""
        often_short = self._short and self._attempt >= UNSTEADY_AFTER
        return often_short or self._taken_times >= UNSTEADY_AFTER

    @property
    def is_steady(self) -> bool:
        """Whether the one that has ended was a good one, and nobody wants its place."""
        return self._attempt == 0 and not self._short and self._taken_times == 0

    def wait_s(self, now_s: float) -> float:
        """How long to wait now, before the next one."""
        self._attempt += 1
        return reconnect_delay_s(self._attempt - 1, now_s - self._lost_at_s, self._random)

    def wait_for_rival_s(self) -> float:
        """How long to leave the other alone: the upper half of a ceiling, so never not at all."""
        ceiling_s = min(RIVAL_CAP_S, RIVAL_BASE_S * float(2 ** min(self._taken_times, 32)))
        return ceiling_s * (0.5 + 0.5 * self._random())
