"""A video device, read by ioctl: as linux/videodev2.h lays it out, and where there is none."""

from __future__ import annotations

import errno
import struct
from pathlib import Path

import pytest

from appliance.video_device import VIDIOC_QUERYCAP, VideoDevice, read_video_device


@pytest.mark.parametrize(
    ("capabilities", "device_caps", "encodes"),
    [
        (0x84208000, 0x04204000, True),
        (0x84204000, 0x04200001, False),
        (0x00004000, 0, True),
        (0x00008000, 0, False),
        (0x00000001, 0, False),
    ],
)
def test_a_video_device_says_whether_it_encodes(
    tmp_path: Path, capabilities: int, device_caps: int, encodes: bool
) -> None:
    def ioctl(descriptor: int, request: int, raw: bytearray) -> int:
        assert descriptor > 2
        assert request == VIDIOC_QUERYCAP
        # the size stands in the request: _IOC(direction, type, number, size)
        assert len(raw) == request >> 16 & 0x3FFF
        raw[0:16] = b"bcm2835-codec".ljust(16, b"\0")
        raw[16:48] = b"bcm2835-codec-encode".ljust(32, b"\0")
        struct.pack_into("=III", raw, 80, 0x60600, capabilities, device_caps)
        return 0

    node = tmp_path / "video11"
    node.touch()
    device = read_video_device(node, ioctl)
    assert device == VideoDevice("bcm2835-codec", "bcm2835-codec-encode", encodes)


def test_what_is_not_there_and_what_is_something_else(tmp_path: Path) -> None:
    assert read_video_device(tmp_path / "none") is None
    other = tmp_path / "file"
    other.touch()
    with pytest.raises(OSError) as told:
        read_video_device(other)
    assert told.value.errno == errno.ENOTTY
