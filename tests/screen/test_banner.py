"""What a visitor is told on the screen: in one or two lines, with contrast, over nothing that matters."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from appliance.model import Layout, Notice, Situation, View
from appliance.prompts import LANGUAGES, words_of
from appliance.screen.banner import GROUNDS, LEAST_SHARE, _set, place
from appliance.screen.canvas import Pixels
from appliance.screen.compositor import Compositor, Stage
from appliance.screen.layouts import Rect
from appliance.screen.lettering import length
from appliance.screen.palette import BEHIND, Colour
from tests.screen.gallery import NOON, SIZES, ringing_out

IDLE = View(Situation.IDLE, Layout.SPOTLIGHT, False, False)


def drawn(view: View, size: tuple[int, int] = (800, 480), language: str = "en") -> Pixels:
    return Compositor(*size, "Front door", language).compose(Stage(view, {}), NOON)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("notice", Notice)
def test_every_notice_has_room_in_every_language(
    size: tuple[int, int], language: str, notice: Notice
) -> None:
    px, lines = _set(words_of(notice, language), *size)
    assert " ".join(lines) == words_of(notice, language), "all of it"
    assert len(lines) <= 2
    assert px >= LEAST_SHARE * size[1]
    assert all(length(line, px, bold=True) <= size[0] for line in lines)
    where = place(notice, language, Rect(0, 0, *size))
    assert where.bottom == size[1]
    assert where.height < 0.4 * size[1]


@pytest.mark.parametrize("notice", Notice)
def test_the_letters_have_contrast(notice: Notice) -> None:
    assert contrast(GROUNDS[notice], BEHIND) >= 7


def contrast(light: Colour, dark: Colour) -> float:
    """WCAG 2.2, of relative luminances."""

    def luminance(colour: Colour) -> float:
        parts = np.array(colour) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    return (luminance(light) + 0.05) / (luminance(dark) + 0.05)


def test_it_is_drawn_in_its_colour_below_the_scene_and_not_over_it() -> None:
    told = replace(IDLE, notice=Notice.DOOR_OPEN)
    picture = drawn(told)
    top = place(Notice.DOOR_OPEN, "en", Rect(0, 0, 800, 480)).top
    assert tuple(picture[top + 1, 3]) == GROUNDS[Notice.DOOR_OPEN]
    assert tuple(picture[top - 1, 3]) == tuple(drawn(IDLE)[top - 1, 3])
    letters = (picture[top:] == BEHIND).all(axis=2)
    assert 0.03 < letters.mean() < 0.3
    assert not np.array_equal(drawn(told, language="de")[top:], picture[top:])


def test_a_call_that_rings_still_shows_whom() -> None:
    view = replace(ringing_out(), notice=Notice.IT_IS_RINGING)
    top = place(Notice.IT_IS_RINGING, "en", Rect(0, 0, 800, 480)).top
    above = drawn(view)[:top]
    ink = (above.max(axis=2) > 200).any(axis=1)
    assert ink.any()
    assert not ink[-4:].any(), "nothing is cut off by it"
