"""What encodes a camera's pictures: the hardware where there is some and it is wanted, else libx264."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from appliance.media.base import AccessUnit, SourceFailed
from appliance.media.encoding import H264Encoder
from appliance.media.opening import explained
from appliance.media.picamera import Eye, Taken
from appliance.model import DeviceException
from appliance.video_device import ENCODER, read_video_device

logger = logging.getLogger(__name__)

Kind: TypeAlias = Literal["auto", "v4l2", "software"]


class PictureEncoder(Protocol):
    """Encodes what a camera takes, and delivers access units. Belongs to the camera's thread."""

    @property
    def name(self) -> str:
        """What encodes: software or v4l2."""

    def encode(self, taken: Taken, /) -> None:
        """Encode it, or leave it out where it cannot keep up. Raises SourceFailed once it is gone."""

    def request_keyframe(self) -> None:
        """Make the next picture a keyframe."""

    def again(self, framerate: int, /) -> bool:
        """Encode the latest picture once more, as a keyframe; False where the next one is to be it."""

    def set_bitrate(self, kbps: int, /) -> None:
        """Aim at that from the next picture on; at most the first one. Raises SourceFailed."""

    def set_framerate(self, framerate: int, /) -> None:
        """So many pictures a second come from now on: the bitrate is for all of them together."""

    def check(self, patience_s: float, /) -> None:
        """Raises SourceFailed where it is gone, or has done nothing for longer than that."""

    def close(self) -> None:
        """Release it; nothing is delivered after."""


class SoftwareEncoder:
    """libx264 on the camera's thread."""

    name = "software"

    def __init__(
        self,
        size: tuple[int, int],
        framerate: int,
        bitrate_kbps: int,
        deliver: Callable[[AccessUnit], None],
    ) -> None:
        """Raises SourceFailed for what no H.264 of a call can carry."""
        try:
            self._h264 = H264Encoder(*size, framerate, bitrate_kbps)
        except ValueError as fault:
            raise SourceFailed(DeviceException.GENERIC, str(fault)) from fault
        self._deliver = deliver

    def encode(self, taken: Taken) -> None:
        """Encode it, unless the next one is there already: then it is late."""
        if taken.newest:
            self._deliver(self._h264.encode(taken.frame(), taken.at_us))

    def request_keyframe(self) -> None:
        """Make the next picture a keyframe."""
        self._h264.request_keyframe()

    def again(self, framerate: int) -> bool:
        """Where the next one is not about to come."""
        unit = self._h264.again(framerate)
        if unit is not None:
            self._deliver(unit)
        return unit is not None

    def set_bitrate(self, kbps: int) -> None:
        """Aim at that from the next picture on."""
        self._h264.set_bitrate(kbps)

    def set_framerate(self, framerate: int) -> None:
        """It goes by the time stamps."""

    def check(self, patience_s: float) -> None:
        """It owes nothing: it gives each picture at once."""

    def close(self) -> None:
        """It has nothing but memory."""


def picture_encoder(
    kind: Kind,
    eye: Eye,
    framerate: int,
    bitrate_kbps: int,
    deliver: Callable[[AccessUnit], None],
) -> PictureEncoder:
    """What is configured, for the pictures that the camera gives now. Raises SourceFailed."""
    if uses_hardware(kind, eye):
        try:
            return _hardware(eye, framerate, bitrate_kbps, deliver)
        except SourceFailed as fault:
            if kind != "auto":
                raise
            logger.warning("%s; encoding in software", fault)
    return SoftwareEncoder(eye.size, framerate, bitrate_kbps, deliver)


def uses_hardware(kind: Kind, eye: Eye) -> bool:
    """Whether to encode in hardware. Raises SourceFailed where it is demanded and there is none."""
    if kind == "software":
        return False
    missing = eye.not_for_hardware or no_hardware()
    if missing and kind == "v4l2":
        sentence = f'[media] encoder = "v4l2": {missing}; "auto" and "software" encode without'
        raise SourceFailed(DeviceException.INVALID_ID, sentence)
    return not missing


def no_hardware() -> str:
    """Why this computer has no encoder that picamera2 could use; empty where it has one."""
    try:
        device = read_video_device(ENCODER)
    except OSError:
        return ""  # there is one; who opens it is told what is wrong with it
    if device is None:
        return f"this computer has no hardware encoder ({ENCODER} is not there)"
    if not device.memory_to_memory:
        return f"{ENCODER} is no encoder"
    return ""


def _hardware(
    eye: Eye, framerate: int, bitrate_kbps: int, deliver: Callable[[AccessUnit], None]
) -> PictureEncoder:
    try:
        v4l2 = importlib.import_module("appliance.media.v4l2")
    except Exception as error:  # picamera2 of another make than those that were seen
        raise explained("picamera2's encoder cannot be used", error) from error
    encoder: PictureEncoder = v4l2.HardwareEncoder(
        eye.layout("main"), framerate, bitrate_kbps, deliver
    )
    return encoder
