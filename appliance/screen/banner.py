"""What a visitor is told, along the lower edge of whatever else is shown: large and with contrast."""

from __future__ import annotations

from functools import lru_cache

from appliance.model import Notice
from appliance.prompts import words_of
from appliance.screen.canvas import Canvas
from appliance.screen.layouts import Rect
from appliance.screen.lettering import length, text
from appliance.screen.palette import AMBER, BEHIND, BLUE, GREEN, Colour

GROUNDS: dict[Notice, Colour] = {
    Notice.IT_IS_RINGING: BLUE,
    Notice.NO_ANSWER: AMBER,
    Notice.NOT_NOW: AMBER,
    Notice.DOOR_OPEN: GREEN,
}
"""Light enough for dark letters, with a contrast of 7 and more (WCAG 2.2, AAA)."""
SHARE = 0.12
"""Of the screen's height are the letters: they are read from two steps away."""
LEAST_SHARE = 0.07
LINES = 2


def place(notice: Notice, language: str, screen: Rect) -> Rect:
    """Where a notice stands: as high as its lines are."""
    px, lines = _set(words_of(notice, language), screen.width, screen.height)
    height = round(px * (1.25 * len(lines) + 0.5))
    return Rect(screen.left, screen.bottom - height, screen.width, height)


def banner(canvas: Canvas, notice: Notice, language: str, screen: Rect) -> None:
    """Draw it over what is there."""
    px, lines = _set(words_of(notice, language), screen.width, screen.height)
    whole = place(notice, language, screen)
    canvas.fill(whole, GROUNDS[notice])
    step = round(px * 1.25)
    for number, line in enumerate(lines):
        letters = text(line, px, bold=True, colour=BEHIND, width=screen.width)
        top = whole.top + round(px * 0.25) + number * step
        canvas.lay_middle(letters, Rect(whole.left, top, whole.width, step))


@lru_cache(maxsize=16)
def _set(words: str, width: int, height: int) -> tuple[int, tuple[str, ...]]:
    """How large the letters are, and the lines: one if there is room, else two, else smaller letters."""
    room = width * 0.94
    px = largest = max(10, round(height * SHARE))
    while True:
        lines = _lines(words, px, room)
        if len(lines) <= LINES or px <= max(10, largest * LEAST_SHARE / SHARE):
            return px, lines
        px -= 1


def _lines(words: str, px: int, room: float) -> tuple[str, ...]:
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and length(longer, px, bold=True) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return tuple(lines)
