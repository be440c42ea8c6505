"""Where everything stands on a screen: pure geometry, from a view and a size to rectangles in pixels.

Laws: every rectangle lies on the screen; tiles do not overlap; in `tile` all have one size. A share of
this device itself has no place anywhere, since the screen that is shared would contain itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal, TypeAlias

from appliance.model import Layout, Situation, Tile, View

Key: TypeAlias = tuple[str, str, bool]
"""Whose picture: uid, endpoint, and whether it is a shared screen."""
Fit: TypeAlias = Literal["contain", "cover"]

WIDE = 16 / 9
MOST_TILES = 16
STRIP_SHARES = (0.24, 0.21, 0.18, 0.15)
"""What the small pictures of a spotlight may take of the screen, across their strip: as much as lets
all of them in."""
SMALL_AT_MOST = 0.45
"""And along their strip, so that on a narrow screen a lonely small one stays small."""
PANEL_LETTERS = 14
"""The width of the list of participants, in text sizes."""
PIP_SHARE = 0.36
RINGING = (Situation.RINGING_IN, Situation.RINGING_OUT)


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle in pixels; its right and bottom edges are outside of it."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column behind it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first line below it."""
        return self.top + self.height

    def holds(self, x: int, y: int) -> bool:
        """Whether a point lies in it."""
        return self.left <= x < self.right and self.top <= y < self.bottom

    def inset(self, margin: int) -> Rect:
        """What is left inside of a margin, at least one pixel."""
        width, height = max(1, self.width - 2 * margin), max(1, self.height - 2 * margin)
        return Rect(self.left + margin, self.top + margin, width, height)

    def middle(self, width: int, height: int) -> Rect:
        """One of that size, in the middle of this."""
        return Rect(
            self.left + (self.width - width) // 2,
            self.top + (self.height - height) // 2,
            width,
            height,
        )


@dataclass(frozen=True, slots=True)
class Placed:
    """A tile and its place."""

    tile: Tile
    rect: Rect
    fit: Fit
    label: bool = True
    """The name stands on it."""
    main: bool = False
    rounded: bool = True
    """It stands free; otherwise it fills the screen."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole screen: what is not listed is background."""

    screen: Rect
    gap: int
    """The margin at the edges and between tiles."""
    text_px: int
    """The size of ordinary text."""
    area: Rect
    """What the panel leaves."""
    tiles: tuple[Placed, ...] = ()
    more: Rect | None = None
    """Where it says how many have no room,"""
    hidden: int = 0
    """and how many they are."""
    panel: Rect | None = None
    """The list of participants."""

    def at(self, x: int, y: int) -> Placed | None:
        """The tile at a point."""
        return next((placed for placed in self.tiles if placed.rect.holds(x, y)), None)


def key_of(tile: Tile) -> Key:
    """Under what a tile's pictures come."""
    return tile.participant.uid, tile.participant.endpoint, tile.screen


def plan(view: View, width: int, height: int, order: Sequence[Key] = ()) -> Plan:
    """Place everything of `view` on a screen of that size; `order` is how somebody arranged the tiles."""
    screen = Rect(0, 0, width, height)
    gap = max(3, round(min(width, height * 1.4) / 64))
    text_px = max(14, round(height**0.75 / 5))
    tiles = arranged(view, order)
    bare = Plan(screen, gap, text_px, screen)
    if view.situation in RINGING or not tiles:
        return bare
    main = tiles[_main(view, tiles)]
    if view.picture_in_picture:
        placed = Placed(main, _corner(screen, gap), _fit(view, main), main=True)
        return Plan(screen, gap, text_px, screen, (placed,))
    panel = _panel(screen, gap, text_px) if view.participant_list_visible else None
    area = screen if panel is None else Rect(0, 0, panel.left, height)
    if view.layout is Layout.SINGLE:
        placed = Placed(
            main, area, _fit(view, main), view.container.name_label, main=True, rounded=False
        )
        return Plan(screen, gap, text_px, area, (placed,), panel=panel)
    inside = area.inset(gap)
    if view.layout is Layout.SPOTLIGHT and len(tiles) > 1:
        others = [tile for tile in tiles if tile is not main]
        large, cells = _spotlight(inside, len(others), gap)
        fit = _fit(view, main)
        if fit == "contain":  # no black bars beside what most cameras give
            large = large.middle(*_wide(large.width, large.height))
        first = Placed(main, large, fit, view.container.name_label, main=True)
    else:
        others, first = tiles, None
        cells = _grid(inside, min(len(tiles), MOST_TILES), gap)
    hidden = len(others) - len(cells) + 1 if len(others) > len(cells) else 0
    room = len(cells) - 1 if hidden else len(cells)
    small = tuple(
        Placed(tile, cell, "contain" if tile.screen else "cover")
        for tile, cell in zip(others[:room], cells, strict=False)
    )
    return Plan(
        screen,
        gap,
        text_px,
        area,
        (first, *small) if first else small,
        more=cells[-1] if hidden else None,
        hidden=hidden,
        panel=panel,
    )


def arranged(view: View, order: Sequence[Key] = ()) -> list[Tile]:
    """The tiles that may be shown, those in `order` first."""
    places = {key: place for place, key in enumerate(order)}
    tiles = [tile for tile in view.tiles if not (tile.own and tile.screen)]
    return sorted(tiles, key=lambda tile: places.get(key_of(tile), len(places)))


def _main(view: View, tiles: list[Tile]) -> int:
    """Which is the large one: the view's, or the first of somebody else."""
    if view.main is not None and 0 <= view.main < len(view.tiles):
        wanted = view.tiles[view.main]
        if wanted in tiles:
            return tiles.index(wanted)
    return next((place for place, tile in enumerate(tiles) if not tile.own), 0)


def _fit(view: View, tile: Tile) -> Fit:
    """Faces may be cut at the edges where that is wanted, a shared screen never."""
    return "cover" if view.container.fit == "cover" and not tile.screen else "contain"


def _wide(width: float, height: float) -> tuple[int, int]:
    """The largest 16:9 in a box."""
    fitting = min(width, height * WIDE)
    return max(1, int(fitting)), max(1, int(fitting / WIDE))


def _corner(screen: Rect, gap: int) -> Rect:
    width, height = _wide(max(screen.width * PIP_SHARE, 140), screen.height * 0.5)
    return Rect(screen.right - 2 * gap - width, screen.bottom - 2 * gap - height, width, height)


def _panel(screen: Rect, gap: int, text_px: int) -> Rect:
    width = min(PANEL_LETTERS * text_px, round(screen.width * 0.6))
    return Rect(screen.right - gap - width, gap, width, screen.height - 2 * gap)


def _grid(area: Rect, count: int, gap: int) -> list[Rect]:
    """So many equal tiles of 16:9, as large as can be, each row in the middle."""
    best_columns, best = 1, (0, 0)
    for columns in range(1, count + 1):
        rows = ceil(count / columns)
        size = _wide(
            (area.width - (columns - 1) * gap) / columns, (area.height - (rows - 1) * gap) / rows
        )
        if size > best:
            best_columns, best = columns, size
    return _rows(area, count, best_columns, best, gap)


def _rows(area: Rect, count: int, columns: int, size: tuple[int, int], gap: int) -> list[Rect]:
    width, height = size
    rows = ceil(count / columns)
    block = area.middle(columns * (width + gap) - gap, rows * (height + gap) - gap)
    cells = []
    for row in range(rows):
        in_row = min(columns, count - row * columns)
        left = area.middle(in_row * (width + gap) - gap, height).left
        top = block.top + row * (height + gap)
        cells += [Rect(left + place * (width + gap), top, width, height) for place in range(in_row)]
    return cells


def _spotlight(area: Rect, others: int, gap: int) -> tuple[Rect, list[Rect]]:
    """The large tile and the strip beside or below it, whichever leaves the larger picture."""
    ways: list[tuple[Rect, list[Rect]]] = []
    for share in STRIP_SHARES:
        ways = [way(area, share, others, gap) for way in (_strip_beside, _strip_below)]
        if any(len(strip) == others for _, strip in ways):
            break
    most = max(len(strip) for _, strip in ways)
    return max(
        (way for way in ways if len(way[1]) == most),
        key=lambda way: _wide(way[0].width, way[0].height),
    )


def _strip_beside(area: Rect, share: float, others: int, gap: int) -> tuple[Rect, list[Rect]]:
    width, height = _wide(area.width * share, area.height * SMALL_AT_MOST)
    large = Rect(area.left, area.top, max(1, area.width - width - gap), area.height)
    strip = Rect(area.right - width, area.top, width, area.height)
    count = min(others, max(1, (area.height + gap) // (height + gap)))
    return large, _rows(strip, count, 1, (width, height), gap)


def _strip_below(area: Rect, share: float, others: int, gap: int) -> tuple[Rect, list[Rect]]:
    width, height = _wide(area.width * SMALL_AT_MOST, area.height * share)
    large = Rect(area.left, area.top, area.width, max(1, area.height - height - gap))
    strip = Rect(area.left, area.bottom - height, area.width, height)
    count = min(others, max(1, (area.width + gap) // (width + gap)))
    return large, _rows(strip, count, count, (width, height), gap)
