"""Whole screens, looked at by their pixels: who is seen where, and what stands on it."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.model import (
    AvatarMode,
    Callee,
    CalleeState,
    CallState,
    Layout,
    MainVideoContainer,
    ParticipantState,
    Situation,
    View,
)
from appliance.screen import compositor, scenes, words
from appliance.screen.canvas import Pixels
from appliance.screen.compositor import Compositor, Stage, scaled
from appliance.screen.layouts import Fit, Plan, Rect, key_of, plan
from appliance.screen.marks import marks_of
from appliance.screen.palette import AMBER, BLUE, GREEN, INK, RED, Colour, colour_of
from appliance.screen.symbols import DRAWN, Symbol, symbol
from tests.screen.gallery import (
    DEVICE,
    NOON,
    call,
    composed,
    crowd,
    idle,
    pictures,
    ringing_out,
    this_device,
    tile,
    view,
)
from tests.screen.gallery import scenes as all_scenes

SIZE = (800, 480)
GREY = np.full((360, 640, 3), 200, np.uint8)


def flat(shown: View, *, light: int = 200) -> Pixels:
    """A screen whose cameras all see one grey."""
    grey = np.full((360, 640, 3), light, np.uint8)
    stage = Stage(shown, {key_of(one): grey for one in shown.tiles if one.video})
    return Compositor(*SIZE, DEVICE).compose(stage, NOON)


def part(picture: Pixels, rect: Rect) -> Pixels:
    return picture[rect.top : rect.bottom, rect.left : rect.right]


def has(picture: Pixels, colour: Colour, least: int = 10) -> bool:
    """Whether a colour is seen in it, in some pixels at least."""
    return int((np.abs(picture.astype(int) - colour).max(axis=2) < 12).sum()) >= least


def placed(shown: View) -> Plan:
    return plan(shown, *SIZE)


# -------------------- everything, in every size


@pytest.mark.parametrize("name", all_scenes())
@pytest.mark.parametrize("size", [(160, 120), (240, 320), (800, 480)])
def test_every_scene_can_be_composed(name: str, size: tuple[int, int]) -> None:
    picture = composed(all_scenes()[name], *size)
    assert picture.shape == (size[1], size[0], 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 5, "there is something to be seen"


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.sampled_from(["contain", "cover"]),
)
def test_pictures_of_any_size_fit_any_tile(
    source: tuple[int, int], wanted: tuple[int, int], fit: Fit
) -> None:
    result = scaled(np.zeros((*source, 3), np.uint8), *wanted, fit)
    height, width = result.shape[:2]
    if fit == "cover":
        assert (width, height) == wanted
    else:
        assert width == wanted[0] or height == wanted[1]
        assert width <= wanted[0]
        assert height <= wanted[1]


# -------------------- pictures


def test_each_picture_is_in_its_tile() -> None:
    shown = view(*crowd(3)[:3], layout=Layout.TILE)
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]
    cameras = {
        key_of(one): np.full((90, 160, 3), colour, np.uint8)
        for one, colour in zip(shown.tiles, colours, strict=True)
    }
    picture = Compositor(*SIZE, DEVICE).compose(Stage(shown, cameras), NOON)
    for one, colour in zip(placed(shown).tiles, colours, strict=True):
        middle = one.rect.top + one.rect.height // 2, one.rect.left + one.rect.width // 2
        assert picture[middle].tolist() == list(colour)


def test_contain_shows_all_of_a_picture_and_cover_fills_its_place() -> None:
    square = np.full((300, 300, 3), 250, np.uint8)
    for fit, all_bright in (("contain", False), ("cover", True)):
        shown = view(tile(0), layout=Layout.SINGLE, container=MainVideoContainer(fit=fit))
        stage = Stage(shown, {key_of(shown.tiles[0]): square})
        picture = Compositor(*SIZE, DEVICE).compose(stage, NOON)
        assert (picture[240, 5:795] == 250).all() == all_bright
        assert picture[240, 400, 0] == 250


def test_a_new_picture_of_one_scales_only_that_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def counting(picture: Pixels, width: int, height: int, fit: Fit) -> Pixels:
        asked.append((width, height))
        return scaled(picture, width, height, fit)

    monkeypatch.setattr(compositor, "scaled", counting)
    shown = view(*crowd(2), layout=Layout.TILE)
    cameras = pictures(shown)
    maker = Compositor(*SIZE, DEVICE)
    maker.compose(Stage(shown, cameras), NOON)
    assert len(asked) == 3
    cameras[key_of(shown.tiles[1])] = GREY
    picture = maker.compose(Stage(shown, cameras), NOON)
    assert len(asked) == 4
    fresh = Compositor(*SIZE, DEVICE).compose(Stage(shown, cameras), NOON)
    assert np.array_equal(picture, fresh), "and shows what a redraw of everything shows"
    maker.compose(Stage(idle(), {}), NOON)
    assert maker._scaled == {}, "nobody's picture stays behind"


def test_a_composed_picture_is_a_new_one() -> None:
    maker = Compositor(*SIZE, DEVICE)
    first = maker.compose(Stage(idle(), {}), NOON)
    kept = first.copy()
    maker.compose(Stage(view(*crowd(2)), {}), NOON)
    assert np.array_equal(first, kept)


def test_this_devices_own_share_is_not_drawn() -> None:
    share = replace(this_device(screen_sharing=True), screen=True)
    with_share = view(tile(0), this_device(screen_sharing=True), share)
    without = view(tile(0), this_device(screen_sharing=True))
    picture = Compositor(*SIZE, DEVICE).compose(
        Stage(with_share, {key_of(share): np.full((480, 800, 3), 255, np.uint8)}), NOON
    )
    assert np.array_equal(picture, Compositor(*SIZE, DEVICE).compose(Stage(without, {}), NOON))


# -------------------- avatars


@pytest.mark.parametrize("mode", AvatarMode)
def test_an_avatar_stands_for_a_paused_picture(mode: AvatarMode) -> None:
    shown = view(tile(0, video_paused=True), layout=Layout.TILE, avatar_mode=mode)
    picture = flat(shown)
    rect = placed(shown).tiles[0].rect
    covered = (part(picture, rect) == colour_of("user-0")).all(axis=2).mean()
    assert not (part(picture, rect) == 200).all(axis=2).any(), "the last picture is not shown"
    low, high = {
        AvatarMode.CIRCLE: (0.05, 0.2),
        AvatarMode.SQUARE: (0.08, 0.25),
        AvatarMode.FULLSCREEN: (0.7, 1),
    }[mode]
    assert low < covered < high


def test_a_square_avatar_has_corners_and_a_round_one_has_none() -> None:
    covered = []
    for mode in (AvatarMode.CIRCLE, AvatarMode.SQUARE):
        shown = view(tile(0, video=False), layout=Layout.TILE, avatar_mode=mode)
        inked = (flat(shown) == colour_of("user-0")).all(axis=2)
        rows, columns = np.nonzero(inked)
        box = inked[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        covered.append(bool(box[box.shape[0] // 12, box.shape[1] // 12]))
    assert covered == [False, True]


def test_an_avatar_stands_for_a_picture_that_has_not_come_yet() -> None:
    shown = view(tile(0), layout=Layout.TILE)
    picture = Compositor(*SIZE, DEVICE).compose(Stage(shown, {}), NOON)
    assert has(picture, colour_of("user-0"))


def test_a_shared_screen_is_seen_while_the_camera_is_paused() -> None:
    shown = view(tile(0, screen=True, video_paused=True), layout=Layout.TILE)
    rect = placed(shown).tiles[0].rect
    assert (part(flat(shown), rect) == 200).all(axis=2).mean() > 0.7


# -------------------- what stands on a tile


@pytest.mark.parametrize(
    ("about", "colour"),
    [
        ({"audio_muted": True}, RED),
        ({"recording": True}, RED),
        ({"hand_raised": True}, AMBER),
        ({"screen_sharing": True}, BLUE),
    ],
)
def test_what_somebody_is_about_stands_on_the_tile(about: dict[str, bool], colour: Colour) -> None:
    marked, bare = view(tile(0, **about), layout=Layout.TILE), view(tile(0), layout=Layout.TILE)
    assert has(flat(marked), colour)
    assert not has(flat(bare), colour)
    assert [one for _, one in marks_of(marked.tiles[0].participant)] == [colour]


def test_the_name_is_within_its_tile_however_long_it_is() -> None:
    long = view(tile(0, name="W" * 200), tile(2, name="W" * 200), layout=Layout.TILE)
    bare = view(tile(0, name="W"), tile(2, name="W"), layout=Layout.TILE)
    changed = (flat(long) != flat(bare)).any(axis=2)
    for one in placed(long).tiles:
        part(changed, one.rect)[:] = False
    assert not changed.any()


@pytest.mark.parametrize(
    ("about", "said", "dimmed"),
    [
        ({"state": ParticipantState.RECONNECTING}, "Reconnecting …", True),
        ({"on_hold": True}, "On hold", True),
        ({"state": ParticipantState.CONNECTING}, "Connecting …", False),
    ],
)
def test_who_is_neither_seen_nor_heard_is_told_of(
    about: dict[str, object], said: str, dimmed: bool
) -> None:
    shown = view(tile(0, **about), layout=Layout.TILE)
    assert words.state_of(shown.tiles[0].participant) == said
    picture = part(flat(shown), placed(shown).tiles[0].rect)
    middle = picture[picture.shape[0] // 2, picture.shape[1] // 2, 0]
    assert (middle < 100) == dimmed
    plain_picture = part(flat(view(tile(0), layout=Layout.TILE)), placed(shown).tiles[0].rect)
    corner = slice(0, 60), slice(0, 200)
    assert not np.array_equal(picture[corner] // 2, plain_picture[corner] // 2)


def test_a_tile_too_small_for_letters_has_none() -> None:
    shown = view(*crowd(15), layout=Layout.TILE)
    grey = {key_of(one): GREY for one in shown.tiles}
    picture = Compositor(160, 120, DEVICE).compose(Stage(shown, grey), NOON)
    rect = plan(shown, 160, 120).tiles[1].rect
    assert (part(picture, rect.inset(4)) == 200).all()


def test_a_tile_that_is_dragged_has_a_frame() -> None:
    shown = view(*crowd(1), layout=Layout.TILE)
    grey = {key_of(one): GREY for one in shown.tiles}
    held = Stage(shown, grey, held=key_of(shown.tiles[0]))
    assert has(Compositor(*SIZE, DEVICE).compose(held, NOON), BLUE, 200)
    assert not has(Compositor(*SIZE, DEVICE).compose(replace_held(held), NOON), BLUE)


def replace_held(stage: Stage) -> Stage:
    return Stage(stage.view, stage.pictures, stage.order)


def test_those_without_a_place_are_counted() -> None:
    shown = view(*crowd(19), layout=Layout.TILE)
    where = placed(shown)
    assert where.hidden == 5
    assert where.more is not None
    assert has(part(flat(shown), where.more), INK)


# -------------------- the whole screen


@pytest.mark.parametrize(
    ("situation", "colour"), [(Situation.RECORDING, RED), (Situation.MUTED, RED)]
)
def test_what_this_device_is_about_stands_in_the_corner(
    situation: Situation, colour: Colour
) -> None:
    shown = view(tile(0), tile(2), situation=situation)
    corner = Rect(500, 0, 300, 60)
    assert has(part(flat(shown), corner), colour)
    assert not has(part(flat(replace(shown, situation=Situation.IN_CALL)), corner), colour)


def test_the_list_names_everybody_and_this_device() -> None:
    shown = view(*crowd(4), participant_list_visible=True)
    where = placed(shown).panel
    assert where is not None
    panel = part(flat(shown), where)
    for one in shown.tiles:
        assert has(panel, colour_of(one.participant.uid), 100), one.participant.name
    assert has(panel, AMBER), "the raised hand"


def test_the_clock_goes_on_an_idle_screen() -> None:
    maker = Compositor(*SIZE, DEVICE)
    noon = maker.compose(Stage(idle(), {}), NOON)
    assert np.array_equal(noon, maker.compose(Stage(idle(), {}), NOON + timedelta(seconds=2)))
    later = maker.compose(Stage(idle(), {}), NOON + timedelta(minutes=1))
    changed = np.argwhere((noon != later).any(axis=2))
    assert 100 < changed[:, 0].min() <= changed[:, 0].max() < 300, "and nothing but the clock"
    assert words.time_of_day(NOON) == "12:34"
    assert words.day(NOON) == "Saturday, 21 November"


def test_an_idle_screen_tells_what_is_to_be_known() -> None:
    grave = idle(Situation.BROKER_AWAY, missed_calls=3, do_not_disturb=True)
    assert [said for said, _ in scenes.notices(grave)] == [
        "No connection",
        "3 missed calls",
        "Do not disturb",
    ]
    assert [said for said, _ in scenes.notices(idle(Situation.ERROR, missed_calls=1))] == [
        "Something does not work",
        "1 missed call",
    ]
    assert scenes.notices(idle()) == []
    bottom = Rect(0, 400, 800, 80)
    assert has(part(flat(grave), bottom), RED)
    assert not has(part(flat(idle()), bottom), RED)


def test_in_picture_in_picture_the_call_is_a_small_picture_on_the_idle_screen() -> None:
    shown = view(*crowd(3), picture_in_picture=True)
    where = placed(shown).tiles[0].rect
    picture = flat(shown)
    assert (part(picture, where) == 200).all(axis=2).mean() > 0.6
    clock = part(picture, Rect(0, 100, where.left, 200))
    assert has(clock, INK, 1000)
    above = part(picture, Rect(where.left, 0, 800 - where.left, where.top))
    assert not has(above, INK), "and hides nothing of it"


def test_a_ringing_screen_shows_who_calls() -> None:
    ringing = view(situation=Situation.RINGING_IN, call=call(CallState.INCOMING), main=None)
    picture = flat(ringing)
    assert has(picture, colour_of("alice"), 1000)
    assert has(picture, GREEN), "Incoming video call"


def test_a_ringing_screen_shows_whom_this_device_calls_and_how_far_each_is() -> None:
    two = Callee("alice", "Alice", CalleeState.RINGING), Callee("bob", "Bob", CalleeState.INVITING)
    ringing = ringing_out(*two)
    assert ringing.call is not None
    assert words.rings_there(ringing.call) == "Ringing …"
    declined = ringing_out(two[0], Callee("bob", "Bob", CalleeState.REJECTED))
    assert not np.array_equal(flat(ringing), flat(declined))
    for silent in (CalleeState.INVITING, CalleeState.OFFLINE):
        assert words.rings_there(call(callees=(Callee("bob", "Bob", silent),))) == "Calling …"
    assert set(words.CALLEES) == set(CalleeState)


def test_who_is_still_connecting_is_waited_for_with_the_name() -> None:
    connecting = view(this_device(), situation=Situation.CONNECTING)
    assert scenes.is_waiting(connecting)
    assert has(flat(connecting), colour_of("alice"), 1000)
    listed = view(tile(0, state=ParticipantState.CONNECTING), situation=Situation.CONNECTING)
    assert not scenes.is_waiting(listed), "a tile says it then"
    assert not scenes.is_waiting(idle())


def test_every_symbol_is_drawn_inside_of_its_square() -> None:
    assert set(DRAWN) == set(Symbol)
    for which in Symbol:
        for px in (12, 20, 64):
            drawn = symbol(which, px)
            ink = (drawn.rest < 128).mean()
            assert drawn.width == drawn.height == px
            assert 0.05 < ink < 0.75, which
