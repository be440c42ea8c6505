"""GPIO chips and video devices, read by ioctl: as the kernel lays them out, and where there are none."""

from __future__ import annotations

import errno
import struct
from pathlib import Path

import pytest

from appliance.service.doctor.device_files import (
    GPIO_GET_CHIPINFO,
    GPIO_V2_GET_LINEINFO,
    VIDIOC_QUERYCAP,
    Chip,
    VideoDevice,
    read_chip,
    read_video_device,
)


class Kernel:
    """Answers as linux/gpio.h and linux/videodev2.h say; written from these, field by field."""

    def __init__(self, capabilities: int = 0, device_caps: int = 0) -> None:
        self.capabilities, self.device_caps = capabilities, device_caps
        self.asked: list[int] = []

    def ioctl(self, descriptor: int, request: int, raw: bytearray) -> int:
        assert descriptor > 2
        # the size stands in the request: _IOC(direction, type, number, size)
        assert len(raw) == request >> 16 & 0x3FFF
        if request == GPIO_GET_CHIPINFO:
            raw[:] = b"gpiochip0".ljust(32, b"\0") + b"pinctrl-bcm2711".ljust(32, b"\0")
            raw += struct.pack("=I", 58)
        elif request == GPIO_V2_GET_LINEINFO:
            (offset,) = struct.unpack_from("=I", raw, 64)
            self.asked.append(offset)
            consumer = {17: b"lg", 2: b""}.get(offset, b"")
            raw[32:64] = consumer.ljust(32, b"\0")
            struct.pack_into("=Q", raw, 72, 1 if offset in (2, 17) else 0)
        elif request == VIDIOC_QUERYCAP:
            raw[0:16] = b"bcm2835-codec".ljust(16, b"\0")
            raw[16:48] = b"bcm2835-codec-encode".ljust(32, b"\0")
            struct.pack_into("=III", raw, 80, 0x60600, self.capabilities, self.device_caps)
        return 0


def test_a_gpio_chip_says_who_uses_which_line(tmp_path: Path) -> None:
    node = tmp_path / "gpiochip0"
    node.touch()
    kernel = Kernel()
    chip = read_chip(str(node), kernel.ioctl)
    assert chip == Chip(str(node), "pinctrl-bcm2711", 58, {2: "the kernel", 17: "lg"})
    assert kernel.asked == list(range(28))


@pytest.mark.parametrize(
    ("capabilities", "device_caps", "encodes"),
    [
        (0x84208000, 0x04204000, True),
        (0x84208000, 0x04200001, False),
        (0x00008000, 0, True),
        (0x00000001, 0, False),
    ],
)
def test_a_video_device_says_whether_it_encodes(
    tmp_path: Path, capabilities: int, device_caps: int, encodes: bool
) -> None:
    node = tmp_path / "video11"
    node.touch()
    device = read_video_device(str(node), Kernel(capabilities, device_caps).ioctl)
    assert device == VideoDevice("bcm2835-codec", "bcm2835-codec-encode", encodes)


def test_what_is_not_there_and_what_is_something_else(tmp_path: Path) -> None:
    assert read_video_device(str(tmp_path / "none")) is None
    assert read_chip(str(tmp_path / "none")) is None
    other = tmp_path / "file"
    other.touch()
    assert read_chip(str(other)) is None
    with pytest.raises(OSError) as told:
        read_video_device(str(other))
    assert told.value.errno == errno.ENOTTY
