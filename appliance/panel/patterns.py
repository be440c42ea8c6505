"""What an LED shows, as a function of time alone: patterns, their spelling, and one per situation.

A pattern is a cycle of levels (0 dark, 1 full). A plain LED is lit where the level is at least one
half, so that there `pulse` is a blinking and `dim` is dark.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from appliance.errors import did_you_mean
from appliance.model import Notice, Situation
from appliance.panel.situations import parse_situation

Kind = Literal["led", "pwm", "rgb"]

Rgb = tuple[float, float, float]
"""Red, green and blue, each from 0 to 1."""

Step = tuple[float, float]
"""For how many seconds, and at which level."""

_PULSE_STEP_S = 0.04
"""25 steps a second look smooth, and cost nearly nothing."""


def _pulse(period_s: float) -> Iterator[Step]:
    """From full to nearly dark and back, as a breath; the press that starts it sees it lit."""
    steps = round(period_s / _PULSE_STEP_S)
    for step in range(steps):
        level = 0.5 + 0.5 * math.cos(math.tau * step / steps)
        yield _PULSE_STEP_S, 0.04 + 0.96 * level


COUNT = "count"
"""Blinks as often as what is wrong is numbered; several numbers come one after the other."""

_BLINK_S = 0.3
_BETWEEN_S = 1.2
"""How long it is dark behind each number,"""
_BEHIND_S = 2.4
"""and behind the last one."""


def _count(numbers: Sequence[int]) -> Iterator[Step]:
    for at, number in enumerate(numbers):
        dark_s = _BEHIND_S if at == len(numbers) - 1 else _BETWEEN_S
        for blink in range(number):
            yield _BLINK_S, 1.0
            yield (_BLINK_S if blink < number - 1 else dark_s), 0.0


_SHAPES: dict[str, tuple[Step, ...]] = {
    "off": ((1.0, 0.0),),
    "on": ((1.0, 1.0),),
    "dim": ((1.0, 0.1),),
    "slow_blink": ((1.0, 1.0), (1.0, 0.0)),
    "blink": ((0.5, 1.0), (0.5, 0.0)),
    "fast_blink": ((0.125, 1.0), (0.125, 0.0)),
    "double_blink": ((0.15, 1.0), (0.15, 0.0), (0.15, 1.0), (1.05, 0.0)),
    "flash": ((0.1, 1.0), (2.9, 0.0)),
    "wink": ((1.9, 1.0), (0.1, 0.0)),
    "pulse": tuple(_pulse(2.0)),
    COUNT: tuple(_count((1,))),
}

_COLOURS: dict[str, Rgb] = {
    "white": (1.0, 1.0, 1.0),
    "red": (1.0, 0.0, 0.0),
    "orange": (1.0, 0.4, 0.0),
    "yellow": (1.0, 0.8, 0.0),
    "green": (0.0, 1.0, 0.0),
    "cyan": (0.0, 1.0, 1.0),
    "blue": (0.0, 0.0, 1.0),
    "magenta": (1.0, 0.0, 1.0),
}

_HEX_COLOUR = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A cycle of levels in one colour (white unless said); `text` is its spelling."""

    text: str
    steps: tuple[Step, ...]
    colour: Rgb = _COLOURS["white"]

    def counting(self, numbers: Sequence[int]) -> Pattern:
        """The same with these numbers, where it is one that counts: `count 2 5`."""
        if self.text.rpartition(":")[2] != COUNT or not numbers:
            return self
        spelled = " ".join(str(number) for number in numbers)
        return replace(self, text=f"{self.text} {spelled}", steps=tuple(_count(numbers)))

    def at(self, elapsed_s: float) -> tuple[float, float | None]:
        """The level `elapsed_s` after the pattern began, and in how many seconds it changes.

        The latter is None for a pattern that never changes.
        """
        if len(self.steps) == 1:
            return self.steps[0][1], None
        left_s = elapsed_s % sum(length_s for length_s, _ in self.steps)
        for length_s, level in self.steps:
            left_s -= length_s
            # a timer that is early by a rounding error is on time
            if left_s < -1e-6:
                return level, -left_s
        length_s, level = self.steps[0]
        return level, length_s


def parse_pattern(text: str, kind: Kind) -> Pattern:
    """Read a pattern for an LED of `kind`: `blink`; for rgb also `red:blink`, `#ff8000:on`, `red`.

    Raises ValueError with a sentence that lists the choices.
    """
    colour, colon, shape = text.rpartition(":")
    if not colon and kind == "rgb" and _colour(shape) is not None:
        colour, shape = shape, "on"
    if shape not in _SHAPES:
        near = did_you_mean(shape, _SHAPES)
        raise ValueError(f'"{text}" is no pattern{near or ":"} {_choices(kind)}')
    steps = _SHAPES[shape]
    if kind == "led":
        steps = tuple(_plain(steps))
    if not colour and not colon:
        return Pattern(text, steps)
    if kind != "rgb":
        raise ValueError(f'"{text}" has a colour, which an LED of kind {kind} cannot show')
    if (rgb := _colour(colour)) is None:
        near = did_you_mean(colour, _COLOURS)
        raise ValueError(f'"{colour}" is no colour{near or ":"} {", ".join(_COLOURS)} or #rrggbb')
    return Pattern(text, steps, rgb)


def _choices(kind: Kind) -> str:
    shapes = ", ".join(_SHAPES)
    return f"{shapes}, also with a colour (red:blink)" if kind == "rgb" else shapes


def _colour(text: str) -> Rgb | None:
    if match := _HEX_COLOUR.fullmatch(text):
        red, green, blue = (int(pair, 16) / 255 for pair in match.groups())
        return red, green, blue
    return _COLOURS.get(text)


def _plain(steps: tuple[Step, ...]) -> Iterator[Step]:
    """The steps for an LED that is lit or dark; those that look the same are one."""
    for lit, same in groupby(steps, key=lambda step: step[1] >= 0.5):
        yield sum(length_s for length_s, _ in same), float(lit)


_DEFAULTS: dict[Situation | Notice, tuple[str, str]] = {
    # the shape, and the colour of an LED that has one
    Situation.RINGING_IN: ("fast_blink", "green"),
    Situation.RINGING_OUT: ("pulse", "blue"),
    Situation.CONNECTING: ("fast_blink", "blue"),
    Situation.RECONNECTING: ("blink", "yellow"),
    Situation.ON_HOLD: ("slow_blink", "blue"),
    Situation.RECORDING: ("on", "red"),
    Situation.MUTED: ("wink", "yellow"),
    Situation.IN_CALL: ("on", "green"),
    Situation.ERROR: (COUNT, "red"),
    Situation.BROKER_AWAY: ("slow_blink", "orange"),
    Situation.MISSED_CALL: ("flash", "magenta"),
    Situation.IDLE: ("dim", "white"),
    Notice.IT_IS_RINGING: ("blink", "blue"),
    Notice.NO_ANSWER: ("double_blink", "orange"),
    Notice.NOT_NOW: ("double_blink", "orange"),
    Notice.DOOR_OPEN: ("fast_blink", "green"),
}


def patterns_for(kind: Kind, chosen: Mapping[str, str]) -> dict[Situation | Notice, Pattern]:
    """The pattern of every situation and notice: `[leds.<name>.patterns]`, and the defaults for the others.

    A situation's own name goes before `ringing`; an LED that was given a pattern for ringing out, and none
    for `it_is_ringing`, has the same for both. Raises ValueError with a sentence.
    """
    patterns: dict[Situation | Notice, Pattern] = {
        shown: parse_pattern(f"{colour}:{shape}" if kind == "rgb" else shape, kind)
        for shown, (shape, colour) in _DEFAULTS.items()
    }
    notices = {name: text for name, text in chosen.items() if name in list(Notice)}
    names = [name for name in chosen if name not in notices]
    for name in sorted(names, key=lambda name: -len(parse_situation(name))):
        situations = parse_situation(name)
        patterns |= dict.fromkeys(situations, parse_pattern(chosen[name], kind))
        if Situation.RINGING_OUT in situations:
            patterns[Notice.IT_IS_RINGING] = patterns[Situation.RINGING_OUT]
    for name, text in notices.items():
        patterns[Notice(name)] = parse_pattern(text, kind)
    return patterns
