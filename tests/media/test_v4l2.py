"""The hardware encoder: picamera2's class over the ioctls of a stand-in."""

from __future__ import annotations

import errno
from itertools import pairwise

import pytest

from appliance.media.base import AccessUnit, SourceFailed
from appliance.media.camera import PiCamera
from appliance.media.card import read_counter
from appliance.media.encoders import Kind
from appliance.media.filming import Plan
from appliance.model import DeviceException
from appliance.video_device import VIDIOC_QUERYCAP
from tests.media.videosource import (
    Film,
    decoded,
)
from tests.parts.pi import Pi, pi, plan, wait, works

__all__ = ["pi"]

AT_A_QUARTER: tuple[tuple[Kind, tuple[int, int], str], ...] = (
    ("auto", (40, 22), "software"),
    ("v4l2", (160, 90), "v4l2"),
)


def test_the_bitrate_goes_to_the_driver_while_it_runs_in_its_own_steps(pi: Pi) -> None:
    camera = PiCamera(plan(encoder="v4l2"))
    film = Film(camera)
    film.take(2)
    encoder = pi.kernel.opened[-1]
    assert encoder.bitrate == 400_000
    for kbps, bit_s in ((210, 200_000), (1, 25_000), (9_000, 400_000)):
        camera.set_bitrate(kbps)
        film.take(8)
        assert encoder.bitrate == bit_s
    camera.stop()


def test_the_frame_rate_goes_to_the_driver_which_shares_the_bitrate_out_by_it(pi: Pi) -> None:
    camera = PiCamera(plan(encoder="v4l2"))
    film = Film(camera)
    film.take(2)
    encoder = pi.kernel.opened[-1]
    assert encoder.framerate == 30
    camera.set_framerate(10)
    wait(lambda: encoder.framerate == 10)
    film.take(2)
    camera.set_scale(2)
    wait(lambda: len(pi.kernel.opened) == 2)
    film.take(8)
    assert pi.kernel.opened[-1].framerate == 10
    camera.stop()


def test_what_is_too_small_for_it_is_left_to_software_or_stays_as_it_is(pi: Pi) -> None:
    for kind, size, encoder in AT_A_QUARTER:
        camera = PiCamera(Plan("0", kind, 160, 90, framerate=30, bitrate_kbps=100))
        film = Film(camera)
        film.take(2)
        assert camera.encoder == "v4l2"
        camera.set_scale(4)
        smallest = decoded(film.until(lambda unit: unit.keyframe)[-1:])[0]
        assert (smallest.width, smallest.height) == (camera.width, camera.height) == size
        assert camera.encoder == encoder
        camera.stop()


def test_an_encoder_that_is_behind_gets_fewer_pictures_and_needs_no_keyframe(pi: Pi) -> None:
    camera = PiCamera(plan(encoder="v4l2"))
    film = Film(camera)
    taken = film.take(3)
    pi.kernel.holds = True
    taken_before = pi.front.numbers
    wait(lambda: pi.front.numbers > taken_before + 20)
    pi.kernel.let_go()
    taken += film.take(20)
    camera.stop()
    assert [unit.keyframe for unit in taken] == [True] + 22 * [False]
    numbers = [read_counter(frame) for frame in decoded(taken)]
    assert None not in numbers
    steps = [(later or 0) - (earlier or 0) for earlier, later in pairwise(numbers)]
    assert max(steps) > 10, "those that it could not take are left out, not queued"


@pytest.mark.parametrize("how", ["gone", "stuck", "errors"])
def test_an_encoder_that_is_lost_is_told_and_the_camera_lets_go(pi: Pi, how: str) -> None:
    camera = PiCamera(plan(encoder="v4l2"))
    film = Film(camera)
    film.take(3)
    if how == "gone":
        pi.kernel.lose_encoder()
    elif how == "stuck":
        pi.kernel.holds = True
    else:
        pi.kernel.fails_with = errno.EIO
    assert film.failure().type is DeviceException.MEDIA_SERVICES_WERE_LOST
    camera.stop()
    pi.kernel.repair()
    works(camera)


def test_whatever_call_of_the_driver_fails_nothing_is_left_open(pi: Pi) -> None:
    """The first of each kind, from opening to the first picture, and the one after the first memory; the
    watch over the test looks for leaks."""
    works(PiCamera(plan(encoder="v4l2")))
    calls = pi.kernel.calls
    firsts = {calls.index(call) for call in calls} | {1, calls.index(0, calls.index(0) + 1)}
    assert len(firsts) > 10
    for number in sorted(firsts):
        pi.kernel.calls, pi.kernel.fails_at = [], number
        camera = PiCamera(plan(encoder="v4l2"))
        told: list[SourceFailed] = []
        units: list[AccessUnit] = []
        try:
            camera.start(units.append, told.append)
            wait(lambda: bool(told or units))  # noqa: B023
        except SourceFailed as fault:
            told.append(fault)
        looked = number <= calls.index(VIDIOC_QUERYCAP)
        only_looked = looked and calls[number] in (0, VIDIOC_QUERYCAP)
        if len(pi.kernel.calls) > number and not only_looked:
            wait(lambda: bool(told))  # noqa: B023
        camera.stop()
        assert not pi.kernel.open_encoders()
        assert not pi.front.busy
        assert not pi.rear.busy
    pi.kernel.fails_at = -1
    works(PiCamera(plan(encoder="v4l2")))
