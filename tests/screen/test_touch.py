"""A finger on the screen: a tap, a slip, a drag, and what is not allowed."""

from __future__ import annotations

from appliance.model import Layout
from appliance.screen.layouts import Plan, key_of, plan
from appliance.screen.touch import Gesture, Pointer, Swapped, Tapped, Touch, swapped
from tests.screen.gallery import crowd, view

SHOWN = view(*crowd(3), layout=Layout.TILE)
PLAN = plan(SHOWN, 800, 480)


def middle(number: int) -> tuple[int, int]:
    rect = PLAN.tiles[number].rect
    return rect.left + rect.width // 2, rect.top + rect.height // 2


def drag(
    touch: Touch, start: tuple[int, int], end: tuple[int, int], over: Plan = PLAN
) -> Tapped | Swapped | None:
    """Down, over, up."""
    assert touch.take(over, Pointer(Gesture.PRESS, *start)) is None
    assert touch.take(over, Pointer(Gesture.MOVE, *end)) is None
    return touch.take(over, Pointer(Gesture.RELEASE, *end))


def test_a_tap_on_a_tile() -> None:
    touch = Touch(click=True, drag=True)
    x, y = middle(1)
    assert drag(touch, (x, y), (x + 3, y - 3)) == Tapped(SHOWN.tiles[1]), "fingers slip a little"
    assert drag(touch, (0, 0), (0, 0)) is None
    assert drag(Touch(click=False, drag=True), (x, y), (x, y)) is None


def test_a_tile_dragged_onto_another() -> None:
    touch = Touch(click=True, drag=True)
    touch.take(PLAN, Pointer(Gesture.PRESS, *middle(0)))
    held = [touch.held]
    touch.take(PLAN, Pointer(Gesture.MOVE, *middle(3)))
    held.append(touch.held)
    done = touch.take(PLAN, Pointer(Gesture.RELEASE, *middle(3)))
    assert done == Swapped(SHOWN.tiles[0], SHOWN.tiles[3])
    assert [*held, touch.held] == [None, key_of(SHOWN.tiles[0]), None]


def test_a_drag_that_ends_where_it_began_or_nowhere_means_nothing() -> None:
    touch = Touch(click=True, drag=True)
    x, y = middle(0)
    assert drag(touch, (x, y), (x + 60, y)) is None
    assert drag(touch, (x, y), (0, 0)) is None
    assert touch.held is None


def test_where_dragging_is_not_allowed_nothing_is_held() -> None:
    touch = Touch(click=True, drag=False)
    assert drag(touch, middle(0), middle(1)) is None
    assert touch.held is None
    x, y = middle(0)
    assert drag(touch, (x, y), (x + 60, y)) == Tapped(SHOWN.tiles[0])


def test_one_tile_alone_is_not_dragged() -> None:
    alone = plan(view(*crowd(3), layout=Layout.SINGLE), 800, 480)
    touch = Touch(click=True, drag=True)
    assert drag(touch, (100, 100), (600, 300), alone) == Tapped(SHOWN.tiles[0])


def test_a_release_without_a_press_means_nothing() -> None:
    touch = Touch(click=True, drag=True)
    assert touch.take(PLAN, Pointer(Gesture.MOVE, *middle(0))) is None
    assert touch.take(PLAN, Pointer(Gesture.RELEASE, *middle(0))) is None


def test_two_places_are_exchanged() -> None:
    a, b, c = (("a", "x", False), ("b", "x", False), ("c", "x", False))
    assert swapped([a, b, c], a, c) == (c, b, a)
    assert swapped([a, b, c], b, a) == (b, a, c)
