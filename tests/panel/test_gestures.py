"""Gestures as plays: edges of a contact in, first edges and gestures out."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model import Gesture
from appliance.panel.gestures import STUCK_S, FirstEdge, Happening, Recogniser, Stuck
from tests.panel.chatter import Edge, gaps, touch

PRESS, DOUBLE, HOLD = Gesture.PRESS, Gesture.DOUBLE_PRESS, Gesture.HOLD
BOUNCE_S = 0.03
HOLD_S = 1.0
LONG_AFTER_S = 1e6

Told = list[tuple[float, str]]


def play(bound: Iterable[Gesture], edges: Iterable[Edge], *, closed: bool = False) -> Told:
    """What a button with `bound` gestures tells of `edges`, and when: each deadline is kept."""
    button = Recogniser(frozenset(bound), bounce_s=BOUNCE_S, hold_s=HOLD_S, closed=closed)
    told: Told = []

    def note(at_s: float, happenings: list[Happening]) -> None:
        for it in happenings:
            told.append((round(at_s, 6), word_for(it)))

    def pass_time(until_s: float) -> None:
        while (due_s := button.deadline_s) is not None and due_s <= until_s:
            note(due_s, button.tick(due_s))

    for at_s, is_closed in edges:
        pass_time(at_s)
        note(at_s, button.edge(at_s, closed=is_closed))
    pass_time(LONG_AFTER_S)
    return told


def word_for(happening: Happening) -> str:
    match happening:
        case FirstEdge():
            return "touch"
        case Stuck(stuck):
            return "stuck" if stuck else "free"
        case _:
            return happening.gesture.value


def down_up(*times_s: float) -> list[Edge]:
    """A clean contact that closes and opens in turn."""
    return [(at_s, number % 2 == 0) for number, at_s in enumerate(times_s)]


# -------------------- when a press is told


def test_a_press_is_told_at_its_first_edge() -> None:
    assert play([PRESS], down_up(1.0, 1.2)) == [(1.0, "touch"), (1.0, "press")]


def test_where_hold_is_bound_a_press_waits_for_its_release() -> None:
    assert play([PRESS, HOLD], down_up(1.0, 1.2)) == [(1.0, "touch"), (1.2, "press")]


def test_a_hold_is_told_while_it_is_held_and_its_release_is_no_press() -> None:
    assert play([PRESS, HOLD], down_up(1.0, 9.0)) == [(1.0, "touch"), (2.0, "hold")]


def test_where_double_press_is_bound_a_press_waits_for_a_second_one() -> None:
    assert play([PRESS, DOUBLE], down_up(1.0, 1.1)) == [(1.0, "touch"), (1.4, "press")]


def test_a_long_touch_cannot_become_a_double_press_and_waits_no_longer() -> None:
    assert play([PRESS, DOUBLE], down_up(1.0, 5.0)) == [(1.0, "touch"), (1.3, "press")]
    assert play([PRESS, DOUBLE, HOLD], down_up(1.0, 1.5)) == [(1.0, "touch"), (1.5, "press")]


def test_a_double_press_is_told_at_its_second_edge_and_is_no_press() -> None:
    told = play([PRESS, DOUBLE, HOLD], down_up(1.0, 1.1, 1.2, 1.3))
    assert told == [(1.0, "touch"), (1.2, "touch"), (1.2, "double_press")]


def test_two_presses_too_far_apart_are_two_presses() -> None:
    told = play([PRESS, DOUBLE], down_up(1.0, 1.1, 1.5, 1.6))
    assert told == [(1.0, "touch"), (1.4, "press"), (1.5, "touch"), (1.9, "press")]


def test_holding_the_second_touch_of_a_double_press_is_no_hold() -> None:
    told = play([PRESS, DOUBLE, HOLD], down_up(1.0, 1.1, 1.2, 5.0))
    assert [word for _, word in told] == ["touch", "touch", "double_press"]


def test_a_third_touch_begins_anew() -> None:
    told = play([PRESS, DOUBLE], down_up(1.0, 1.1, 1.2, 1.3, 1.4, 1.5))
    assert [word for _, word in told] == ["touch", "touch", "double_press", "touch", "press"]


def test_what_is_not_bound_is_not_told() -> None:
    assert play([], down_up(1.0, 1.2)) == [(1.0, "touch")]
    assert play([HOLD], down_up(1.0, 1.2)) == [(1.0, "touch")]
    assert play([DOUBLE], down_up(1.0, 1.1)) == [(1.0, "touch")]


# -------------------- chatter and noise


def test_a_contact_closed_from_the_beginning_is_no_touch() -> None:
    edges = [(1.0, False), (2.0, True), (2.1, False)]
    assert play([PRESS], edges, closed=True) == [(2.0, "touch"), (2.0, "press")]


def test_a_touch_shorter_than_the_chatter_counts() -> None:
    assert play([PRESS, HOLD], down_up(1.0, 1.001)) == [(1.0, "touch"), (1.031, "press")]


def test_noise_on_the_line_never_becomes_a_hold() -> None:
    """A relay beside the wire: edges without rest for three seconds, and then nothing."""
    noise = down_up(*(1.0 + 0.01 * step for step in range(300)))
    assert [word for _, word in play([PRESS, HOLD], noise)] == ["touch", "press"]


def test_an_edge_that_was_lost_does_no_harm() -> None:
    twice_closed = [(1.0, True), (1.5, True), (2.0, False)]
    assert play([PRESS], twice_closed) == [(1.0, "touch"), (1.0, "press")]


@given(down=gaps, up=gaps, length_s=st.floats(BOUNCE_S + 0.001, 0.9))
@pytest.mark.parametrize("bound", [{PRESS}, {PRESS, HOLD}, {PRESS, DOUBLE}, {PRESS, DOUBLE, HOLD}])
def test_one_touch_with_any_chatter_is_one_press(
    bound: set[Gesture], down: list[float], up: list[float], length_s: float
) -> None:
    words = [word for _, word in play(bound, touch(1.0, length_s, down, up))]
    held = HOLD in bound and sum(down) + length_s >= HOLD_S
    assert words in (["touch", "press"], ["touch", "hold"] if held else [])


@given(down=gaps, up=gaps, length_s=st.floats(HOLD_S, 10))
def test_one_long_touch_with_any_chatter_is_one_hold(
    down: list[float], up: list[float], length_s: float
) -> None:
    told = play([PRESS, DOUBLE, HOLD], touch(1.0, length_s, down, up))
    assert [word for _, word in told] == ["touch", "hold"]


@given(
    st.lists(
        st.tuples(st.floats(0.031, 1.5), gaps, gaps, st.floats(BOUNCE_S + 0.001, 2.0)),
        min_size=1,
        max_size=6,
    )
)
def test_every_touch_is_told_once_and_belongs_to_one_gesture(
    touches: list[tuple[float, list[float], list[float], float]],
) -> None:
    edges: list[Edge] = []
    for pause_s, down, up, length_s in touches:
        last_s = edges[-1][0] if edges else 0.0
        edges += touch(last_s + pause_s, length_s, down, up)
    words = [word for _, word in play([PRESS, DOUBLE, HOLD], edges)]
    assert words.count("touch") == len(touches)
    told = words.count("press") + words.count("hold") + 2 * words.count("double_press")
    assert told == len(touches)


# -------------------- stuck


def test_a_contact_that_stays_closed_is_stuck_until_it_opens() -> None:
    told = play([PRESS], down_up(1.0, 100.0, 200.0, 200.1))
    assert told == [
        (1.0, "touch"),
        (1.0, "press"),
        (31.0, "stuck"),
        (100.0, "free"),
        (200.0, "touch"),
        (200.0, "press"),
    ], "and it pressed once"


def test_one_that_is_closed_from_the_beginning_is_stuck_too() -> None:
    assert play([PRESS], [(50.0, False)], closed=True) == [(STUCK_S, "stuck"), (50.0, "free")]


def test_one_that_chatters_without_end_is_stuck() -> None:
    """Water between its blades."""
    wet = down_up(*(1.0 + 0.01 * step for step in range(4000)))
    assert [word for _, word in play([PRESS], wet)] == ["touch", "press", "stuck", "free"]


def test_a_hold_that_takes_long_is_not_stuck_before_it_is_told() -> None:
    button = Recogniser({HOLD}, bounce_s=BOUNCE_S, hold_s=60.0)
    button.edge(0.0, closed=True)
    assert [word_for(it) for it in button.tick(60.5)] == ["hold"]
    assert [word_for(it) for it in button.tick(61.0)] == ["stuck"]


# -------------------- any edges at all

any_edges = st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=60).map(
    lambda steps: [
        (sum(gap for gap, _ in steps[: number + 1]), closed)
        for number, (_, closed) in enumerate(steps)
    ]
)
any_bound = st.sets(st.sampled_from(Gesture))


@given(bound=any_bound, edges=any_edges, closed=st.booleans())
def test_any_edges_keep_the_laws(bound: set[Gesture], edges: list[Edge], closed: bool) -> None:
    told = play(bound, edges, closed=closed)
    words = [word for _, word in told]
    assert {*words} <= {"touch", "stuck", "free", *(gesture.value for gesture in bound)}
    assert words.count("stuck") - words.count("free") in (0, 1)
    gestures = words.count("press") + words.count("hold") + 2 * words.count("double_press")
    assert gestures <= words.count("touch") <= sum(is_closed for _, is_closed in edges)
    assert [at_s for at_s, _ in told] == sorted(at_s for at_s, _ in told)
    for number, word in enumerate(words):
        if word not in ("touch", "stuck", "free"):
            assert "touch" in words[:number], "a gesture without a touch"


@given(bound=any_bound, edges=any_edges)
def test_a_tick_that_comes_late_changes_nothing(bound: set[Gesture], edges: list[Edge]) -> None:
    """A loop that was busy sees the same gestures as one that keeps every deadline."""
    late = Recogniser(bound, bounce_s=BOUNCE_S, hold_s=HOLD_S)
    told = [it for at_s, closed in edges for it in late.edge(at_s, closed=closed)]
    told += late.tick(LONG_AFTER_S)
    words = [word_for(it) for it in told]
    assert words == [word for _, word in play(bound, edges)]
