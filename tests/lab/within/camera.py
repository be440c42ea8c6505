"""Pictures of a simulated camera, by libcamera, picamera2 and the appliance's own adapter."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from appliance.media.camera import PiCamera
from appliance.media.filming import Plan
from tests.lab.within.front import BARS, bars
from tests.media.videosource import Film, decoded


@pytest.mark.leaves("descriptor", "thread", reason="libcamera's own, until it is unloaded")
def test_pictures_come_in_the_size_that_was_asked_for_and_move() -> None:
    camera = PiCamera(Plan("0", "software", 640, 480, framerate=10, bitrate_kbps=800))
    film = Film(camera)
    try:
        units = film.take(3)
        assert film.failures.empty()
    finally:
        camera.stop()
    frames = decoded(units)
    assert units[0].keyframe
    assert {(frame.width, frame.height) for frame in frames} == {(640, 480)}
    first, *_, last = (frame.to_ndarray(format="gray").astype(int) for frame in frames)
    assert np.std(last) > 20, "there is something to be seen"
    assert np.abs(last - first).max() > 20, "and it moves"
    assert bars(frames[-1]) == BARS
    assert all(one.pts_us < next_one.pts_us for one, next_one in pairwise(units))
