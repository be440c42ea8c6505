"""What V4L2 says of a video device: read by ioctl, without claiming it. Source: linux/videodev2.h."""

from __future__ import annotations

import fcntl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ENCODER = Path("/dev/video11")
"""Where the kernel of every Pi before the Pi 5 has its encoder (bcm2835-codec); picamera2 opens this one
and no other.
"""
VIDIOC_QUERYCAP = 0x80685600
_CAPABILITY = struct.Struct("16s32s32sIII12x")
_M2M_MPLANE, _DEVICE_CAPS = 0x4000, 0x80000000

Ioctl = Callable[[int, int, bytearray], object]


@dataclass(frozen=True, slots=True)
class VideoDevice:
    """A V4L2 device: driver, name, and whether it turns pictures into others as picamera2's encoder does
    (from memory to memory, in several planes).
    """

    driver: str
    name: str
    memory_to_memory: bool


def read_video_device(path: Path, ioctl: Ioctl | None = None) -> VideoDevice | None:
    """A video device; None where there is none. Raises OSError where it cannot be opened, or is none."""
    raw = bytearray(_CAPABILITY.size)
    try:
        with path.open("rb+", buffering=0) as node:
            (ioctl or fcntl.ioctl)(node.fileno(), VIDIOC_QUERYCAP, raw)
    except FileNotFoundError:
        return None
    driver, card, _, _, all_, device = _CAPABILITY.unpack(raw)
    flags = device if all_ & _DEVICE_CAPS else all_
    return VideoDevice(_words(driver), _words(card), bool(flags & _M2M_MPLANE))


def _words(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
