"""GPIO chips, read by ioctl: as the kernel lays them out, and where there are none."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

from appliance.service.doctor.device_files import (
    GPIO_GET_CHIPINFO,
    GPIO_V2_GET_LINEINFO,
    Chip,
    holder,
    read_chip,
)


class Kernel:
    """Answers as linux/gpio.h says; written from these, field by field."""

    def __init__(self) -> None:
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
        return 0


def test_a_gpio_chip_says_who_uses_which_line(tmp_path: Path) -> None:
    node = tmp_path / "gpiochip0"
    node.touch()
    kernel = Kernel()
    chip = read_chip(str(node), kernel.ioctl)
    assert chip == Chip(str(node), "pinctrl-bcm2711", 58, {2: "the kernel", 17: "lg"})
    assert kernel.asked == list(range(28))


def test_what_is_not_there_and_what_is_something_else(tmp_path: Path) -> None:
    assert read_chip(str(tmp_path / "none")) is None
    other = tmp_path / "file"
    other.touch()
    assert read_chip(str(other)) is None


LOCKS = """
import fcntl, sys
file = open(sys.argv[1], "r+")
print("open", flush=True)
sys.stdin.readline()
fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("locked", flush=True)
sys.stdin.readline()
"""


def test_who_has_locked_a_device_is_told_and_who_has_it_open_is_not(tmp_path: Path) -> None:
    node = tmp_path / "media0"
    node.touch()
    command = [sys.executable, "-c", LOCKS, str(node)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin
        assert other.stdout
        assert other.stdout.readline() == "open\n"
        assert holder(str(node)) is None
        print(file=other.stdin, flush=True)
        assert other.stdout.readline() == "locked\n"
        assert holder(str(node)) == other.pid
        assert holder(str(node)) == other.pid, "asking took nothing away"
        print(file=other.stdin, flush=True)
    assert holder(str(node)) is None
    assert holder(str(tmp_path / "nothing")) is None
