"""Single pictures, as a screen and as people get them."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from appliance.media.card import Card, read_counter
from appliance.media.stills import jpeg, rgb


@pytest.mark.parametrize(
    ("size", "shown"),
    [((1280, 720), (640, 360)), ((640, 480), (640, 480)), ((322, 182), (322, 182))],
)
def test_a_jpeg_is_at_most_640_wide_and_keeps_its_proportions(
    size: tuple[int, int], shown: tuple[int, int]
) -> None:
    data = jpeg(Card(*size).draw(77, "12:34:56", 0))
    assert data.startswith(b"\xff\xd8")
    assert data.endswith(b"\xff\xd9")
    with av.open(io.BytesIO(data), "r", format="mjpeg") as file:
        picture = next(file.decode(video=0))
    assert (picture.width, picture.height) == shown
    assert read_counter(picture) == 77
    assert len(data) < 60_000


def test_raw_pictures_are_red_green_and_blue_in_full_range() -> None:
    card = Card(320, 180)
    frame = card.draw(0xFFFFFF, "12:34:56", 0)
    picture = rgb(frame)
    assert picture.shape == (180, 320, 3)
    assert picture[5, 5].tolist() == pytest.approx([255, 255, 255], abs=2), "the counter's white"
    red = picture[150, 320 * 11 // 16]
    assert red[0] > 150 > 60 > max(red[1:]), "the sixth bar"
    card.draw(0, "12:34:56", 0)
    assert picture[5, 5, 0] > 250, "it is a copy"


def test_a_converter_of_many_pictures_takes_another_size_too() -> None:
    pictures = [Card(*size).draw(7, "12:34:56", 0) for size in ((640, 360), (320, 180), (640, 360))]
    converter = VideoReformatter()
    for picture in pictures:
        whole = picture.to_ndarray(format="rgb24")
        assert np.array_equal(rgb(picture, converter), whole)
        assert np.array_equal(rgb(picture), whole)


AT_ONCE = """
import threading
from av.video.frame import VideoFrame
from appliance.media.stills import jpeg, rgb

def look(take, frame):
    for _ in range(4):
        take(frame)

for _ in range(50):
    frame = VideoFrame(320, 240, "rgb24").reformat(format="yuv420p")
    threads = [threading.Thread(target=look, args=(take, frame)) for take in (jpeg, jpeg, rgb)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
"""


def test_several_may_look_at_the_same_picture_at_once() -> None:
    """Whoever asks for one while others wait gets the same. In a process of its own: a fault ends it."""
    done = subprocess.run(
        [sys.executable, "-c", AT_ONCE],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
