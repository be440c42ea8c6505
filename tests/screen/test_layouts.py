"""Where tiles stand: on the screen, beside one another, everybody, and the main one largest."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.model import Layout, MainVideoContainer, Situation, View
from appliance.screen.layouts import MOST_TILES, Plan, Rect, arranged, key_of, plan
from tests.screen.gallery import crowd, idle, this_device, tile, view

sizes = st.tuples(st.integers(160, 3840), st.integers(120, 2160))


@st.composite
def views(draw: st.DrawFn, most: int = 24) -> View:
    """Any conversation, in any layout."""
    count = draw(st.integers(1, most))
    others = [
        tile(number, screen=draw(st.booleans()), video=draw(st.booleans()))
        for number in range(count - 1)
    ]
    return view(
        *others,
        this_device(),
        layout=draw(st.sampled_from(Layout)),
        main=draw(st.none() | st.integers(0, count - 1)),
        participant_list_visible=draw(st.booleans()),
        picture_in_picture=draw(st.booleans()),
        container=MainVideoContainer(fit=draw(st.sampled_from(["contain", "cover"]))),
    )


def rectangles(placed: Plan) -> list[Rect]:
    panel_and_more = [one for one in (placed.panel, placed.more) if one is not None]
    return [one.rect for one in placed.tiles] + panel_and_more


def overlap(one: Rect, other: Rect) -> bool:
    return (
        one.left < other.right
        and other.left < one.right
        and one.top < other.bottom
        and other.top < one.bottom
    )


@given(views(), sizes)
def test_everything_lies_on_the_screen_and_nothing_on_something_else(
    shown: View, size: tuple[int, int]
) -> None:
    placed = plan(shown, *size)
    assert placed.tiles
    for rect in rectangles(placed):
        assert rect.width > 0
        assert rect.height > 0
        assert rect.left >= 0
        assert rect.right <= size[0]
        assert rect.top >= 0
        assert rect.bottom <= size[1]
    for one, other in combinations(rectangles(placed), 2):
        assert not overlap(one, other)


@given(views(most=MOST_TILES), sizes)
def test_in_tile_everybody_has_a_place_of_the_same_size(shown: View, size: tuple[int, int]) -> None:
    if shown.layout is not Layout.TILE or shown.picture_in_picture:
        return
    placed = plan(shown, *size)
    assert [one.tile for one in placed.tiles] == list(shown.tiles)
    assert len({(one.rect.width, one.rect.height) for one in placed.tiles}) == 1
    assert placed.hidden == 0


@given(views(), sizes)
def test_nobody_is_lost_without_being_counted(shown: View, size: tuple[int, int]) -> None:
    placed = plan(shown, *size)
    if shown.layout is Layout.SINGLE or shown.picture_in_picture:
        assert len(placed.tiles) == 1
    else:
        assert len(placed.tiles) + placed.hidden == len(shown.tiles)
        assert (placed.hidden > 0) == (placed.more is not None)


@given(views(), sizes)
def test_in_a_spotlight_the_main_one_is_the_largest(shown: View, size: tuple[int, int]) -> None:
    placed = plan(shown, *size)
    if shown.layout is not Layout.SPOTLIGHT or len(placed.tiles) < 2:
        return
    main, *others = placed.tiles
    assert main.main
    assert not any(other.main for other in others)
    if shown.main is not None:
        assert main.tile == shown.tiles[shown.main]
    area = main.rect.width * main.rect.height
    assert all(other.rect.width * other.rect.height < area for other in others)


@pytest.mark.parametrize("size", [(160, 2160), (3840, 120), (240, 800)])
def test_a_lonely_small_one_stays_small_on_a_narrow_screen(size: tuple[int, int]) -> None:
    main, small = (it.rect for it in plan(view(*crowd(1)), *size).tiles)
    assert small.width * 2 < main.width


def test_the_grid_makes_the_tiles_as_large_as_they_can_be() -> None:
    placed = plan(view(*crowd(3), layout=Layout.TILE), 800, 480)
    (width, height) = placed.tiles[0].rect.width, placed.tiles[0].rect.height
    assert len({one.rect.left for one in placed.tiles}) == 2, "two by two"
    assert width / height == pytest.approx(16 / 9, abs=0.02)
    assert 2 * width + 3 * placed.gap > 795 or 2 * height + 3 * placed.gap > 475


def test_there_is_the_same_margin_between_all_tiles() -> None:
    placed = plan(view(*crowd(5), layout=Layout.TILE), 800, 480)
    one, two, *_ = (it.rect for it in placed.tiles)
    below = next(it.rect for it in placed.tiles if it.rect.top > one.top)
    assert two.left - one.right == below.top - one.bottom == placed.gap


def test_single_fills_the_screen_with_one() -> None:
    (only,) = plan(view(*crowd(3), layout=Layout.SINGLE, main=2), 800, 480).tiles
    assert only.rect == Rect(0, 0, 800, 480)
    assert only.tile.participant.uid == "user-2"


def test_without_a_main_one_it_is_the_first_of_the_others() -> None:
    placed = plan(view(this_device(), tile(1), tile(2), main=None), 800, 480)
    assert placed.tiles[0].tile.participant.uid == "user-1"
    alone = plan(view(this_device(), main=None, layout=Layout.SINGLE), 800, 480)
    assert alone.tiles[0].tile.own


def test_a_share_of_this_device_itself_is_not_drawn() -> None:
    own_share = this_device(screen_sharing=True)
    share = type(own_share)(own_share.participant, screen=True, own=True)
    for layout in Layout:
        placed = plan(view(share, *crowd(2), layout=layout, main=0), 800, 480)
        assert share not in [one.tile for one in placed.tiles]
        assert placed.tiles[0].tile.participant.uid == "user-0", "another one is large instead"
    assert not plan(view(share), 800, 480).tiles


def test_faces_may_be_cut_where_that_is_wanted_and_a_shared_screen_never() -> None:
    cover = MainVideoContainer(fit="cover")
    face = plan(view(*crowd(2), container=cover), 800, 480)
    assert face.tiles[0].fit == "cover"
    assert plan(view(*crowd(2)), 800, 480).tiles[0].fit == "contain"
    screen = plan(view(tile(1, screen=True), *crowd(2), container=cover), 800, 480)
    assert screen.tiles[0].fit == "contain"
    assert {one.fit for one in face.tiles[1:]} == {"cover"}, "the small ones fill their places"
    small = plan(view(*crowd(2), tile(1, screen=True)), 800, 480).tiles[-1]
    assert (small.tile.screen, small.fit) == (True, "contain")


def test_the_name_on_the_large_picture_can_be_switched_off() -> None:
    bare = MainVideoContainer(name_label=False)
    placed = plan(view(*crowd(2), container=bare), 800, 480)
    assert [one.label for one in placed.tiles] == [False, True, True]


def test_the_list_of_participants_takes_its_place_from_the_tiles() -> None:
    for layout in Layout:
        placed = plan(view(*crowd(4), layout=layout, participant_list_visible=True), 800, 480)
        assert placed.panel is not None
        assert all(one.rect.right <= placed.panel.left for one in placed.tiles)


def test_nothing_stands_on_an_idle_or_a_ringing_screen() -> None:
    assert not plan(idle(), 800, 480).tiles
    ringing = view(*crowd(1), situation=Situation.RINGING_IN)
    assert not plan(ringing, 800, 480).tiles


def test_tiles_stand_as_somebody_arranged_them_and_newcomers_behind() -> None:
    shown = view(*crowd(3), layout=Layout.TILE)
    order = [key_of(shown.tiles[2]), key_of(shown.tiles[0])]
    uids = [one.participant.uid for one in arranged(shown, order)]
    assert uids == ["user-2", "user-0", "user-1", "front-door"]
    placed = plan(shown, 800, 480, order)
    assert [one.tile.participant.uid for one in placed.tiles] == uids


def test_a_point_is_on_a_tile_or_on_none() -> None:
    placed = plan(view(*crowd(1), layout=Layout.TILE), 800, 480)
    rect = placed.tiles[1].rect
    assert placed.at(rect.left, rect.top) is placed.tiles[1]
    assert placed.at(rect.left - 1, rect.top) is not placed.tiles[1]
    assert placed.at(rect.right, rect.bottom) is None
