"""What the screen costs: one composed picture of 800 x 480, against scaling a single camera picture."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from appliance.model import Layout, View
from appliance.screen.canvas import Pixels
from appliance.screen.compositor import Compositor, Stage, scaled
from appliance.screen.layouts import Key, key_of
from tests.bench.table import Row
from tests.screen.gallery import DEVICE, NOON, idle, this_device, tile, view

SIZE = (800, 480)
CAMERA = (640, 360)
PICTURES = 60


def median_ms(work: Callable[[int], object]) -> float:
    """Of one go, after a first that fills what is kept."""
    work(0)
    took = []
    for number in range(1, PICTURES + 1):
        start = time.perf_counter()
        work(number)
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1000


def run() -> list[Row]:
    """Four in tiles, of whom all or one have moved; one large; and the clock alone."""
    rng = np.random.default_rng(1)
    shots = [rng.integers(0, 255, (*CAMERA[::-1], 3), np.uint8) for _ in range(8)]
    four = [tile(number) for number in range(3)]
    tiles = view(*four, this_device(), layout=Layout.TILE)
    spotlight = view(*four, this_device())
    one = median_ms(lambda number: scaled(shots[number % 8], 388, 218, "cover"))

    def composing(shown: View, moving: int) -> float:
        maker, cameras = Compositor(*SIZE, DEVICE), dict[Key, Pixels]()

        def compose(number: int) -> None:
            for place, it in enumerate(shown.tiles):
                if number == 0 or place < moving:
                    cameras[key_of(it)] = shots[(number + place) % 8]
            maker.compose(Stage(shown, dict(cameras)), NOON)

        return median_ms(compose)

    return [
        Row("scaling one picture, 640x360 to a quarter", one, "ms"),
        Row("composing 4 tiles, all new", composing(tiles, 4), "ms", 4 * one, 1.5, "against 4"),
        Row("composing 4 tiles, one new", composing(tiles, 1), "ms", 4 * one, 1.0, "against 4"),
        Row("composing a spotlight of 4, all new", composing(spotlight, 4), "ms"),
        Row("composing the idle screen", composing(idle(), 0), "ms"),
    ]
