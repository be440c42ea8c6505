"""Which pictures there are and which is large, who speaks, and how much of a picture is sent."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from appliance.model import CallSettings
from tests.web.playing import HERE, TALKING, at_link, play, says

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ARRANGE = "async ([call, wish]) => (await import('/tiles.js')).arrange(call, wish)"
LISTEN = """async (looks) => {
  const { SILENCE, listen } = await import('/speaker.js');
  let heard = SILENCE;
  return looks.map((levels, look) => (heard = listen(heard, levels, look * 150)).speaker);
}"""


async def session(modules: Page, *others: str, **flags: Any) -> Any:
    """A call with the door and others, all connected; the last one told `flags`."""
    who = [{"uid": "front-door", "endpoint": "main"}]
    who += [{"uid": uid, "endpoint": "page"} for uid in others]
    body = {"session_id": "5" * 32, "version": 1, "participants": [*who, HERE]}
    connected = [at_link("connected", link=f"{uid}/page") for uid in others]
    told = says("state", flags, **({"from": others[-1], "endpoint": "page"} if others else {}))
    turns = await play(modules, *TALKING, says("participants", body), *connected, told)
    return turns[-1].call


async def arranged(modules: Page, call: Any, **wish: Any) -> tuple[str | None, list[str]]:
    """The large one, and all."""
    wishes = {"layout": "spotlight", "chosen": None, "speaker": None, **wish}
    arrangement = await modules.evaluate(ARRANGE, [call, wishes])
    return arrangement["main"], [tile["id"] for tile in arrangement["tiles"]]


async def test_of_two_the_other_fills_the_picture(modules: Page) -> None:
    call = await session(modules)
    assert await arranged(modules, call) == ("host", ["host"])
    assert await arranged(modules, call, layout="tile") == ("host", ["host", "me"])


async def test_large_is_who_was_chosen_else_a_screen_else_who_speaks(modules: Page) -> None:
    call = await session(modules, "bob")
    everybody = ["host", "bob/page", "me"]
    assert await arranged(modules, call) == ("host", everybody)
    assert await arranged(modules, call, speaker="bob/page") == ("bob/page", everybody)
    assert await arranged(modules, call, speaker="bob/page", chosen="me") == ("me", everybody)
    assert await arranged(modules, call, chosen="carol/page") == ("host", everybody)
    shares = await session(modules, "bob", screen_sharing=True)
    main, ids = await arranged(modules, shares, speaker="host")
    assert (main, ids[0]) == ("bob/page#screen", "bob/page#screen")


@pytest.mark.parametrize(
    ("flags", "picture", "silent"),
    [
        ({}, True, False),
        ({"video_paused": True}, False, False),
        ({"camera_exception": "device_occupied"}, False, False),
        ({"camera_exception": "by_system_pressure"}, True, False),
        ({"on_hold": True}, False, True),
    ],
)
async def test_without_a_picture_there_is_an_avatar(
    modules: Page, flags: dict[str, Any], picture: bool, silent: bool
) -> None:
    call = await session(modules, "bob", **flags)
    wish = {"layout": "tile", "chosen": None, "speaker": None}
    tiles = (await modules.evaluate(ARRANGE, [call, wish]))["tiles"]
    (bob,) = [tile for tile in tiles if tile["id"] == "bob/page"]
    assert (bob["picture"], bob["silent"]) == (picture, silent)


async def test_a_cough_changes_nobodys_picture(modules: Page) -> None:
    alice, bob, nobody = {"a": 0.3, "b": 0.0}, {"a": 0.0, "b": 0.4}, {"a": 0.0, "b": 0.0}
    assert await modules.evaluate(LISTEN, [nobody] * 3 + [alice]) == [None, None, None, "a"]
    cough = [alice] * 5 + [bob] + [alice] * 8
    assert set(await modules.evaluate(LISTEN, cough)) == {"a"}
    taken_over = await modules.evaluate(LISTEN, [alice] * 5 + [bob] * 12)
    assert (taken_over[0], taken_over[-1]) == ("a", "b")
    # silence leaves the last speaker where it was; who has gone is none
    assert (await modules.evaluate(LISTEN, [alice] * 3 + [nobody] * 20))[-1] == "a"
    assert (await modules.evaluate(LISTEN, [alice] * 3 + [{"b": 0.0}]))[-1] is None


async def test_a_small_camera_can_be_asked_for_in_the_address(modules: Page) -> None:
    parse = "async (text) => (await import('/capture.js')).parseLimits(text)"
    small = {"width": 320, "height": 180, "framerate": 10}
    assert await modules.evaluate(parse, "320x180@10") == small
    for odd in ("", "big", "320x180", "1x1@99", "320x180@10;x"):
        assert await modules.evaluate(parse, odd) is None
    encode = "async ([l, n]) => (await import('/capture.js')).encodingFor(l, n)"
    sent = await modules.evaluate(encode, [small, 3])
    assert sent == {"scaleResolutionDownBy": 1, "maxFramerate": 10, "maxBitrate": 80_000}
    full = {"width": 1280, "height": 720, "framerate": 30}
    to_one = await modules.evaluate(encode, [full, 1])
    to_three = await modules.evaluate(encode, [full, 3])
    assert to_one["maxBitrate"] == 4 * to_three["maxBitrate"]


async def test_a_face_is_made_of_initials(modules: Page) -> None:
    initials = "async (name) => (await import('/tiles.js')).initials(name)"
    for name, letters in {"Front door": "FD", "bob": "B", "é": "É", "": "", "a b c": "AC"}.items():
        assert await modules.evaluate(initials, name) == letters


async def test_whose_picture_is_large_can_be_set(modules: Page) -> None:
    call = await session(modules, "bob")
    main, _ = await arranged(modules, call, main_video="bob", speaker="host")
    assert main == "bob/page"
    main, _ = await arranged(modules, call, main_video="zed", speaker="host")
    assert main == "host"


async def test_a_setting_takes_controls_away_and_gives_the_recorder(modules: Page) -> None:
    disabled = """async ([enabled_controls, type]) =>
      (await import('/settings.js')).disabledButtons({ enabled_controls }, type)"""
    most = list(CallSettings().enabled_controls)
    assert await modules.evaluate(disabled, [most, "video"]) == ["record"]
    assert await modules.evaluate(disabled, [[*most, "recording"], "video"]) == []
    none = await modules.evaluate(disabled, [[], "audio"])
    assert sorted(none) == ["camera", "hang-up", "mute", "output", "record", "switch-camera"]
    assert "camera" not in await modules.evaluate(disabled, [["toggle_video"], "video"])
    assert "camera" in await modules.evaluate(disabled, [["toggle_video"], "audio"])
