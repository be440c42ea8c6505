"""From the configuration to devices."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import pytest

from appliance.calls.effects import StartCapture, StopCapture
from appliance.calls.inputs import DeviceFailed, Input, PeerConnected
from appliance.config import Camera, Media, Recording
from appliance.media.base import Devices, SourceFailed
from appliance.media.camera import PiCamera
from appliance.media.card import read_counter
from appliance.media.equipment import Equipment
from appliance.media.synthetic import CardCamera
from appliance.model import CameraFacing, DeviceException
from tests.media.stranger import Stranger, until
from tests.media.studio_door import a_door
from tests.media.videosource import decoded
from tests.parts.pi import Pi, pi

__all__ = ["pi"]

FRONT, REAR = CameraFacing.FRONT, CameraFacing.REAR
MEDIA = Media(width=320, height=180, framerate=30, bitrate_kbps=300)


@dataclass
class Unit:
    data: bytes


def equipment(cameras: Mapping[CameraFacing, Camera]) -> Equipment:
    def post(_: Input) -> None: ...

    return Equipment(MEDIA, cameras, {}, (), Devices(), {}, Recording(), post)


async def test_each_camera_is_what_its_section_says_and_the_same_one_each_time() -> None:
    made = equipment({FRONT: Camera("0"), REAR: Camera("test-card")})
    front = made.camera(FRONT, lambda: None).source
    assert isinstance(front, PiCamera)
    assert isinstance(made.camera(REAR, lambda: None).source, CardCamera)
    assert made.camera(FRONT, lambda: None).source is front
    assert (front.width, front.height, front.framerate) == (320, 180, 30)
    with pytest.raises(SourceFailed, match=r"cameras\.rear") as caught:
        equipment({FRONT: Camera("0")}).camera(REAR, lambda: None)
    assert caught.value.type is DeviceException.INVALID_ID


async def test_a_camera_that_was_warm_while_it_rang_shows_its_picture_at_once(pi: Pi) -> None:
    """The core starts capture when a call goes out (tests/calls/test_outgoing.py); nobody looks yet."""
    made = equipment({FRONT: Camera("0")})
    live = made.camera(FRONT, lambda: None)
    await live.open()
    await until(lambda: live.began)
    await until(lambda: pi.front.numbers > 10)
    encoders = list(pi.kernel.opened)
    track = made.video.track()
    first = await asyncio.wait_for(track.recv(), 30)
    second = await asyncio.wait_for(track.recv(), 30)
    track.stop()
    await live.close()
    assert first.is_keyframe
    assert first.time_base == Fraction(1, 90_000)
    frames = decoded([Unit(bytes(packet)) for packet in (first, second)])  # type: ignore[misc]
    numbers = [read_counter(frame) for frame in frames]
    assert None not in numbers
    assert pi.kernel.opened == encoders
    assert len(encoders) == 1, "one encode for everybody, from the start"
    assert not pi.front.running


async def test_a_call_through_the_hardware_encoder_outlives_its_camera(pi: Pi) -> None:
    """It is unplugged in the middle of it, and seen again when it is back."""
    async with a_door(camera="imx708") as door:
        door.studio.perform(StartCapture(video=True))
        async with Stranger(tone_hz=660) as alice:
            await door.answer(alice)
            await door.next(PeerConnected)
            await until(lambda: len(alice.numbers) > 10, "pictures")
            assert None not in alice.numbers
            assert door.studio.status()["encoder"] == "v4l2"
            pi.front.plugged = False
            lost = await door.next(DeviceFailed)
            assert (lost.device, lost.type) == ("camera", DeviceException.DEVICE_UNPLUGGED)
            count = len(alice.numbers)
            pi.front.plugged = True
            while (await door.next(DeviceFailed)).type is not None:
                pass  # it was tried once more before it was back
            await until(lambda: len(alice.numbers) > count + 10, "pictures again")
            door.studio.perform(StopCapture())
            await until(lambda: not pi.front.running)
    assert not pi.front.busy
