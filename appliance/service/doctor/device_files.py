"""What the kernel says of GPIO chips and video devices: read by ioctl, without claiming anything.

Sources: linux/gpio.h (the second version of its interface) and linux/videodev2.h.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

GPIO_GET_CHIPINFO = 0x8044B401
_CHIPINFO = struct.Struct("32s32sI")
GPIO_V2_GET_LINEINFO = 0xC100B405
_LINEINFO = struct.Struct("32s32sIIQ176x")
_LINE_USED = 1
LINES = 28
"""Those of the 40-pin header; the first of the Pi's chip."""

VIDIOC_QUERYCAP = 0x80685600
_CAPABILITY = struct.Struct("16s32s32sIII12x")
_M2M_MPLANE, _M2M, _DEVICE_CAPS = 0x4000, 0x8000, 0x80000000

Ioctl = Callable[[int, int, bytearray], object]


@dataclass(frozen=True, slots=True)
class Chip:
    """A GPIO chip: its device, the label of its driver, and who uses which line (by number)."""

    path: str
    label: str
    lines: int
    users: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """A V4L2 device: driver, name, and whether it turns pictures into others, as an encoder does."""

    driver: str
    name: str
    memory_to_memory: bool


def read_chip(path: str, ioctl: Ioctl = fcntl.ioctl) -> Chip | None:
    """A GPIO chip; None where it cannot be opened or is none."""
    try:
        with _opened(path) as descriptor:
            raw = bytearray(_CHIPINFO.size)
            ioctl(descriptor, GPIO_GET_CHIPINFO, raw)
            _, label, lines = _CHIPINFO.unpack(raw)
            users = {}
            for line in range(min(lines, LINES)):
                raw = bytearray(_LINEINFO.size)
                _LINEINFO.pack_into(raw, 0, b"", b"", line, 0, 0)
                ioctl(descriptor, GPIO_V2_GET_LINEINFO, raw)
                _, consumer, _, _, flags = _LINEINFO.unpack(raw)
                if flags & _LINE_USED:
                    users[line] = _words(consumer) or "the kernel"
    except OSError:
        return None
    return Chip(path, _words(label), lines, users)


def read_video_device(path: str, ioctl: Ioctl = fcntl.ioctl) -> VideoDevice | None:
    """A video device; None where there is none. Raises OSError where it cannot be opened."""
    try:
        with _opened(path) as descriptor:
            raw = bytearray(_CAPABILITY.size)
            ioctl(descriptor, VIDIOC_QUERYCAP, raw)
    except FileNotFoundError:
        return None
    driver, card, _, _, all_, device = _CAPABILITY.unpack(raw)
    flags = device if all_ & _DEVICE_CAPS else all_
    return VideoDevice(_words(driver), _words(card), bool(flags & (_M2M | _M2M_MPLANE)))


@contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _words(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
