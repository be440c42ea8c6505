"""What LEDs show: the spelling of patterns, and their course in time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model import Notice, Situation
from appliance.panel.patterns import Kind, Pattern, parse_pattern, patterns_for

KINDS: tuple[Kind, ...] = ("led", "pwm", "rgb")
SHAPES = ["off", "on", "dim", "slow_blink", "blink", "fast_blink", "double_blink"]
SHAPES += ["flash", "wink", "pulse", "count"]


def course(pattern: Pattern, until_s: float) -> list[tuple[float, float]]:
    """Each change of a pattern's level with its time, as a driver sees it."""
    now_s, seen = 0.0, list[tuple[float, float]]()
    while now_s < until_s:
        level, wait_s = pattern.at(now_s)
        if not seen or seen[-1][1] != level:
            seen.append((round(now_s, 3), round(level, 3)))
        if wait_s is None:
            break
        now_s += wait_s
    return seen


def test_steady_patterns_never_change() -> None:
    assert parse_pattern("on", "led").at(123.4) == (1.0, None)
    assert parse_pattern("off", "pwm").at(0) == (0.0, None)
    assert parse_pattern("dim", "pwm").at(7) == (0.1, None)


def test_blinking_follows_its_times() -> None:
    assert course(parse_pattern("blink", "led"), 2) == [(0, 1), (0.5, 0), (1, 1), (1.5, 0)]
    assert course(parse_pattern("double_blink", "led"), 1.6) == [
        (0, 1),
        (0.15, 0),
        (0.3, 1),
        (0.45, 0),
        (1.5, 1),
    ]


def test_a_count_blinks_each_number_in_its_turn() -> None:
    pattern = parse_pattern("count", "led").counting((2, 1))
    assert pattern.text == "count 2 1"
    assert course(pattern, 6.0) == [
        (0, 1),
        (0.3, 0),
        (0.6, 1),
        (0.9, 0),
        (2.1, 1),
        (2.4, 0),
        (4.8, 1),
        (5.1, 0),
        (5.4, 1),
        (5.7, 0),
    ]
    red = parse_pattern("red:count", "rgb").counting([3])
    assert (red.text, red.colour) == ("red:count 3", (1, 0, 0))
    assert parse_pattern("blink", "led").counting((2,)) == parse_pattern("blink", "led")
    assert parse_pattern("count", "led").counting(()) == parse_pattern("count", "led")
    assert patterns_for("led", {})[Situation.ERROR].text == "count"


def test_a_pulse_is_real_brightness_where_the_led_can_and_a_blink_where_it_cannot() -> None:
    breath = course(parse_pattern("pulse", "pwm"), 2)
    levels = [level for _, level in breath]
    assert levels[0] == 1.0, "a press sees light at once"
    assert min(levels) == pytest.approx(0.04)
    assert max(abs(a - b) for a, b in pairwise(levels)) < 0.1, "no visible jumps"
    plain = course(parse_pattern("pulse", "led"), 2)
    assert [level for _, level in plain] == [1, 0, 1]


def test_dim_is_dark_on_a_plain_led() -> None:
    assert parse_pattern("dim", "led").at(0) == (0.0, None)


def test_colours_are_for_rgb() -> None:
    assert parse_pattern("red:fast_blink", "rgb").colour == (1, 0, 0)
    assert parse_pattern("#ff0033:pulse", "rgb").colour == (1, 0, 0.2)
    assert parse_pattern("fast_blink", "rgb").colour == (1, 1, 1)
    steady = parse_pattern("green", "rgb")
    assert (steady.colour, steady.at(3), steady.text) == ((0, 1, 0), (1.0, None), "green")


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("blnk", "led", '"blnk" is no pattern; did you mean blink? off, on, dim, slow_blink'),
        ("", "pwm", '"" is no pattern: off, on, dim'),
        ("zzz", "rgb", "also with a colour (red:blink)"),
        ("red:blink", "led", '"red:blink" has a colour, which an LED of kind led cannot show'),
        ("red", "pwm", '"red" is no pattern'),
        ("rde:blink", "rgb", '"rde" is no colour; did you mean red? white, red'),
        (":blink", "rgb", '"" is no colour: white, red'),
        ("#ff00:on", "rgb", '"#ff00" is no colour'),
        ("red:", "rgb", '"red:" is no pattern'),
    ],
)
def test_a_fault_lists_the_choices(text: str, kind: Kind, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_pattern(text, kind)
    assert sentence in str(caught.value)


@given(st.sampled_from(SHAPES), st.sampled_from(KINDS), st.floats(0, 1e7))
def test_a_level_is_a_level_and_the_next_change_lies_ahead(
    shape: str, kind: Kind, elapsed_s: float
) -> None:
    pattern = parse_pattern(shape, kind)
    level, wait_s = pattern.at(elapsed_s)
    assert 0 <= level <= 1
    assert kind != "led" or level in (0, 1)
    assert wait_s is None or wait_s > 1e-7, "a driver never spins"
    if wait_s is not None:
        assert pattern.at(elapsed_s + wait_s * 0.4)[0] == level


@pytest.mark.parametrize("kind", KINDS)
def test_every_situation_has_a_pattern_and_the_important_ones_differ(kind: Kind) -> None:
    patterns = patterns_for(kind, {})
    assert set(patterns) == {*Situation, *Notice}
    told_apart = [Situation.IDLE, Situation.IN_CALL, Situation.RINGING_OUT, Situation.ERROR]
    assert len({patterns[situation].steps for situation in told_apart}) == len(told_apart)


def test_chosen_patterns_go_before_the_defaults() -> None:
    chosen = {"ringing_in": "on", "ringing": "off", "idle": "flash"}
    patterns = patterns_for("led", chosen)
    assert patterns[Situation.RINGING_IN].text == "on", "its own name goes before ringing"
    assert patterns[Situation.RINGING_OUT].text == "off"
    assert patterns[Situation.IDLE].text == "flash"
    assert patterns[Situation.IN_CALL].text == "on"


def test_what_a_visitor_is_told_has_patterns_of_its_own() -> None:
    patterns = patterns_for("led", {})
    assert patterns[Notice.IT_IS_RINGING].steps != patterns[Situation.RINGING_OUT].steps
    assert patterns[Notice.DOOR_OPEN].steps not in (
        patterns[Situation.IDLE].steps,
        patterns[Situation.IN_CALL].steps,
    )
    assert patterns_for("led", {"door_open": "wink"})[Notice.DOOR_OPEN].text == "wink"


@pytest.mark.parametrize("name", ["ringing", "ringing_out"])
def test_who_chose_how_ringing_looks_is_not_overruled(name: str) -> None:
    patterns = patterns_for("led", {name: "wink"})
    assert patterns[Notice.IT_IS_RINGING].text == "wink"
    both = patterns_for("led", {"it_is_ringing": "flash", name: "wink"})
    assert both[Notice.IT_IS_RINGING].text == "flash"
    assert both[Situation.RINGING_OUT].text == "wink"


def test_a_fault_in_the_chosen_patterns_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="is no situation; did you mean idle"):
        patterns_for("led", {"idel": "on"})
    with pytest.raises(ValueError, match="has a colour"):
        patterns_for("led", {"idle": "red:on"})
