"""The wait before the next attempt: random in all of it, growing, and bounded."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from appliance.signaling.backoff import (
    CALM_S,
    IMPATIENT_CAP_S,
    PATIENT_AFTER_S,
    PATIENT_CAP_S,
    RIVAL_CAP_S,
    UNSTEADY_AFTER,
    Attempts,
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


def war(seed: int, *, lasts_s: float) -> dict[str, list[float]]:
    """When each of two with one client id connects: whoever does so throws the other out."""
    chance = random.Random(seed)
    rivals = {name: Attempts(0, chance.random) for name in ("ours", "theirs")}
    due = {"ours": 0.0, "theirs": 0.1}
    connected: dict[str, list[float]] = {name: [] for name in rivals}
    holder, since_s = "", 0.0
    while min(due.values()) < lasts_s:
        name = min(due, key=due.__getitem__)
        now_s = due.pop(name)
        connected[name].append(now_s)
        if holder:
            loser = rivals[holder]
            loser.ended(now_s, now_s - since_s, was_useful=True)
            wait_s = loser.wait_s(now_s)
            if loser.is_suspicious:  # it looks, and sees the other
                loser.taken()
                wait_s += loser.wait_for_rival_s()
            due[holder] = now_s + wait_s
        due[name] = float("inf")
        holder, since_s = name, now_s
    return connected


@given(st.integers(0, 10**6))
def test_two_with_one_client_id_come_to_rest(seed: int) -> None:
    for times in war(seed, lasts_s=600).values():
        later = [at for at in times if at > 60]
        waits = [after - before for before, after in pairwise(later)]
        assert min(waits) >= RIVAL_CAP_S / 2  # fewer than one in 30 s
        assert max(waits) <= 2 * RIVAL_CAP_S  # and none gives up


def test_a_war_is_told_of_from_the_third_time_on_until_it_is_over() -> None:
    attempts = Attempts(0, lambda: 0.0)
    for times in range(1, 6):
        attempts.ended(10, 60, was_useful=True)
        attempts.taken()
        assert attempts.is_suspicious
        assert attempts.is_unsteady is (times >= UNSTEADY_AFTER)
        assert not attempts.is_steady
    attempts.ended(1000, CALM_S + 1, was_useful=True)
    assert attempts.is_steady
    assert not attempts.is_suspicious


def test_a_network_that_drops_is_no_rival() -> None:
    attempts = Attempts(0, lambda: 0.999)
    for _ in range(100):
        attempts.ended(0, 1, was_useful=True)
        assert attempts.wait_s(0) <= IMPATIENT_CAP_S
    assert attempts.is_unsteady
    attempts.ended(10, 10, was_useful=True)
    assert attempts.is_steady
    assert attempts.wait_s(10) < 0.5


def test_a_broker_that_is_away_is_not_unsteady() -> None:
    attempts = Attempts(0)
    for _ in range(100):
        attempts.ended(0, 0.01, was_useful=False)
        assert not attempts.is_unsteady
        assert not attempts.is_suspicious
        attempts.wait_s(0)
