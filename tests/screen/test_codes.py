"""A code on the screen: each module where it belongs, and nothing but whole pixels."""

from __future__ import annotations

import numpy as np
import segno

from appliance.screen.canvas import Canvas
from appliance.screen.codes import QUIET, code
from appliance.screen.layouts import Rect

LINK = "https://front-door.local:8443/#pair=" + "x" * 300


def drawn(width: int, height: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    canvas = Canvas(np.full((height, width, 3), 77, np.uint8))
    code(canvas, LINK, Rect(0, 0, width, height))
    return canvas.pixels


def test_every_module_is_read_back_from_the_middle_of_its_square() -> None:
    pixels = drawn(800, 480)
    made = segno.make_qr(LINK, error="l", boost_error=False)
    rows = [list(row) for row in made.matrix_iter(border=QUIET)]
    scale = 480 // len(rows)
    left, top = (800 - scale * len(rows)) // 2, (480 - scale * len(rows)) // 2
    read = pixels[top + scale // 2 :: scale, left + scale // 2 :: scale, 0][
        : len(rows), : len(rows)
    ]
    assert np.array_equal(read == 0, np.array(rows, bool))
    assert {0, 77, 255} == set(np.unique(pixels))


def test_on_a_screen_that_is_too_small_there_is_none() -> None:
    assert set(np.unique(drawn(40, 40))) == {77}
