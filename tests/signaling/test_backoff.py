"""The wait before the next attempt: random in all of it, growing, and bounded."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from appliance.signaling.backoff import (
    IMPATIENT_CAP_S,
    PATIENT_AFTER_S,
    PATIENT_CAP_S,
    full_jitter,
    reconnect_delay_s,
)

attempts = st.integers(min_value=0, max_value=10**9)
chances = st.floats(min_value=0, max_value=1, exclude_max=True)


@given(attempts, chances, st.floats(0.01, 10), st.floats(0.01, 1000))
def test_it_lies_between_nothing_and_its_ceiling(
    attempt: int, chance: float, base_s: float, cap_s: float
) -> None:
    delay_s = full_jitter(attempt, base_s, cap_s, lambda: chance)
    assert 0 <= delay_s <= cap_s
    if attempt < 64:
        assert delay_s <= base_s * 2**attempt


@given(attempts, chances)
def test_a_later_attempt_does_not_wait_less_by_the_same_chance(attempt: int, chance: float) -> None:
    assert full_jitter(attempt, random=lambda: chance) <= full_jitter(
        attempt + 1, random=lambda: chance
    )


def test_it_uses_all_of_its_room() -> None:
    chance = random.Random(1)
    delays = [full_jitter(10, 0.5, 30, chance.random) for _ in range(2000)]
    assert min(delays) < 1
    assert max(delays) > 29
    assert 14 < sum(delays) / len(delays) < 16


def test_the_first_attempts_are_quick() -> None:
    assert full_jitter(0, random=lambda: 0.999) < 0.5
    assert full_jitter(1, random=lambda: 0.999) < 1


@given(attempts, st.floats(0, 10**6), chances)
def test_a_young_outage_is_retried_more_often_than_an_old_one(
    attempt: int, outage_s: float, chance: float
) -> None:
    cap_s = IMPATIENT_CAP_S if outage_s < PATIENT_AFTER_S else PATIENT_CAP_S
    assert 0 <= reconnect_delay_s(attempt, outage_s, lambda: chance) <= cap_s
