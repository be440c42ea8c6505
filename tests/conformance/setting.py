"""Each setting of a call has the effect that it is for, in a session or a house of its own."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.request import urlopen

import numpy as np

from appliance.model import AvatarMode
from tests.conformance.scenes import scene
from tests.conformance.stage import Picture, Stage
from tests.parts.guest import Guest

RED = (200, 20, 20)
LARGE, SMALL = 0.3, 0.2
"""The share of the screen that the large picture has at least, and a small one at most."""


@scene()
async def an_audio_session_has_no_picture(stage: Stage) -> None:
    alice = await stage.guest("alice")
    await stage.meets(alice, audio_only=True)
    call = stage.status()["call"]
    assert call["type"] == "audio"
    await alice.media.until(lambda: len(alice.media.samples) > 60)
    assert alice.media.pictures == 0
    stage.seen.note("setting:audio_only")


@scene()
async def a_session_begins_muted(stage: Stage) -> None:
    alice = await stage.guest("alice")
    await stage.meets(alice, start_with_audio_muted=True)
    await stage.event("audio_muted")
    assert (await alice.hear("state"))["body"]["audio_muted"]
    await alice.media.until(lambda: len(alice.media.samples) > 30)
    assert max(abs(frame).max() for frame in alice.media.samples) < 50
    await stage.do("mute_audio", muted=False)
    await alice.media.until(lambda: abs(alice.media.samples[-1]).max() > 500)
    stage.seen.note("setting:start_with_audio_muted")


@scene()
async def a_session_begins_without_a_picture(stage: Stage) -> None:
    alice = await stage.guest("alice")
    await stage.meets(alice, start_with_video_paused=True)
    await stage.event("video_paused")
    await alice.media.until(lambda: len(alice.media.samples) > 60)
    assert alice.media.pictures == 0
    await stage.do("pause_video", paused=False)
    await alice.media.until(lambda: len(alice.media.counters) > 2)
    stage.seen.note("setting:start_with_video_paused")


@scene()
async def a_session_begins_in_the_handset(stage: Stage) -> None:
    alice = await stage.guest("alice")
    await stage.meets(alice, default_audio_mode="earpiece")
    await stage.event("audio_mode_changed", mode="earpiece")
    stage.seen.note("setting:default_audio_mode")
    await stage.do("set_audio_mode", mode="speaker")


@scene()
async def a_session_begins_in_its_layout(stage: Stage) -> None:
    alice = await stage.guest("alice")
    await stage.meets(alice, layout="tile")
    assert stage.status()["screen"]["layout"] == "tile"
    stage.seen.note("setting:layout")


@scene()
async def a_session_is_recorded_from_its_beginning(stage: Stage) -> None:
    alice = await stage.guest("alice")
    await stage.meets(alice, start_recording_on_call_start=True)
    await stage.event("recording_started")
    assert (await alice.hear("state"))["body"]["recording"]
    await alice.leaves()
    await stage.do("leave_session")
    await stage.event("recording_stopped")
    stage.seen.note("setting:start_recording_on_call_start")


@scene()
async def the_large_picture_is_whom_the_settings_name(stage: Stage) -> None:
    alice = await stage.guest("alice", colour=RED)
    await stage.meets(alice, main_video="front-door", start_with_video_paused=True)
    await stage.picture(lambda shown: 0 < red_in(shown) < SMALL)
    await stage.do("leave_session")
    await alice.hear("end")
    await stage.meets(alice, main_video="alice")
    await stage.picture(lambda shown: red_in(shown) > LARGE)
    stage.seen.note("setting:main_video")


@scene()
async def the_large_picture_is_shown_as_its_container_says(stage: Stage) -> None:
    alice = await stage.guest("alice", colour=RED)
    contained = await _single(stage, alice, {"fit": "contain", "name_label": True})
    covering = await _single(stage, alice, {"fit": "cover", "name_label": True})
    bare = await _single(stage, alice, {"fit": "cover", "name_label": False})
    assert red_in(contained) < red_in(covering) < red_in(bare)
    stage.seen.note("setting:main_video_container")


async def _single(stage: Stage, alice: Guest, container: dict[str, Any]) -> Picture:
    """Only alice's picture, beside the list of participants, so that it does not fit."""
    await stage.meets(alice, layout="single", main_video="alice", main_video_container=container)
    await stage.picture(lambda shown: red_in(shown) > LARGE)
    await stage.do("show_participant_list", visible=True)
    picture = await stage.picture(lambda shown: red_in(shown[:, -40:]) == 0 < red_in(shown))
    await stage.do("leave_session")
    await alice.hear("end")
    return picture


@scene()
async def who_is_not_seen_is_shown_by_an_avatar(stage: Stage) -> None:
    alice = await stage.guest("alice", colour=RED)
    shown: dict[str, Picture] = {}
    for mode in AvatarMode:
        await stage.meets(alice, layout="single", main_video="alice", avatar_mode=mode)
        await stage.picture(lambda shown: red_in(shown) > SMALL)
        await alice.tell(video_paused=True)
        await stage.event("participant_video_paused")
        shown[mode] = await stage.picture(lambda shown: red_in(shown) == 0)
        stage.seen.note(f"enum:avatar_mode={mode}")
        await stage.do("leave_session")
        await alice.hear("end")
    one, *others = shown.values()
    assert all(differ(one, other) for other in others)
    assert differ(*others)
    stage.seen.note("setting:avatar_mode")


@scene()
async def a_tap_makes_a_tile_large(stage: Stage) -> None:
    alice = await stage.guest("alice", colour=RED)
    await stage.meets(alice, main_video="front-door", start_with_video_paused=True)
    stage.touch(middle_of_red(await stage.picture(lambda shown: 0 < red_in(shown) < SMALL)))
    await stage.picture(lambda shown: red_in(shown) > LARGE)
    stage.seen.note("tap:taken")


@scene()
async def a_tile_is_dragged_to_the_large_place(stage: Stage) -> None:
    alice = await stage.guest("alice", colour=RED)
    await stage.meets(alice, main_video="front-door", start_with_video_paused=True)
    small = middle_of_red(await stage.picture(lambda shown: 0 < red_in(shown) < SMALL))
    stage.touch(small, (160, 60), (150, 60))
    await stage.picture(lambda shown: red_in(shown) > LARGE)
    stage.seen.note("drag:taken")


@scene("bare")
async def neither_taps_nor_drags_where_they_are_switched_off(stage: Stage) -> None:
    alice = await stage.guest("alice", colour=RED)
    await stage.meets(alice, main_video="front-door", start_with_video_paused=True)
    small = middle_of_red(await stage.picture(lambda shown: 0 < red_in(shown) < SMALL))
    for points in ((small,), (small, (160, 60), (150, 60))):
        stage.touch(*points)
        await stage.do("show_participant_list", visible=True)
        await stage.picture(lambda shown: red_in(shown[:, -40:]) == 0)
        await stage.do("show_participant_list", visible=False)
        await stage.picture(lambda shown: 0 < red_in(shown) < SMALL)
    stage.seen.note("tap:ignored", "drag:ignored")


@scene("bare")
async def a_second_call_waits(stage: Stage) -> None:
    await stage.talk()
    bob = await stage.guest("bob")
    await bob.rings()
    await bob.hear("ringing")
    await stage.do("accept_call")
    await stage.event("hold_toggled", on_hold=True)
    await bob.talks()
    await stage.joined(bob)
    stage.seen.note("setting:call_waiting")
    await stage.do("merge_calls")
    await stage.event("group_toggled", grouped=True)


@scene()
async def video_is_agreed_to_without_asking(stage: Stage) -> None:
    alice = await stage.guest("alice")
    await stage.meets(alice, audio_only=True, accept_video="auto")
    assert (await alice.asks("switch_to_video"))["body"]["accepted"]
    await alice.offer_again(alice.door, "switch_to_video")
    await stage.event("call_switched_to_video", requested_by="alice")
    assert not stage.told("switch_to_video_requested")
    stage.seen.note("setting:accept_video")


@scene("quiet")
async def in_the_quiet_hours_nobody_rings(stage: Stage) -> None:
    assert stage.status()["do_not_disturb"] is True
    alice = await stage.guest("alice")
    await alice.rings()
    assert (await alice.hear("reject"))["body"]["reason"] == "busy"
    stage.seen.note("setting:quiet_hours")


@scene("quiet")
async def the_page_has_the_controls_that_it_is_told(stage: Stage) -> None:
    page = stage.house.appliance.page
    assert page is not None

    def get() -> dict[str, Any]:
        with urlopen(f"{page}client.json", timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    told = await asyncio.to_thread(get)
    assert told["settings"]["enabled_controls"] == ["leave"]
    stage.seen.note("setting:enabled_controls")


def red_in(picture: Picture) -> float:
    """The share of it that is red."""
    return float(_red(picture).mean())


def _red(picture: Picture) -> np.ndarray[Any, np.dtype[np.bool_]]:
    wide = picture.astype(np.int16)
    found: np.ndarray[Any, np.dtype[np.bool_]] = (
        (wide[..., 0] > 150) & (wide[..., 1] < 80) & (wide[..., 2] < 80)
    )
    return found


def middle_of_red(picture: Picture) -> tuple[int, int]:
    """Where its red is, as x and y."""
    rows, columns = np.nonzero(_red(picture))
    return int(np.median(columns)), int(np.median(rows))


def differ(one: Picture, other: Picture) -> bool:
    """Whether two pictures are not the same to an eye."""
    far = np.abs(one.astype(np.int16) - other.astype(np.int16)).max(axis=-1) > 30
    return bool(far.mean() > 0.01)
