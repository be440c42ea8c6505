"""How long to wait before the next attempt at the broker."""

from __future__ import annotations

import random as _random
from collections.abc import Callable

PATIENT_AFTER_S = 300.0
"""An outage that is older than this is a long one."""

IMPATIENT_CAP_S = 5.0
PATIENT_CAP_S = 30.0


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
