"""Symbols, drawn on a square of 0 to 1: no font is sure to have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache

from PIL import Image, ImageDraw

from appliance.screen.canvas import Sprite, tinted
from appliance.screen.palette import INK, Colour

FINER = 8
"""Drawn so many times as large, and reduced."""


class Symbol(StrEnum):
    """What each stands for."""

    MUTED = "muted"
    HAND = "hand"
    RECORDING = "recording"
    HOLD = "hold"
    SCREEN = "screen"
    RECONNECTING = "reconnecting"
    DO_NOT_DISTURB = "do_not_disturb"
    OFFLINE = "offline"
    MISSED = "missed"
    WARNING = "warning"
    PERSON = "person"


def symbol(which: Symbol, px: int, colour: Colour = INK) -> Sprite:
    """A symbol as a square of so many pixels."""
    return _drawn(which, px, colour)


@lru_cache(maxsize=128)
def _drawn(which: Symbol, px: int, colour: Colour) -> Sprite:
    pen = _Pen(px * FINER)
    DRAWN[which](pen)
    return tinted(pen.mask.reduce(FINER), colour)


class _Pen:
    """Draws in the unit square."""

    def __init__(self, px: int) -> None:
        """`px` is the side of the square."""
        self.mask = Image.new("L", (px, px))
        self._draw = ImageDraw.Draw(self.mask)
        self._px = px

    def _to_px(self, *values: float) -> list[float]:
        return [value * self._px for value in values]

    def box(
        self, left: float, top: float, right: float, bottom: float, radius: float, ink: int = 255
    ) -> None:
        """A filled box with round corners."""
        place = self._to_px(left, top, right, bottom)
        self._draw.rounded_rectangle(place, radius * self._px, fill=ink)

    def frame(self, left: float, top: float, right: float, bottom: float, thick: float) -> None:
        """The outline of a box."""
        self.box(left, top, right, bottom, 2 * thick)
        self.box(left + thick, top + thick, right - thick, bottom - thick, thick, ink=0)

    def disc(self, x: float, y: float, radius: float, ink: int = 255) -> None:
        """A filled circle."""
        place = self._to_px(x - radius, y - radius, x + radius, y + radius)
        self._draw.ellipse(place, fill=ink)

    def line(self, points: Sequence[tuple[float, float]], thick: float, ink: int = 255) -> None:
        """A line with round ends and joints."""
        self._draw.line(
            [(x * self._px, y * self._px) for x, y in points], ink, round(thick * self._px)
        )
        for x, y in points:
            self.disc(x, y, thick / 2, ink)

    def arc(self, centre: tuple[float, float], radius: float, span: str, thick: float) -> None:
        """A part of a circle; `span` is its degrees, clockwise from the right: `from-to`."""
        x, y = centre
        outer = radius + thick / 2
        place = self._to_px(x - outer, y - outer, x + outer, y + outer)
        start, end = map(float, span.split("-"))
        self._draw.arc(place, start, end, 255, round(thick * self._px))

    def area(self, points: Sequence[tuple[float, float]]) -> None:
        """A filled polygon."""
        self._draw.polygon([(x * self._px, y * self._px) for x, y in points], 255)

    def strike(self) -> None:
        """Cross it out."""
        self.line([(0.17, 0.08), (0.89, 0.86)], 0.09, ink=0)
        self.line([(0.11, 0.14), (0.83, 0.92)], 0.09)


def _muted(pen: _Pen) -> None:
    pen.box(0.37, 0.08, 0.63, 0.58, 0.13)
    pen.arc((0.5, 0.44), 0.27, "0-180", 0.08)
    pen.line([(0.5, 0.74), (0.5, 0.9)], 0.08)
    pen.line([(0.34, 0.9), (0.66, 0.9)], 0.08)
    pen.strike()


def _hand(pen: _Pen) -> None:
    for x, top in ((0.33, 0.2), (0.46, 0.1), (0.59, 0.14), (0.72, 0.25)):
        pen.line([(x, top), (x, 0.6)], 0.1)
    pen.box(0.28, 0.46, 0.77, 0.92, 0.2)
    pen.line([(0.17, 0.52), (0.36, 0.78)], 0.1)
    for x in (0.395, 0.525, 0.655):
        pen.line([(x, 0.1), (x, 0.5)], 0.03, ink=0)


def _recording(pen: _Pen) -> None:
    pen.disc(0.5, 0.5, 0.32)


def _hold(pen: _Pen) -> None:
    pen.box(0.24, 0.18, 0.42, 0.82, 0.05)
    pen.box(0.58, 0.18, 0.76, 0.82, 0.05)


def _screen(pen: _Pen) -> None:
    pen.frame(0.06, 0.14, 0.94, 0.72, 0.08)
    pen.line([(0.5, 0.72), (0.5, 0.86)], 0.09)
    pen.line([(0.32, 0.87), (0.68, 0.87)], 0.09)


def _reconnecting(pen: _Pen) -> None:
    pen.arc((0.5, 0.5), 0.32, "20-300", 0.1)
    pen.area([(0.56, 0.02), (0.9, 0.2), (0.58, 0.4)])


def _do_not_disturb(pen: _Pen) -> None:
    pen.disc(0.47, 0.53, 0.38)
    pen.disc(0.64, 0.38, 0.32, ink=0)


def _offline(pen: _Pen) -> None:
    for radius in (0.24, 0.44, 0.64):
        pen.arc((0.5, 0.82), radius, "225-315", 0.09)
    pen.disc(0.5, 0.82, 0.08)
    pen.strike()


def _missed(pen: _Pen) -> None:
    pen.line([(0.1, 0.22), (0.5, 0.52), (0.88, 0.16)], 0.085)
    pen.line([(0.1, 0.42), (0.1, 0.22), (0.32, 0.2)], 0.085)
    pen.arc((0.5, 1.02), 0.36, "207-333", 0.13)
    pen.box(0.06, 0.74, 0.29, 0.93, 0.06)
    pen.box(0.71, 0.74, 0.94, 0.93, 0.06)


def _warning(pen: _Pen) -> None:
    pen.line([(0.5, 0.14), (0.92, 0.86), (0.08, 0.86), (0.5, 0.14)], 0.1)
    pen.line([(0.5, 0.4), (0.5, 0.6)], 0.09)
    pen.disc(0.5, 0.73, 0.05)


def _person(pen: _Pen) -> None:
    pen.disc(0.5, 0.32, 0.19)
    pen.disc(0.5, 0.92, 0.36)
    pen.box(0, 0.92, 1, 1, 0, ink=0)


DRAWN: dict[Symbol, Callable[[_Pen], None]] = {
    Symbol.MUTED: _muted,
    Symbol.HAND: _hand,
    Symbol.RECORDING: _recording,
    Symbol.HOLD: _hold,
    Symbol.SCREEN: _screen,
    Symbol.RECONNECTING: _reconnecting,
    Symbol.DO_NOT_DISTURB: _do_not_disturb,
    Symbol.OFFLINE: _offline,
    Symbol.MISSED: _missed,
    Symbol.WARNING: _warning,
    Symbol.PERSON: _person,
}
