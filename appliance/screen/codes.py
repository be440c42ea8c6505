"""A QR code in the middle of the screen, as large as fits and whole pixels allow."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import numpy as np

from appliance.screen.canvas import Canvas, Pixels
from appliance.screen.layouts import Rect

QUIET = 4
"""Modules of light around it, as ISO/IEC 18004 wants them."""


def code(canvas: Canvas, text: str, screen: Rect) -> None:
    """Draw it, black on white whatever lies below; nothing where it does not fit."""
    modules = _modules(text)
    scale = min(screen.width, screen.height) // len(modules)
    if scale < 1:
        return
    picture = np.kron(modules, np.ones((scale, scale), np.uint8))
    place = screen.middle(len(picture), len(picture))
    canvas.put(cast("Pixels", np.repeat(picture[..., None], 3, axis=2)), place.left, place.top)


@lru_cache(maxsize=1)
def _modules(text: str) -> Pixels:
    """0 where it is dark and 255 where it is light, the quiet zone included."""
    import segno  # seldom needed

    made = segno.make_qr(text, error="l", boost_error=False)
    dark = np.array([list(row) for row in made.matrix_iter(border=QUIET)], bool)
    return np.where(dark, 0, 255).astype(np.uint8)
