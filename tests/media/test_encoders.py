"""Which encoder, and the one in software."""

from __future__ import annotations

import time

import pytest

from appliance.media.base import AccessUnit
from appliance.media.camera import PiCamera
from appliance.media.card import read_counter
from appliance.media.encoders import Kind
from appliance.model import DeviceException
from tests.media.videosource import (
    Film,
    decoded,
)
from tests.parts.pi import Pi, pi, plan, refused, wait

__all__ = ["pi"]


@pytest.mark.parametrize(
    ("kind", "there", "encoder"),
    [
        ("auto", True, "v4l2"),
        ("auto", False, "software"),
        ("v4l2", True, "v4l2"),
        ("software", True, "software"),
    ],
)
def test_what_encodes_is_what_is_there_and_wanted(
    pi: Pi, kind: Kind, there: bool, encoder: str
) -> None:
    pi.kernel.has_encoder = there
    camera = PiCamera(plan(encoder=kind))
    Film(camera).take()
    assert camera.encoder == encoder
    camera.stop()


def test_hardware_that_is_demanded_and_not_there_is_said_so(pi: Pi) -> None:
    pi.kernel.has_encoder = False
    fault = refused(PiCamera(plan(encoder="v4l2")))
    assert fault.type is DeviceException.INVALID_ID
    assert 'encoder = "v4l2": this computer has no hardware encoder' in str(fault)


def test_a_webcam_is_encoded_in_software_and_leaves_out_what_is_too_much(pi: Pi) -> None:
    """It has one stream, another format, and cannot be told how fast to be."""
    pi.front.usb = True
    camera = PiCamera(plan(pi.front.model))
    film = Film(camera)
    taken = film.take(2)
    assert camera.encoder == "software"
    assert read_counter(decoded(taken)[-1]) is not None
    camera.set_framerate(10)
    film.take(8)
    slow = film.take(4)
    seen = camera.frame()
    camera.stop()
    assert seen is not None
    assert seen.shape == (180, 320, 3)
    assert slow[-1].pts_us - slow[0].pts_us > 3 * 80_000
    assert refused(PiCamera(plan(pi.front.model, "v4l2"))).type is DeviceException.INVALID_ID


def test_software_that_is_behind_leaves_out_what_is_old(pi: Pi) -> None:
    camera = PiCamera(plan(encoder="software"))
    ages: list[float] = []

    def slowly(unit: AccessUnit) -> None:
        ages.append(time.monotonic() - unit.pts_us / 1e6)
        time.sleep(0.1)

    camera.start(slowly, lambda _: None)
    wait(lambda: len(ages) >= 12)
    camera.stop()
    assert sorted(ages[2:])[len(ages) // 2] < 0.2, "6 buffers would be 0.6 s"


def test_an_encoder_that_another_program_has_is_occupied_or_done_without(pi: Pi) -> None:
    pi.kernel.busy_encoder = True
    fault = refused(PiCamera(plan(encoder="v4l2")))
    assert fault.type is DeviceException.DEVICE_OCCUPIED
    camera = PiCamera(plan())
    Film(camera).take()
    assert camera.encoder == "software"
    camera.stop()
