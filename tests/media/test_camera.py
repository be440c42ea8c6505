"""Cameras: what all have in common, then the Pi's from outside."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from appliance.media import camera as camera_module
from appliance.media.base import AccessUnit, SourceFailed, VideoSource
from appliance.media.camera import PiCamera
from appliance.media.card import read_counter, read_facing
from appliance.media.encoders import Kind
from appliance.media.filming import Plan
from appliance.media.synthetic import CardCamera
from appliance.model import CameraFacing, DeviceException
from tests.media.videosource import (
    Film,
    VideoSourceContract,
    ViewfinderContract,
    decoded,
)
from tests.parts.pi import KINDS, Pi, pi, plan, refused, wait, works

__all__ = ["pi"]


class TestCardCamera(VideoSourceContract, ViewfinderContract):
    """The laptop's."""

    @pytest.fixture
    def source(self) -> VideoSource:
        return CardCamera(320, 180, 30, 400)


class TestHardwarePath(VideoSourceContract, ViewfinderContract):
    """picamera2 and its hardware encoder, on the stand-ins."""

    @pytest.fixture
    def source(self, pi: Pi) -> VideoSource:
        return PiCamera(plan(encoder="v4l2"))


class TestSoftwarePath(VideoSourceContract, ViewfinderContract):
    """picamera2's pictures into libx264, as on a Pi 5."""

    repeats = True

    @pytest.fixture
    def source(self, pi: Pi) -> VideoSource:
        pi.kernel.has_encoder = False
        return PiCamera(plan())


@pytest.mark.hardware
class TestRealCamera(VideoSourceContract, ViewfinderContract):
    """The first camera that libcamera lists, with what encodes here; APPLIANCE_CAMERA names another."""

    low_kbps = 150

    @pytest.fixture
    def source(self) -> VideoSource:
        if "libcamera" in sys.modules and not hasattr(sys.modules["libcamera"], "__file__"):
            pytest.skip("the stand-in is loaded: run it alone, by -m hardware")
        device = os.environ.get("APPLIANCE_CAMERA", "0")
        camera = PiCamera(Plan(device, "auto", 1280, 720, framerate=30, bitrate_kbps=1500))
        try:
            camera.locate()
        except SourceFailed as fault:
            pytest.skip(f"no camera: {fault}")
        return camera


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("device", "facing"),
    [
        ("0", CameraFacing.FRONT),
        ("1", CameraFacing.REAR),
        ("OV5647", CameraFacing.REAR),
        ("/base/i2c1/imx708@1a", CameraFacing.FRONT),
    ],
)
def test_a_camera_goes_by_its_number_its_model_or_its_id(
    pi: Pi, device: str, facing: CameraFacing, kind: Kind
) -> None:
    camera = PiCamera(plan(device, kind))
    film = Film(camera)
    frame = decoded(film.take(3))[-1]
    camera.stop()
    assert read_facing(frame) is facing
    assert read_counter(frame) is not None, "every pixel is where it belongs"


def test_two_cameras_run_at_once_and_one_takes_nothing_of_the_other_along(pi: Pi) -> None:
    front, rear = PiCamera(plan("0")), PiCamera(plan("1"))
    films = [Film(front), Film(rear)]
    facings = [read_facing(decoded(film.take(2))[-1]) for film in films]
    front.stop()
    films[1].take(20)
    rear.stop()
    assert facings == [CameraFacing.FRONT, CameraFacing.REAR]


def test_what_no_level_of_h264_carries_is_refused(pi: Pi) -> None:
    for kind in KINDS:
        fast = Plan("0", kind, 1920, 1088, framerate=240, bitrate_kbps=1000)
        assert "level 4.2" in str(refused(PiCamera(fast)))


@pytest.mark.parametrize("kind", KINDS)
def test_an_unplugged_camera_is_told_and_works_when_it_is_back(pi: Pi, kind: Kind) -> None:
    camera = PiCamera(plan(pi.front.model, kind))
    film = Film(camera)
    film.take(3)
    pi.front.plugged = False
    assert film.failure().type is DeviceException.DEVICE_UNPLUGGED
    count = film.units.qsize()
    camera.stop()
    assert film.units.qsize() == count, "after the failure nothing more comes"
    assert refused(camera).type is DeviceException.DEVICE_UNPLUGGED, "it was there before"
    pi.front.plugged = True
    works(camera)


@pytest.mark.parametrize("kind", KINDS)
def test_who_raises_at_a_picture_ends_the_camera_and_it_can_be_stopped(pi: Pi, kind: Kind) -> None:
    camera = PiCamera(plan(encoder=kind))
    failures: list[SourceFailed] = []

    def broken(_: AccessUnit) -> None:
        raise OSError("no room")

    camera.start(broken, failures.append)
    wait(lambda: bool(failures))
    assert "no room" in str(failures[0])
    camera.stop()


def test_stopping_returns_even_where_the_driver_does_not(
    pi: Pi, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = PiCamera(plan(pi.front.model))
    film = Film(camera)
    film.take()
    pi.front.hangs = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(camera_module, "STOP_LIMIT_S", 0.2)
        camera.stop()
    assert camera.lingers
    assert refused(camera).type is DeviceException.MEDIA_SERVICES_WERE_LOST
    pi.front.hangs.set()
    pi.front.hangs = None
    wait(lambda: not pi.front.busy)
    wait(lambda: not any(thread.name == "camera" for thread in threading.enumerate()))
    works(camera)
