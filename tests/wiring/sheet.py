"""What every drawing is made of: boards with named pins, parts, wires and words, in one style on white."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import schemdraw
from schemdraw import elements as elm

Align = Literal["left", "center", "right"]
Place = tuple[float, float]
"""To the right, and up; a drawing grows to the right and down."""

INK, SOFT, BOARD = "#1a1a1a", "#5a5a5a", "#f1f5fa"
WIDE, PITCH, HEAD = 3.4, 1.3, 1.15
"""How wide a Pi is drawn, how far its pins are apart, and what is above the first."""

PIXELS, MARGIN, LETTER = 36, 14, 0.58
"""Of a unit; around all of it; and how wide a letter is by its height, at most and on the average."""

schemdraw.use("svg")


class Sheet:
    """One drawing."""

    def __init__(self) -> None:
        self._left, self._right = 0.0, 0.0
        self._drawing = schemdraw.Drawing(show=False)
        self._drawing.config(
            unit=2, fontsize=12, font="sans-serif", color=INK, lw=1.5, bgcolor="white", margin=0.4
        )

    def svg(self) -> str:
        """The text of the file, the same each time: white behind it, and short numbers."""
        text = self._drawing.get_imagedata("svg").decode()
        text = re.sub(
            r"-?\d+\.\d+", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), text
        )
        text = text.replace('font-family="sans"', 'font-family="sans-serif"')
        text = text.replace(' style="background-color:white;"', "")
        x, y, wide, high = (
            float(number) for number in re.findall(r'viewBox="(\S+) (\S+) (\S+) (\S+)"', text)[0]
        )
        x = min(x, self._left * PIXELS - MARGIN)
        wide = max(x + wide, self._right * PIXELS + MARGIN) - x
        size = f'width="{wide:.0f}" height="{high:.0f}"'
        seen = f'viewBox="{x:.0f} {y:.0f} {wide:.0f} {high:.0f}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {seen}>'
        white = f'<rect x="{x:.0f}" y="{y:.0f}" {size} fill="white"/>'
        return re.sub(r"<svg[^>]*>", head + white, text, count=1).replace("><", ">\n<") + "\n"

    # -------------------- boards

    def box(self, corner: Place, wide: float, high: float, title: str) -> None:
        """A board: its upper left corner, and its name within."""
        x, y = corner
        self._drawing.add(
            elm.Rect(corner1=(x, y), corner2=(x + wide, y - high), fill=BOARD).at((0, 0)).theta(0)
        )
        self.words((x + wide / 2, y - 0.45), title, bold=True)

    def board(
        self,
        corner: Place,
        title: str,
        left: Sequence[str | tuple[str, int]] = (),
        right: Sequence[str | tuple[str, int]] = (),
        wide: float = WIDE,
        pitch: float = PITCH,
    ) -> tuple[list[Place], list[Place]]:
        """A board with pins on both sides, names or names with numbers; where the wires begin."""
        x, y = corner
        high = HEAD + pitch * (max(len(left), len(right)) - 1) + 0.7
        self.box(corner, wide, high, title)
        rows = [y - HEAD - pitch * row for row in range(max(len(left), len(right)))]
        return (
            [self._pin((x, row), name, -1) for row, name in zip(rows, left, strict=False)],
            [self._pin((x + wide, row), name, 1) for row, name in zip(rows, right, strict=False)],
        )

    def pi(
        self, pins: Sequence[tuple[str, int]], corner: Place = (0, 0), pitch: float = PITCH
    ) -> list[Place]:
        """A Raspberry Pi with some of its pins on the right."""
        return self.board(corner, "Raspberry Pi", right=pins, pitch=pitch)[1]

    def _pin(self, at: Place, name: str | tuple[str, int], side: int) -> Place:
        text, number = name if isinstance(name, tuple) else (name, None)
        self.words((at[0] - 0.2 * side, at[1]), text, align="right" if side > 0 else "left")
        end = (at[0] + 0.6 * side, at[1])
        self.wire(at, end)
        if number is not None:
            self.words((at[0] + 0.3 * side, at[1] + 0.25), str(number), small=True)
        return end

    # -------------------- what is between them

    def words(
        self,
        at: Place,
        text: str,
        align: Align = "center",
        *,
        bold: bool = False,
        small: bool = False,
    ) -> None:
        """Words, of which `at` is the middle, or the left or right end, at half their height."""
        lines = text.split("\n")
        size = 14 if bold else 10.5 if small else 12
        for row, line in enumerate(lines):
            y = at[1] - 0.12 + (len(lines) - 1 - 2 * row) * size * 0.0175
            label = elm.Label().at((at[0], y)).theta(0)
            length = len(line) * size * LETTER / PIXELS
            begin = at[0] - length * {"left": 0, "center": 0.5, "right": 1}[align]
            self._left, self._right = min(self._left, begin), max(self._right, begin + length)
            self._drawing.add(
                label.label(
                    line,
                    loc="center",
                    halign=align,
                    valign="center",
                    fontsize=size,
                    color=SOFT if small else INK,
                    ofst=0,
                )
            )

    def wire(self, *points: Place) -> None:
        """A line through all points."""
        for start, end in pairwise(points):
            if start != end:
                self._drawing.add(elm.Line().endpoints(start, end))

    def dot(self, at: Place) -> None:
        """Where wires are joined."""
        self._drawing.add(elm.Dot().at(at))

    def part(self, kind: type[elm.Element2Term], start: Place, end: Place, **more: object) -> None:
        """A part with two ends, and the wires that lead to it."""
        self._drawing.add(kind(**more).endpoints(start, end))

    def transistor(self, base: Place) -> tuple[Place, Place]:
        """An NPN transistor, by its base; its collector and its emitter."""
        part = self._drawing.add(elm.BjtNpn(circle=True).anchor("base").at(base).theta(0))
        return tuple(part.absanchors["collector"]), tuple(part.absanchors["emitter"])

    def key(self, at: Place) -> None:
        """A key of a matrix, where a row and a column cross."""
        self._drawing.add(elm.Dot(radius=0.22, open=True, fill="white").at(at))
