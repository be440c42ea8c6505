"""What a finger or a mouse does on the screen: a tap on a tile, or a tile dragged onto another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.model import Tile
from appliance.screen.layouts import Key, Plan, key_of

SLIP_GAPS = 2
"""How far a tap may slip, in margins of the screen, before it is a drag."""


class Gesture(StrEnum):
    """What a finger does."""

    PRESS = "press"
    MOVE = "move"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Pointer:
    """A finger or a mouse with its button down, in pixels of the composed picture."""

    gesture: Gesture
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Tapped:
    """A tile was tapped."""

    tile: Tile


@dataclass(frozen=True, slots=True)
class Swapped:
    """A tile was dragged onto another: the two change places."""

    one: Tile
    other: Tile


class Touch:
    """One finger, from its press to its release."""

    def __init__(self, *, click: bool = True, drag: bool = True) -> None:
        """What is allowed: `enable_video_tile_click` and `enable_video_tile_drag`."""
        self.click, self.drag = click, drag
        self._start: Pointer | None = None
        self._tile: Tile | None = None
        self.held: Key | None = None
        """The tile that is being dragged."""

    def take(self, plan: Plan, pointer: Pointer) -> Tapped | Swapped | None:
        """What the finger has done on this screen, once that is decided: with its release."""
        match pointer.gesture:
            case Gesture.PRESS:
                placed = plan.at(pointer.x, pointer.y)
                self._start, self._tile = pointer, placed.tile if placed else None
                self.held = None
            case Gesture.MOVE:
                self._move(plan, pointer)
            case Gesture.RELEASE:
                self._move(plan, pointer)
                return self._release(plan, pointer)
        return None

    def _move(self, plan: Plan, pointer: Pointer) -> None:
        """Beyond a small distance it drags."""
        if self._start is None or self._tile is None or not self.drag or len(plan.tiles) < 2:
            return
        far = max(abs(pointer.x - self._start.x), abs(pointer.y - self._start.y))
        if far > SLIP_GAPS * plan.gap:
            self.held = key_of(self._tile)

    def _release(self, plan: Plan, pointer: Pointer) -> Tapped | Swapped | None:
        tile, held = self._tile, self.held
        self._start = self._tile = self.held = None
        placed = plan.at(pointer.x, pointer.y)
        if tile is None or placed is None:
            return None
        if key_of(placed.tile) == key_of(tile):
            return Tapped(tile) if self.click and held is None else None
        return Swapped(tile, placed.tile) if held is not None else None


def swapped(order: list[Key], one: Key, other: Key) -> tuple[Key, ...]:
    """The order with two of it exchanged."""
    places = {one: other, other: one}
    return tuple(places.get(key, key) for key in order)
