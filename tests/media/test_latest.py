"""What is kept of a camera nobody looks at: always something to begin with, and no more than that."""

from __future__ import annotations

import av
import numpy as np
import pytest

from appliance.media.base import AccessUnit
from appliance.media.card import Card
from appliance.media.encoding import H264Encoder
from appliance.media.latest import FRESH_S, LIMIT, LatestPictures


class Camera:
    """Pictures into a store, and a keyframe whenever the store says that one is due."""

    def __init__(self, framerate: int = 25) -> None:
        self.latest = LatestPictures()
        self.number = 0
        self._framerate = framerate

    @property
    def now_s(self) -> float:
        """When the latest was taken."""
        return (self.number - 1) / self._framerate

    def take(self, kinds: str) -> None:
        """One picture for each letter: I is a keyframe, P is none."""
        for kind in kinds:
            pts_us = self.number * 1_000_000 // self._framerate
            self.latest.keep(AccessUnit(b"%d" % self.number, pts_us, kind == "I"))
            self.number += 1

    def take_what_is_due(self) -> str:
        kind = "I" if self.latest.keyframe_is_due else "P"
        self.take(kind)
        return kind

    def kept(self, now_s: float | None = None) -> str:
        """The letters of what is fresh."""
        units = self.latest.fresh(self.now_s if now_s is None else now_s)
        numbers = [int(unit.data) for unit in units]
        assert numbers == sorted(numbers)
        return "".join("I" if unit.keyframe else "P" for unit in units)


@pytest.mark.parametrize(
    ("taken", "kept"),
    [
        ("", ""),
        ("I", "I"),
        ("IP", "IP"),
        ("IPPI", "IPPI"),
        ("IPPIP", "IP"),
        ("II", "II"),
        ("IIII", "II"),
        ("PPI", "PPI"),
        ("PPIP", "IP"),
    ],
)
def test_two_pictures_or_more_from_the_last_keyframe_that_has_one_after_it(
    taken: str, kept: str
) -> None:
    camera = Camera()
    camera.take(taken)
    assert camera.kept() == kept


@pytest.mark.parametrize(("framerate", "every"), [(30, 3), (25, 3), (15, 2), (60, 5), (10, 2)])
def test_a_keyframe_is_due_some_ten_times_a_second_at_most(framerate: int, every: int) -> None:
    camera = Camera(framerate)
    assert camera.latest.keyframe_is_due, "the first of all"
    kinds = "".join(camera.take_what_is_due() for _ in range(4 * every))
    assert kinds == 4 * ("I" + (every - 1) * "P")


@pytest.mark.parametrize("framerate", [10, 15, 25, 30, 60])
def test_there_is_always_something_to_begin_with(framerate: int) -> None:
    camera = Camera(framerate)
    camera.take("IP")
    for _ in range(3 * framerate):
        camera.take_what_is_due()
        kept = camera.kept()
        assert kept.startswith("I")
        assert 2 <= len(kept) <= LIMIT


def test_what_a_stalled_camera_has_left_behind_is_not_shown() -> None:
    camera = Camera()
    camera.take("II")
    assert camera.kept(camera.now_s + FRESH_S - 0.02) == "I", "the older of the two is too old"
    assert camera.kept(camera.now_s + FRESH_S + 0.02) == ""


def test_a_camera_that_gives_no_keyframes_does_not_fill_the_memory() -> None:
    camera = Camera(framerate=200)
    camera.take("I" + 99 * "P")
    assert camera.kept() == LIMIT * "P"
    assert camera.latest.keyframe_is_due


def test_an_encoder_that_does_not_answer_is_not_asked_with_each_picture() -> None:
    camera, asked = Camera(), []
    for number in range(32):
        camera.take("I" if number in (0, 19) else "P")
        if camera.latest.keyframe_is_due:
            camera.latest.asked()
            asked.append(number)
    assert asked == [2, 10, 18, 21, 29], "after 0.3 s once more, and anew with each that comes"


def test_what_is_forgotten_is_not_shown() -> None:
    camera = Camera()
    camera.take("IP")
    camera.latest.forget()
    assert camera.kept() == ""
    assert camera.latest.keyframe_is_due


def psnr_db(picture: av.VideoFrame, original: av.VideoFrame) -> float:
    """Of the luma."""
    decoded, drawn = (
        frame.to_ndarray()[: frame.height].astype(np.float64) for frame in (picture, original)
    )
    return float(10 * np.log10(255**2 / np.mean((decoded - drawn) ** 2)))


def first_half_second_db(warm_pictures: int) -> float:
    """How well who joins then sees the card, on average of what is newer than the joining."""
    encoder, latest, card = H264Encoder(640, 360, 25, 800), LatestPictures(), Card(640, 360)
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    decoder.flags |= av.codec.context.Flags.low_delay
    qualities = []
    for number in range(warm_pictures + 12):
        picture = card.draw(number, "12:00:00", number / 25)
        unit = encoder.encode(picture, number * 40_000)
        if number < warm_pictures:
            latest.keep(unit)
            if latest.keyframe_is_due:
                encoder.request_keyframe()
            continue
        if number == warm_pictures:
            for kept in latest.fresh(number / 25):
                decoder.decode(av.Packet(kept.data))
        (decoded,) = decoder.decode(av.Packet(unit.data))
        qualities.append(psnr_db(decoded, picture))
    return sum(qualities) / len(qualities)


@pytest.mark.parametrize("warm_pictures", [60, 61, 62])
def test_who_joins_sees_as_well_as_who_was_there_when_the_encoder_began(warm_pictures: int) -> None:
    """A keyframe costs what ten other pictures do: too many of them leave none of them enough."""
    assert first_half_second_db(warm_pictures) > first_half_second_db(0) - 2
