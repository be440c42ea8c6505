"""Pictures that come evenly, late, and not at all, and the time line without a hole that they become."""

from __future__ import annotations

from itertools import pairwise

import av

from appliance.media.base import AccessUnit, PictureFormat
from appliance.media.reel import GAP_S, Reel, Shot, black

BLACK = AccessUnit(b"black", 0, keyframe=True)
GAP_US = round(GAP_S * 1e6)
END_US = 10_000_000


def unit(name: str, *, keyframe: bool = False) -> AccessUnit:
    return AccessUnit(name.encode(), 0, keyframe=keyframe)


def told(shots: list[Shot]) -> list[tuple[str, int, int]]:
    """Names and times in ms, and that there is no hole."""
    assert all(a.at_us + a.duration_us == b.at_us for a, b in pairwise(shots))
    return [
        (shot.unit.data.decode(), shot.at_us // 1000, shot.duration_us // 1000) for shot in shots
    ]


def played(
    reel: Reel, *times_ms: int, until_ms: int, step_ms: int = 20, keyframes_ms: tuple[int, ...] = ()
) -> list[Shot]:
    """Pictures that are named after their time, and come when it is; looked at every `step_ms`."""
    shots: list[Shot] = []
    left = list(times_ms)
    for now_ms in range(0, until_ms + 1, step_ms):
        while left and left[0] <= now_ms:
            at_ms = left.pop(0)
            reel.put(unit(str(at_ms), keyframe=at_ms in keyframes_ms), at_ms * 1000)
        shots += reel.take(now_ms * 1000)
    return [*shots, *reel.finish(until_ms * 1000)]


def test_each_picture_lasts_until_the_next_and_the_last_until_the_end() -> None:
    shots = played(Reel(25, BLACK), 0, 40, 85, 120, until_ms=200)
    assert told(shots) == [("0", 0, 40), ("40", 40, 45), ("85", 85, 35), ("120", 120, 80)]


def test_nothing_is_given_before_it_is_known_how_long_it_lasts() -> None:
    reel = Reel(25, BLACK)
    reel.put(unit("a"), 0)
    assert list(reel.take(30_000)) == []
    reel.put(unit("b"), 40_000)
    assert list(reel.take(30_000)) == [], "something may still come before it"
    assert told(list(reel.take(40_000))) == [("a", 0, 40)]


def test_the_first_picture_stands_from_the_beginning() -> None:
    assert told(played(Reel(25, BLACK), 60, 100, until_ms=140)) == [
        ("60", 0, 100),
        ("100", 100, 40),
    ]


def test_a_late_beginning_and_a_pause_are_black() -> None:
    shots = played(Reel(25, BLACK), 900, 940, 2000, until_ms=2100, keyframes_ms=(900, 2000))
    assert told(shots) == [
        ("black", 0, 400),
        ("black", 400, 400),
        ("black", 800, 100),
        ("900", 900, 40),
        ("940", 940, 400),
        ("black", 1340, 400),
        ("black", 1740, 260),
        ("2000", 2000, 100),
    ]


def test_a_camera_that_stands_still_goes_on_with_a_keyframe_which_is_asked_for_once() -> None:
    asked: list[bool] = []
    reel = Reel(25, BLACK, lambda: asked.append(True))
    shots = told(played(reel, 0, 40, 1040, 1080, 1120, until_ms=1160, keyframes_ms=(0, 1080)))
    assert shots == [
        ("0", 0, 40),
        ("40", 40, 400),
        ("black", 440, 400),
        ("black", 840, 240),
        ("1080", 1080, 40),
        ("1120", 1120, 40),
    ]
    assert len(asked) == 1


def test_nobody_is_asked_for_a_keyframe_that_has_come_already() -> None:
    asked: list[bool] = []
    reel = Reel(25, BLACK, lambda: asked.append(True))
    reel.put(unit("before"), 0)
    reel.put(unit("after", keyframe=True), 600_000)
    shots = told([*reel.take(GAP_US), *reel.finish(700_000)])
    assert shots == [("before", 0, 400), ("black", 400, 200), ("after", 600, 100)]
    assert asked == []


def test_it_is_the_same_however_seldom_one_looks() -> None:
    often = told(played(Reel(25, BLACK), 0, 40, 80, 120, until_ms=160, step_ms=1))
    seldom = told(played(Reel(25, BLACK), 0, 40, 80, 120, until_ms=160, step_ms=160))
    assert often == seldom


def test_no_picture_at_all_is_black_to_the_end() -> None:
    shots = told(played(Reel(25, BLACK), until_ms=1000))
    assert shots == [("black", 0, 400), ("black", 400, 400), ("black", 800, 200)]


def test_a_camera_that_takes_one_picture_a_second_is_not_paused() -> None:
    shots = told(played(Reel(1, BLACK), 0, 1000, 2000, until_ms=3000))
    assert [name for name, _, _ in shots] == ["0", "1000", "2000"]


def test_what_comes_after_its_time_is_placed_behind_what_is_given_already() -> None:
    reel = Reel(25, BLACK)
    reel.put(unit("a"), 0)
    shots = [*reel.take(GAP_US)]
    reel.put(unit("of before"), 80_000)
    reel.put(unit("late", keyframe=True), 100_000)
    shots += [*reel.finish(GAP_US + 40_000)]
    assert told(shots) == [("a", 0, 400), ("black", 400, 1), ("late", 401, 39)]


def test_nothing_is_given_twice() -> None:
    reel = Reel(25, BLACK)
    reel.put(unit("a"), 0)
    assert len(list(reel.finish(END_US // 100))) == 1
    assert list(reel.finish(0)) == []


def test_the_black_picture_is_one_and_black() -> None:
    made = black(PictureFormat(320, 180, 25, b""))
    assert made.keyframe
    assert len(made.data) < 2000
    decoder = av.CodecContext.create("h264", "r")
    (picture,) = [*decoder.decode(av.Packet(made.data)), *decoder.decode(None)]
    assert (picture.width, picture.height) == (320, 180)
    assert picture.to_ndarray(format="rgb24").max() < 6
