"""The thread that owns a camera: how many pictures it takes, and what it watches."""

from __future__ import annotations

import time

import pytest

from appliance.media.camera import PiCamera
from appliance.media.encoders import Kind
from appliance.model import DeviceException
from tests.media.videosource import (
    Film,
)
from tests.parts.pi import KINDS, Pi, pi, plan, works

__all__ = ["pi"]


def test_the_frame_rate_goes_to_the_sensor(pi: Pi) -> None:
    camera = PiCamera(plan())
    film = Film(camera)
    film.take(2)
    camera.set_framerate(10)
    film.take(10)
    before, _ = pi.front.numbers, film.take(5)
    drawn = pi.front.numbers - before
    camera.stop()
    assert drawn <= 8, "of which a sensor at 30 would have taken 15"


def test_a_camera_that_goes_silently_is_looked_up(pi: Pi) -> None:
    camera = PiCamera(plan(pi.front.model))
    film = Film(camera)
    film.take(3)
    pi.front.mute = True
    pi.front.listed = False
    assert film.failure().type is DeviceException.DEVICE_UNPLUGGED
    camera.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_a_camera_that_gives_nothing_for_3_s_has_failed(pi: Pi, kind: Kind) -> None:
    camera = PiCamera(plan(pi.front.model, kind))
    film = Film(camera)
    film.take(3)
    pi.front.mute = True
    since_s = time.monotonic()
    fault = film.failure()
    assert fault.type is DeviceException.ZERO_CAPTURE_FPS
    assert time.monotonic() - since_s > 2.5
    camera.stop()
    pi.front.mute = False
    works(camera)


def test_a_resting_camera_is_watched_as_well(pi: Pi) -> None:
    camera = PiCamera(plan(pi.front.model))
    film = Film(camera)
    film.take(2)
    camera.rest(True)
    pi.front.plugged = False
    assert film.failure().type is DeviceException.DEVICE_UNPLUGGED
    camera.stop()
