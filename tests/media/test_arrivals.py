"""What the delay of playing has to be, from when packets came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.arrivals import LIMIT_S, WINDOW_S, Arrivals


def after(transits_s: list[float], interval_s: float = 0.02) -> Arrivals:
    arrivals = Arrivals()
    for number, transit_s in enumerate(transits_s):
        arrivals.add(transit_s, number * interval_s)
    return arrivals


def test_a_steady_way_is_waited_for_as_long_as_it_takes() -> None:
    arrivals = after([5.0] * 100)
    assert arrivals.waited_for_s == arrivals.shortest_s == 5.0


def test_one_in_twenty_may_be_later() -> None:
    assert after([0.0] * 96 + [0.1] * 3 + [0.0] * 5).waited_for_s == 0.0
    assert after(([0.0] * 9 + [0.05]) * 10).waited_for_s == 0.05, "one in ten may not"


def test_four_late_ones_in_a_row_are_the_way_as_it_is_now() -> None:
    assert after([0.0] * 400 + [0.1, 0.12, 0.11]).waited_for_s == 0.0
    assert after([0.0] * 400 + [0.1, 0.12, 0.11, 0.13]).waited_for_s == 0.1


def test_what_is_ten_seconds_ago_does_not_count() -> None:
    arrivals = after([0.1] * 500 + [0.0] * 470)
    assert arrivals.waited_for_s == 0.1, "6 % of the last ten seconds"
    arrivals = after([0.1] * 500 + [0.0] * 480)
    assert arrivals.waited_for_s == 0.0, "4 %"
    arrivals.forget(1000)
    assert not arrivals


def test_a_way_that_has_become_much_shorter_begins_anew() -> None:
    arrivals = after([1.0] * 400 + [0.0])
    assert (arrivals.shortest_s, arrivals.waited_for_s) == (0.0, 0.0)


def test_a_backlog_that_comes_all_at_once_leaves_no_delay() -> None:
    backlog = [10 - number * 0.02 for number in range(501)]
    arrivals = Arrivals()
    for transit_s in backlog:
        arrivals.add(transit_s, 100.0)
    for number in range(200):
        arrivals.add(0.0, 100.02 + number * 0.02)
    assert arrivals.waited_for_s == pytest.approx(0.0)


@given(
    st.lists(st.tuples(st.floats(0, 3), st.floats(-1, 1)), min_size=1, max_size=60),
)
def test_what_is_waited_for_has_been_seen_and_is_not_too_long(
    steps: list[tuple[float, float]],
) -> None:
    arrivals, now_s = Arrivals(), 0.0
    came: list[tuple[float, float]] = []
    for step_s, transit_s in steps:
        now_s += step_s
        arrivals.add(transit_s, now_s)
        came.append((now_s, transit_s))
        window = [transit for at_s, transit in came if at_s >= now_s - WINDOW_S]
        assert arrivals.waited_for_s in window
        assert arrivals.shortest_s in window
        assert 0 <= arrivals.waited_for_s - arrivals.shortest_s <= LIMIT_S
