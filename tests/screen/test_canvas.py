"""Painting: opaque, see-through, cut off at the edges, round at the corners; colours that can be read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from appliance.screen.canvas import Canvas, Pixels, Sprite, ground, sprite, tinted
from appliance.screen.layouts import Rect
from appliance.screen.palette import INK, PEOPLE, SURFACE, between, colour_of


def plain(width: int = 20, height: int = 10, light: int = 100) -> Pixels:
    return np.full((height, width, 3), light, np.uint8)


def half_white(width: int, height: int) -> Sprite:
    return tinted(Image.new("L", (width, height), 128), (255, 255, 255))


def test_a_sprite_lets_through_what_it_does_not_cover() -> None:
    canvas = Canvas(plain())
    canvas.lay(half_white(4, 4), 2, 2)
    assert canvas.pixels[3, 3].tolist() == [178] * 3, "100 and 255, half and half"
    assert canvas.pixels[3, 6].tolist() == [100] * 3


def test_an_opaque_sprite_has_its_colour_to_the_last_bit_and_a_clear_one_changes_nothing() -> None:
    canvas = Canvas(plain())
    canvas.lay(sprite(Image.new("RGBA", (20, 5), (1, 254, 77, 255))), 0, 0)
    canvas.lay(sprite(Image.new("RGBA", (20, 5), (9, 9, 9, 0))), 0, 5)
    assert (canvas.pixels[:5] == (1, 254, 77)).all()
    assert (canvas.pixels[5:] == 100).all()


@pytest.mark.parametrize("place", [(-2, -2), (18, 8), (-30, 0), (0, 40), (-3, 4)])
def test_what_sticks_out_is_cut_off(place: tuple[int, int]) -> None:
    canvas = Canvas(plain())
    canvas.lay(half_white(4, 4), *place)
    x, y = place
    expected = {(row, column) for row in range(y, y + 4) for column in range(x, x + 4)}
    changed = {(int(row), int(column)) for row, column in np.argwhere(canvas.pixels[..., 0] != 100)}
    assert changed == {
        (row, column) for row, column in expected if 0 <= row < 10 and 0 <= column < 20
    }


def test_round_corners_bring_the_ground_back() -> None:
    canvas = Canvas(plain(40, 40))
    rect = Rect(5, 5, 30, 30)
    corners = canvas.corners(rect, 8)
    canvas.fill(rect, (255, 255, 255))
    corners.round()
    for row, column in ((5, 5), (5, 34), (34, 5), (34, 34)):
        assert canvas.pixels[row, column, 0] == 100
    assert canvas.pixels[20, 5, 0] == canvas.pixels[5, 20, 0] == 255
    assert np.array_equal(canvas.pixels, canvas.pixels[::-1, ::-1]), "all four alike"


def test_round_corners_fit_into_the_smallest_tile() -> None:
    canvas = Canvas(plain())
    corners = canvas.corners(Rect(3, 3, 2, 2), 50)
    canvas.fill(Rect(3, 3, 2, 2), (0, 0, 0))
    corners.round()


def test_the_ground_has_no_bands() -> None:
    pixels = ground(64, 480, (20, 20, 20), (10, 10, 10))
    steps = np.abs(np.diff(pixels[:, :, 0].astype(int).mean(axis=1)))
    assert steps.max() < 0.8, "between two lines the light changes by less than a whole step"


def luminance(colour: tuple[int, ...]) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [part / 255 for part in colour]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", [*PEOPLE, SURFACE])
def test_letters_are_legible_on_every_colour(colour: tuple[int, int, int]) -> None:
    contrast = (luminance(INK) + 0.05) / (luminance(colour) + 0.05)
    assert contrast >= 4.5


def test_a_person_keeps_its_colour() -> None:
    assert colour_of("alice") == colour_of("alice")
    assert len({colour_of(f"user-{number}") for number in range(60)}) == len(PEOPLE)
    assert between((0, 0, 0), (100, 200, 50), 0.5) == (50, 100, 25)
