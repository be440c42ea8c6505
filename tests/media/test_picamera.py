"""What an open camera is told and what it gives."""

from __future__ import annotations

import time

import pytest

from appliance.media import picamera
from appliance.media.camera import PiCamera
from tests.media.videosource import Film
from tests.parts.pi import Pi, pi, plan, works

__all__ = ["pi"]


def test_the_small_picture_comes_from_the_camera_and_not_from_an_encoder(pi: Pi) -> None:
    camera = PiCamera(plan(width=1280, height=720))
    Film(camera).take()
    frame = camera.frame()
    picture = camera.picture()
    camera.stop()
    assert frame is not None
    assert frame.shape == (360, 640, 3)
    assert picture is not None
    assert len(pi.kernel.opened) == 1, "one encoder"


def test_a_lens_that_moves_focuses_by_itself_and_no_other_is_told_to(pi: Pi) -> None:
    works(PiCamera(plan(pi.front.model)))
    works(PiCamera(plan(pi.rear.model)))
    assert pi.front.told["AfMode"] == 2
    assert pi.front.told["FrameDurationLimits"] == (33_333, 33_333)
    assert "AfMode" not in pi.rear.told


def test_a_time_stamp_is_of_the_monotonic_clock_whichever_clock_the_driver_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asleep_s = 3600.0
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    monkeypatch.setattr(time, "clock_gettime", lambda _: 100.0 + asleep_s)
    assert picamera.monotonic_us(99_970_000_000) == 99_970_000
    assert picamera.monotonic_us(3_699_970_000_000) == 99_970_000
    assert picamera.monotonic_us(5_000_000_000) == 5_000_000, "of neither: as it is"
