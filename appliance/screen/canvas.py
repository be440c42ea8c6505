"""What is painted on: RGB pixels in a numpy array, with opaque pictures and see-through sprites."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from appliance.screen.layouts import Rect
from appliance.screen.palette import Colour

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""A picture: (height, width, 3), red, green, blue."""
Wide: TypeAlias = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A small picture with soft edges, ready to be laid over others."""

    light: Wide
    """Colour times alpha, (height, width, 3),"""
    rest: Wide
    """and what shines through, 255 - alpha: (height, width, 1)."""

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.rest.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.rest.shape[0])


def sprite(image: Image.Image) -> Sprite:
    """What Pillow drew, in any mode with an alpha."""
    pixels = np.asarray(image.convert("RGBA")).astype(np.uint16)
    alpha = pixels[..., 3:]
    return Sprite(pixels[..., :3] * alpha, 255 - alpha)


def tinted(mask: Image.Image, colour: Colour) -> Sprite:
    """A mask (mode L) in one colour."""
    alpha = np.asarray(mask).astype(np.uint16)[..., None]
    return Sprite(alpha * np.array(colour, np.uint16), 255 - alpha)


class Canvas:
    """One picture while it is painted."""

    def __init__(self, pixels: Pixels) -> None:
        """Paint on these, which become the picture."""
        self.pixels = pixels

    def fill(self, rect: Rect, colour: Colour) -> None:
        """One colour all over."""
        self._part(rect)[:] = colour

    def put(self, picture: Pixels, left: int, top: int) -> None:
        """An opaque picture; it must lie inside."""
        height, width = picture.shape[:2]
        self.pixels[top : top + height, left : left + width] = picture

    def lay(self, over: Sprite, left: int, top: int) -> None:
        """A sprite over what is there; what sticks out is cut off."""
        height, width = self.pixels.shape[:2]
        x, y = max(0, left), max(0, top)
        right, bottom = min(width, left + over.width), min(height, top + over.height)
        if x >= right or y >= bottom:
            return
        part = self.pixels[y:bottom, x:right]
        inside = slice(y - top, bottom - top), slice(x - left, right - left)
        part[:] = (part * over.rest[inside] + over.light[inside] + 127) // 255

    def lay_middle(self, over: Sprite, rect: Rect) -> None:
        """A sprite in the middle of a rectangle."""
        place = rect.middle(over.width, over.height)
        self.lay(over, place.left, place.top)

    def dim(self, rect: Rect) -> None:
        """Take two thirds of the light away."""
        part = self._part(rect)
        part[:] = part // 3

    def corners(self, rect: Rect, radius: int) -> RoundCorners:
        """Remember what lies under the corners of something that is painted there next."""
        return RoundCorners(self._part(rect), radius)

    def _part(self, rect: Rect) -> Pixels:
        return self.pixels[rect.top : rect.bottom, rect.left : rect.right]


class RoundCorners:
    """Gives a painted rectangle round corners: only four small squares cost anything."""

    def __init__(self, part: Pixels, radius: int) -> None:
        """Before it is painted: keep the ground."""
        radius = max(1, min(radius, part.shape[0] // 2, part.shape[1] // 2))
        inner = _quarter(radius)
        start, end = slice(None, radius), slice(-radius, None)
        self._squares = [
            (part[start, start], inner),
            (part[start, end], inner[:, ::-1]),
            (part[end, start], inner[::-1]),
            (part[end, end], inner[::-1, ::-1]),
        ]
        self._ground = [square.copy() for square, _ in self._squares]

    def round(self) -> None:
        """After it was painted: bring the ground back outside of the arcs."""
        for (square, inner), ground in zip(self._squares, self._ground, strict=True):
            square[:] = (square * inner + ground * (255 - inner) + 127) // 255


@lru_cache(maxsize=32)
def _quarter(radius: int) -> Wide:
    """How much of each pixel lies inside an arc around the bottom right corner, 0 to 255."""
    steps = radius - np.arange(radius) - 0.5
    distance = np.hypot(steps[:, None], steps[None])
    inside = np.clip(radius - distance + 0.5, 0, 1) * 255
    return cast("Wide", inside.astype(np.uint16)[..., None])


@lru_cache(maxsize=4)
def ground(width: int, height: int, top: Colour, bottom: Colour) -> Pixels:
    """A gradient from top to bottom, without the bands that 8 bit would show."""
    share = np.linspace(0, 1, height)[:, None]
    column = np.array(top) * (1 - share) + np.array(bottom) * share
    # an ordered dither: the error is spread over neighbouring pixels, and the same at every start
    grain = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16
    spread = np.tile(grain, (height // 4 + 1, width // 4 + 1))[:height, :width]
    return cast("Pixels", (column[:, None] + spread[..., None]).astype(np.uint8))
