"""A screen's pictures as a video source: encoded only while it is started."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from appliance.media.base import AccessUnit, SourceFailed, VideoSource
from appliance.media.card import Card, read_counter
from appliance.media.feeding import FrameEncoder
from appliance.media.pacing import Paced
from appliance.media.stills import rgb
from tests.media.videosource import VideoSourceContract

if TYPE_CHECKING:
    from appliance.media.base import Rgb

PATIENCE_S = 30


class Viewer:
    """Decodes what is delivered."""

    def __init__(self) -> None:
        self.units: queue.Queue[AccessUnit] = queue.Queue()
        self.failures: queue.Queue[SourceFailed] = queue.Queue()
        self._decoder = av.CodecContext.create("h264", "r")

    def next(self) -> tuple[AccessUnit, av.VideoFrame]:
        unit = self.units.get(timeout=PATIENCE_S)
        (frame,) = self._decoder.decode(av.Packet(unit.data))
        assert isinstance(frame, av.VideoFrame)
        return unit, frame

    def until(self, number: int) -> AccessUnit:
        while True:
            unit, frame = self.next()
            if read_counter(frame) == number:
                return unit


@pytest.fixture
def viewer() -> Viewer:
    return Viewer()


@pytest.fixture
def encoder() -> Iterator[FrameEncoder]:
    encoder = FrameEncoder(321, 181, 50, 500)
    yield encoder
    encoder.stop()


CARD = Card(320, 180)


def picture(number: int) -> Rgb:
    return rgb(CARD.draw(number, "00:00:00", 0))


class TestFrameEncoder(VideoSourceContract):
    """Fed faster than it sends."""

    @pytest.fixture
    def source(self) -> Iterator[VideoSource]:
        encoder = FrameEncoder(320, 180, 30, 400)
        reel = [rgb(CARD.draw(number, "00:00:00", number / 30)) for number in range(60)]

        def feed(number: int, _: float) -> None:
            encoder.feed(reel[number % len(reel)])

        feeder = Paced("feeder", 100, feed, print)
        yield encoder
        encoder.stop()
        feeder.stop()


def test_what_was_fed_last_is_the_first_and_each_further_one_follows(
    encoder: FrameEncoder, viewer: Viewer
) -> None:
    source: VideoSource = encoder
    assert (source.width, source.height) == (320, 180)
    encoder.feed(picture(1))
    encoder.feed(picture(2))
    source.start(viewer.units.put, viewer.failures.put)
    unit, frame = viewer.next()
    assert unit.keyframe
    assert (read_counter(frame), frame.width, frame.height) == (2, 320, 180)
    times_us = [unit.pts_us]
    for number in (3, 4, 5):
        encoder.feed(picture(number))
        times_us.append(viewer.until(number).pts_us)
    assert times_us == sorted(set(times_us))


def test_a_picture_that_stands_still_is_sent_again_as_a_keyframe_where_one_is_asked_for(
    encoder: FrameEncoder, viewer: Viewer
) -> None:
    encoder.feed(picture(1))
    encoder.start(viewer.units.put, viewer.failures.put)
    assert viewer.until(1).keyframe
    assert not viewer.until(1).keyframe, "again after a second"
    encoder.request_keyframe()
    assert viewer.until(1).keyframe


def test_of_pictures_that_come_too_fast_the_latest_counts(
    encoder: FrameEncoder, viewer: Viewer
) -> None:
    encoder.start(viewer.units.put, viewer.failures.put)
    for number in range(200):
        encoder.feed(picture(number))
    viewer.until(199)
    assert viewer.units.qsize() == 0


def test_while_it_rests_or_is_stopped_nothing_is_encoded(
    encoder: FrameEncoder, viewer: Viewer
) -> None:
    threads = threading.active_count()
    encoder.feed(picture(0))
    assert threading.active_count() == threads, "nobody has started it"
    encoder.start(viewer.units.put, viewer.failures.put)
    viewer.until(0)
    encoder.rest(True)
    encoder.feed(picture(1))
    encoder.rest(False)
    assert viewer.until(1).keyframe
    encoder.set_bitrate(100)
    encoder.stop()
    encoder.set_bitrate(100)
    assert threading.active_count() == threads
    encoder.feed(picture(2))
    encoder.start(viewer.units.put, viewer.failures.put)
    assert viewer.until(2).keyframe


def test_what_cannot_be_encoded_is_told(viewer: Viewer) -> None:
    with pytest.raises(SourceFailed, match="level"):
        FrameEncoder(8000, 8000, 60, 100).start(viewer.units.put, viewer.failures.put)
    encoder = FrameEncoder(320, 180, 50, 500)
    encoder.feed(np.zeros((3, 3), np.uint8))
    encoder.start(viewer.units.put, viewer.failures.put)
    assert "stopped" in str(viewer.failures.get(timeout=PATIENCE_S))
    encoder.stop()
