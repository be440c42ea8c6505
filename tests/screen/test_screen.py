"""The screen as the rest of the appliance has it: views and pictures in, one composed picture out."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from appliance import config
from appliance.calls.inputs import FaultReported
from appliance.model import Layout, Situation, View
from appliance.screen.canvas import Pixels
from appliance.screen.composing import Composing
from appliance.screen.compositor import Compositor, Stage
from appliance.screen.layouts import key_of, plan
from appliance.screen.screen import Screen
from appliance.screen.touch import Gesture, Pointer
from tests.panel.inbox import Inbox
from tests.parts.watched import Watched
from tests.screen.gallery import DEVICE, NOON, call, crowd, idle, this_device, tile, view

FRAMES = config.Screen(kind="frames", width=320, height=240, framerate=60)
TALK = view(*crowd(2), layout=Layout.TILE)


def noon() -> datetime:
    return NOON


def grey(light: int) -> Pixels:
    return np.full((90, 160, 3), light, np.uint8)


def expected(shown: View, order: tuple[tuple[str, str, bool], ...] = (), **lights: int) -> Pixels:
    """What is to be seen: cameras by uid, with `_` for `-`."""
    pictures = {
        key_of(one): grey(lights[uid])
        for one in shown.tiles
        if (uid := one.participant.uid.replace("-", "_")) in lights
    }
    return Compositor(320, 240, DEVICE).compose(Stage(shown, pictures, order), NOON)


class Viewer:
    """Somebody before the screen."""

    def __init__(self, screen: Screen) -> None:
        self.seen = Watched[Pixels]()
        self.end = screen.subscribe(self.seen.post)

    async def sees(self, picture: Pixels) -> None:
        await self.seen.until(lambda one: np.array_equal(one, picture))


@asynccontextmanager
async def opened(
    settings: config.Screen = FRAMES, **about: Any
) -> AsyncIterator[tuple[Screen, Inbox]]:
    inbox = Inbox()
    async with Screen(settings, DEVICE, inbox.post, now=noon, **about) as screen:
        yield screen, inbox


async def test_views_and_pictures_become_what_is_seen() -> None:
    async with opened() as (screen, inbox):
        viewer = Viewer(screen)
        assert screen.latest_jpeg() is None
        screen.show_view(idle())
        await viewer.sees(expected(idle()))
        screen.show_view(TALK)
        await viewer.sees(expected(TALK))
        screen.show("user-0", "page-1", False, grey(40))
        screen.show("user-1", "page-1", False, grey(120))
        screen.own(grey(220))
        await viewer.sees(expected(TALK, user_0=40, user_1=120, front_door=220))
        screen.gone("user-1", "page-1", False)
        await viewer.sees(expected(TALK, user_0=40, front_door=220))
        jpeg = await asyncio.to_thread(screen.latest_jpeg)
        assert Image.open(BytesIO(jpeg or b"")).size == (320, 240)
        assert inbox.all == []
    assert screen.framerate == 60


async def test_a_screen_and_a_camera_of_one_endpoint_are_two_pictures() -> None:
    shown = view(tile(0, screen=True), tile(0), this_device(), layout=Layout.TILE)
    async with opened() as (screen, _):
        viewer = Viewer(screen)
        screen.show_view(shown)
        screen.show("user-0", "page-1", True, grey(40))
        screen.show("user-0", "page-1", False, grey(120))
        both = {key_of(shown.tiles[0]): grey(40), key_of(shown.tiles[1]): grey(120)}
        wanted = Compositor(320, 240, DEVICE).compose(Stage(shown, both), NOON)
        await viewer.sees(wanted)


async def test_a_picture_that_is_not_seen_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = view(*crowd(2), layout=Layout.SINGLE)
    stages: list[Stage] = []
    show = Composing.show

    def counted(self: Composing, stage: Stage) -> None:
        stages.append(stage)
        show(self, stage)

    monkeypatch.setattr(Composing, "show", counted)
    async with opened() as (screen, _):
        viewer = Viewer(screen)
        screen.show_view(alone)
        await viewer.sees(expected(alone))
        for light in range(20):
            screen.show("user-1", "page-1", False, grey(light))
            screen.show("stranger", "page-1", False, grey(light))
            screen.own(grey(light))
        screen.show_view(alone)
        screen.show("user-0", "page-1", False, grey(99))
        await viewer.sees(expected(alone, user_0=99))
    assert len(stages) == 2


async def test_nobodys_picture_waits_for_the_next_call() -> None:
    async with opened() as (screen, _):
        viewer = Viewer(screen)
        screen.show_view(TALK)
        screen.show("user-0", "page-1", False, grey(40))
        screen.own(grey(220))
        await viewer.sees(expected(TALK, user_0=40, front_door=220))
        screen.show_view(idle())
        screen.show_view(TALK)
        await viewer.sees(expected(TALK))


async def test_a_shared_screen_does_not_contain_itself() -> None:
    share = replace(this_device(screen_sharing=True), screen=True)
    sharing = view(tile(0), this_device(screen_sharing=True), share, main=2)
    async with opened() as (screen, _):
        viewer = Viewer(screen)
        screen.show_view(sharing)
        screen.show("front-door", "main", True, grey(255))
        without = view(tile(0), this_device(screen_sharing=True), main=None)
        await viewer.sees(expected(without))


# -------------------- fingers


async def test_who_is_tapped_is_large_until_the_large_one_is_tapped_or_the_call_ends() -> None:
    chosen: list[tuple[str, str]] = []
    spotlight = view(*crowd(2))
    large = replace(spotlight, main=1)
    async with opened(on_tile=lambda *who: chosen.append(who)) as (screen, _):
        viewer = Viewer(screen)
        screen.pointed(Pointer(Gesture.PRESS, 1, 1))
        screen.show_view(spotlight)
        press(screen, spotlight, 1, 1)
        await viewer.sees(expected(large))
        screen.show("user-0", "page-1", False, grey(9))
        await viewer.sees(expected(large, user_0=9))
        press(screen, large, 0, 0)
        await viewer.sees(expected(spotlight, user_0=9))
        press(screen, spotlight, 1, 1)
        screen.show_view(view(tile(0), this_device()))
        await viewer.sees(expected(view(tile(0), this_device()), user_0=9))
        screen.show_view(idle())
        screen.show_view(spotlight)
        await viewer.sees(expected(spotlight))
    assert chosen == [("user-1", "page-1"), ("user-1", "page-1"), ("user-1", "page-1")]


async def test_tiles_dragged_onto_another_change_places_until_the_call_ends() -> None:
    async with opened() as (screen, _):
        viewer = Viewer(screen)
        screen.show_view(TALK)
        press(screen, TALK, 0, 2)
        order = tuple(key_of(TALK.tiles[place]) for place in (2, 1, 0))
        await viewer.sees(expected(TALK, order))
        screen.show_view(idle())
        screen.show_view(TALK)
        await viewer.sees(expected(TALK))


async def test_a_tile_is_marked_while_it_is_dragged() -> None:
    async with opened() as (screen, _):
        viewer = Viewer(screen)
        screen.show_view(TALK)
        places = plan(TALK, 320, 240).tiles
        screen.pointed(Pointer(Gesture.PRESS, places[0].rect.left + 9, places[0].rect.top + 9))
        screen.pointed(Pointer(Gesture.MOVE, places[1].rect.left + 9, places[1].rect.top + 9))
        held = Stage(TALK, {}, held=key_of(TALK.tiles[0]))
        await viewer.sees(Compositor(320, 240, DEVICE).compose(held, NOON))
        screen.pointed(Pointer(Gesture.RELEASE, 0, 0))
        await viewer.sees(expected(TALK))


async def test_who_is_dragged_to_or_from_the_large_picture_is_large() -> None:
    spotlight = view(*crowd(2))
    async with opened() as (screen, _):
        viewer = Viewer(screen)
        screen.show_view(spotlight)
        press(screen, spotlight, 1, 0)
        await viewer.sees(expected(replace(spotlight, main=1)))
        press(screen, replace(spotlight, main=1), 0, 2)
        await viewer.sees(expected(replace(spotlight, main=2)))


async def test_a_call_that_only_grows_older_is_not_drawn_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stages: list[Stage] = []
    monkeypatch.setattr(Composing, "show", lambda self, stage: stages.append(stage))
    async with opened() as (screen, _):
        for seconds in range(3):
            screen.show_view(view(*crowd(1), call=call(duration_s=float(seconds))))
    assert len(stages) == 1


async def test_what_is_not_allowed_does_nothing() -> None:
    chosen: list[tuple[str, str]] = []
    still = replace(TALK, tile_click=False, tile_drag=False)
    async with opened(on_tile=lambda *who: chosen.append(who)) as (screen, _):
        viewer = Viewer(screen)
        screen.show_view(still)
        await viewer.sees(expected(still))
        press(screen, still, 1, 1)
        press(screen, still, 0, 2)
        screen.show("user-0", "page-1", False, grey(9))
        await viewer.sees(expected(still, user_0=9))
    assert chosen == []


def press(screen: Screen, shown: View, start: int, end: int) -> None:
    """From the middle of one tile to that of another."""
    places = [one.rect for one in plan(shown, 320, 240).tiles]
    x, y = [(rect.left + rect.width // 2, rect.top + rect.height // 2) for rect in places][start]
    screen.pointed(Pointer(Gesture.PRESS, x, y))
    x, y = [(rect.left + rect.width // 2, rect.top + rect.height // 2) for rect in places][end]
    screen.pointed(Pointer(Gesture.MOVE, x, y))
    screen.pointed(Pointer(Gesture.RELEASE, x, y))


# -------------------- displays


async def test_the_status_says_what_is_shown() -> None:
    async with opened() as (screen, _):
        assert screen.status() == {"kind": "frames", "size": [320, 240], "showing": None}
        screen.show_view(view(situation=Situation.RINGING_IN, call=call(), main=None))
        assert screen.status()["showing"] == "ringing_in"


async def test_a_device_without_a_screen_takes_everything_and_shows_nothing() -> None:
    async with opened(config.Screen(kind="none")) as (screen, inbox):
        seen: list[Pixels] = []
        end = screen.subscribe(seen.append)
        screen.show_view(TALK)
        screen.show("user-0", "page-1", False, grey(1))
        screen.own(grey(1))
        screen.gone("user-0", "page-1", False)
        end()
        assert screen.latest_jpeg() is None
        assert screen.status() == {"kind": "none", "size": None, "showing": None}
    assert (seen, inbox.all) == ([], [])


async def test_the_picture_is_written_into_the_configured_folder(tmp_path: Path) -> None:
    async with opened(replace(FRAMES, directory=str(tmp_path))) as (screen, _):
        viewer = Viewer(screen)
        screen.show_view(idle())
        await viewer.sees(expected(idle()))
    with Image.open(tmp_path / "frame.jpg") as image:
        assert image.size == (320, 240)


async def test_a_folder_that_cannot_be_written_is_a_fault_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with opened(replace(FRAMES, directory=str(tmp_path / "file"))) as (screen, inbox):
        viewer = Viewer(screen)
        screen.show_view(idle())
        await viewer.sees(expected(idle()))
        screen.show_view(TALK)
        await viewer.sees(expected(TALK))
    (fault,) = inbox.of(FaultReported)
    assert (fault.code, fault.where) == ("screen_not_written", "screen.directory")
    assert "frame.jpg cannot be written" in fault.message


@pytest.mark.parametrize("kind", ["window", "kms"])
async def test_without_a_display_it_is_told_once_and_the_picture_is_there_all_the_same(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sdl2", None)
    async with opened(replace(FRAMES, kind=kind)) as (screen, inbox):
        viewer = Viewer(screen)
        screen.show_view(idle())
        await viewer.sees(expected(idle()))
        await inbox.until(lambda: bool(inbox.all))
        assert screen.status()["showing"] is None, "nobody sees it"
    (fault,) = inbox.of(FaultReported)
    assert (fault.code, fault.where) == ("no_display", "screen.kind")
    assert fault.message.endswith(".")


async def test_what_cannot_be_drawn_is_a_fault_until_it_can_be_drawn() -> None:
    def faults(inbox: Inbox) -> int:
        return len(inbox.of(FaultReported))

    async with opened() as (screen, inbox):
        viewer = Viewer(screen)
        screen.show_view(TALK)
        await viewer.sees(expected(TALK))
        for times in (1, 2):
            screen.show("user-0", "page-1", False, np.zeros((3, 3), np.uint8))
            await inbox.until(lambda: faults(inbox) == times)  # noqa: B023 - used at once
            screen.show("user-0", "page-1", False, grey(times))
            await viewer.sees(expected(TALK, user_0=times))
    assert {fault.code for fault in inbox.of(FaultReported)} == {"screen_not_drawn"}


async def test_nothing_is_composed_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    composed_in: set[str] = set()
    compose = Compositor.compose

    def watched(self: Compositor, stage: Stage, now: datetime) -> Pixels:
        composed_in.add(threading.current_thread().name)
        return compose(self, stage, now)

    monkeypatch.setattr(Compositor, "compose", watched)
    async with opened() as (screen, _):
        viewer = Viewer(screen)
        screen.show_view(idle())
        await viewer.seen.until(lambda _: True)
    assert composed_in == {"screen"}
