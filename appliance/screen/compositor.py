"""Composes one picture of the whole screen, from a view, the latest pictures and the time of day.

It is called from one thread only. What is drawn again and again (letters, symbols, avatars, scaled
pictures) is kept, so that a new picture of one participant costs scaling that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from PIL import Image

from appliance.model import Situation, Tile, View
from appliance.screen import scenes, words
from appliance.screen.banner import banner, place
from appliance.screen.canvas import Canvas, Pixels, ground
from appliance.screen.codes import code
from appliance.screen.layouts import Fit, Key, Placed, Plan, Rect, key_of, plan
from appliance.screen.lettering import text
from appliance.screen.marks import Mark, avatar, label, pill, state
from appliance.screen.palette import (
    BEHIND,
    BLUE,
    GROUND_BOTTOM,
    GROUND_TOP,
    INK,
    RED,
    SURFACE,
)
from appliance.screen.people import panel
from appliance.screen.symbols import Symbol

REDUCING_GAP = 1.5
"""How much larger than wanted Pillow reduces a picture by whole numbers, before it scales it smoothly:
half of the time of scaling all of it, and no difference that one sees."""

MARKED: dict[Situation, Mark] = {
    Situation.RECONNECTING: (Symbol.RECONNECTING, INK),
    Situation.ON_HOLD: (Symbol.HOLD, INK),
    Situation.RECORDING: (Symbol.RECORDING, RED),
    Situation.MUTED: (Symbol.MUTED, RED),
}
"""What the device is about during a call, if it is to be said."""


@dataclass(frozen=True, slots=True)
class Stage:
    """All that a picture depends on, besides the time of day."""

    view: View
    pictures: Mapping[Key, Pixels]
    """The latest of each; this device's own under its tile's key."""
    order: Sequence[Key] = ()
    held: Key | None = None
    """The tile that somebody drags."""
    code: str | None = None
    """What is to be scanned from the screen, while there is no call."""


class Compositor:
    """Draws pictures of one size."""

    def __init__(self, width: int, height: int, name: str, language: str = "en") -> None:
        """`name` is the device's, for the idle screen; `language` that of what a visitor is told."""
        self.width, self.height = width, height
        self._name, self._language = name, language
        self._scaled: dict[Key, _Scaled] = {}

    def compose(self, stage: Stage, now: datetime) -> Pixels:
        """A new picture, (height, width, 3); `now` is local time."""
        view = stage.view
        canvas = Canvas(ground(self.width, self.height, GROUND_TOP, GROUND_BOTTOM).copy())
        placed = plan(view, self.width, self.height, stage.order)
        screen = placed.screen
        if view.notice is not None and not placed.tiles:  # nothing else stands behind it
            free = screen.height - place(view.notice, self._language, screen).height
            placed = replace(placed, screen=Rect(screen.left, screen.top, screen.width, free))
        if view.call is not None and scenes.is_waiting(view):
            scenes.waiting(canvas, placed, view, view.call)
        elif not placed.tiles:
            scenes.idle(canvas, placed, view, self._name, now)
        else:
            if view.picture_in_picture:
                scenes.idle(canvas, placed, view, self._name, now)
            self._conversation(canvas, placed, stage)
        if stage.code is not None and view.call is None and not placed.tiles:
            code(canvas, stage.code, placed.screen)
        if view.notice is not None:
            banner(canvas, view.notice, self._language, screen)
        self._forget_all_but({key_of(one.tile) for one in placed.tiles})
        return canvas.pixels

    # -------------------- a conversation

    def _conversation(self, canvas: Canvas, placed: Plan, stage: Stage) -> None:
        view = stage.view
        for one in placed.tiles:
            self._tile(canvas, one, placed, stage)
        if placed.more is not None:
            self._more(canvas, placed.more, placed)
        if placed.panel is not None:
            panel(canvas, placed, placed.panel, view.tiles)
        mark = MARKED.get(view.situation)
        if mark is not None and not view.picture_in_picture:
            area, gap = placed.area, 2 * placed.gap
            said = words.SITUATIONS[view.situation]
            px, width = placed.text_px, area.width - 2 * gap
            left, top = area.right - gap, area.top + gap
            pill(canvas, left, top, said, px, marks=(mark,), width=width, from_right=True)

    def _tile(self, canvas: Canvas, placed: Placed, whole: Plan, stage: Stage) -> None:
        tile, rect = placed.tile, placed.rect
        if key_of(tile) == stage.held and placed.rounded:
            frame = rect.inset(-max(2, whole.gap // 3))
            around = canvas.corners(frame, round(whole.gap * 1.4))
            canvas.fill(frame, BLUE)
            around.round()
        corners = canvas.corners(rect, round(whole.gap * 1.2)) if placed.rounded else None
        picture = stage.pictures.get(key_of(tile)) if _has_picture(tile) else None
        if picture is None:
            avatar(canvas, placed, stage.view.avatar_mode, whole.text_px)
        else:
            self._picture(canvas, rect, key_of(tile), picture, placed.fit)
        state(canvas, rect, tile.participant, whole.text_px)
        label(canvas, placed, whole.text_px)
        if corners is not None:
            corners.round()

    def _more(self, canvas: Canvas, rect: Rect, whole: Plan) -> None:
        corners = canvas.corners(rect, round(whole.gap * 1.2))
        canvas.fill(rect, SURFACE)
        corners.round()
        px = max(8, min(round(rect.height * 0.3), whole.text_px * 2))
        said = words.MORE.format(count=whole.hidden)
        canvas.lay_middle(text(said, px, bold=True, width=rect.width), rect)

    # -------------------- pictures

    def _picture(self, canvas: Canvas, rect: Rect, key: Key, picture: Pixels, fit: Fit) -> None:
        known = self._scaled.get(key)
        if known is None or known.source is not picture or known.wanted != (rect, fit):
            known = _Scaled(picture, (rect, fit), scaled(picture, rect.width, rect.height, fit))
            self._scaled[key] = known
        height, width = known.pixels.shape[:2]
        if (width, height) != (rect.width, rect.height):
            canvas.fill(rect, BEHIND)
        inner = rect.middle(width, height)
        canvas.put(known.pixels, inner.left, inner.top)

    def _forget_all_but(self, shown: set[Key]) -> None:
        for key in self._scaled.keys() - shown:
            del self._scaled[key]


@dataclass(frozen=True, slots=True, eq=False)
class _Scaled:
    source: Pixels
    wanted: tuple[Rect, Fit]
    pixels: Pixels


def _has_picture(tile: Tile) -> bool:
    """Whether a picture may be shown: a screen is not paused by the camera's button."""
    return tile.video and (tile.screen or not tile.participant.video_paused)


def scaled(picture: Pixels, width: int, height: int, fit: Fit) -> Pixels:
    """A picture as large as fits into a box (contain), or that fills it, cut at the edges (cover)."""
    high, wide = picture.shape[:2]
    if fit == "contain":
        scale = min(width / wide, height / high)
        size, box = (max(1, round(wide * scale)), max(1, round(high * scale))), None
    else:
        scale = max(width / wide, height / high)
        # not a hair beyond the edges, as floating point would have it
        across, down = min(wide, width / scale), min(high, height / scale)
        left, top = (wide - across) / 2, (high - down) / 2
        size, box = (width, height), (left, top, left + across, top + down)
    size = min(size[0], width), min(size[1], height)
    image = Image.fromarray(picture)
    small = image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=REDUCING_GAP)
    return np.asarray(small)
