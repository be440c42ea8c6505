"""What the kernel says of GPIO chips and of locks: asked without claiming anything.

Sources: linux/gpio.h (the second version of its interface); fcntl(2) of a lock that is only asked for.
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
_FLOCK = struct.Struct("hhqqi0q")
"""Kind, whence, start, length, process: `struct flock` with offsets of 64 bits."""
LINES = 28
"""Those of the 40-pin header; the first of the Pi's chip."""

Ioctl = Callable[[int, int, bytearray], object]


@dataclass(frozen=True, slots=True)
class Chip:
    """A GPIO chip: its device, the label of its driver, and who uses which line (by number)."""

    path: str
    label: str
    lines: int
    users: dict[int, str] = field(default_factory=dict)


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


def holder(path: str) -> int | None:
    """Which other process has locked a file or a device (0: one that cannot be seen from here).

    None where nobody has, or it cannot be opened. libcamera locks the media device of a camera in use,
    while any number of programs may have it open. A process that has locked it itself would lose that.
    """
    try:
        with _opened(path) as descriptor:
            asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, process = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    except OSError:
        return None
    return None if kind == fcntl.F_UNLCK else max(process, 0)


@contextmanager
def _opened(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _words(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
