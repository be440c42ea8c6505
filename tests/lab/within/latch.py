"""Lines that keep their level when they are let go, as those of a Pi do and those of gpio-sim do not.

A simulated line that nobody drives has the level to which it is pulled. So it is pulled to wherever it is
driven: a moment after it was changed, and at once when somebody claims it, before that program goes on.

    python latch.py 27
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import sys
from pathlib import Path

CHIP = Path("/run/lab-pins")

_INFO = struct.Struct("=32s32sIIQ160s16x")
"""linux/gpio.h: gpio_v2_line_info; name, consumer, offset, number of attributes, flags, attributes."""
_CHANGE = struct.Struct(f"={_INFO.size}sQI20x")
"""gpio_v2_line_info_changed; its information, when, and what: 1 is claimed."""
_WATCH = 3 << 30 | _INFO.size << 16 | 0xB4 << 8 | 0x06
_OUTPUT = 1 << 3
_LOOK_S = 0.02


def main(pin: int) -> None:
    """Look after one line until it is ended."""
    line = CHIP / f"sim_gpio{pin}"
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # before whoever claims it goes on
    chip = os.open(f"/dev/{CHIP.resolve().name}", os.O_RDWR)
    told = _INFO.unpack(fcntl.ioctl(chip, _WATCH, _INFO.pack(b"", b"", pin, 0, 0, b"")))
    flags = told[4]
    sys.stdout.write("looks\n")
    sys.stdout.flush()
    while True:
        if select.select([chip], [], [], _LOOK_S)[0]:
            info, _, _ = _CHANGE.unpack(os.read(chip, _CHANGE.size))
            flags = _INFO.unpack(info)[4]
        if flags & _OUTPUT and flags & 1:
            level = "up" if (line / "value").read_text().strip() == "1" else "down"
            (line / "pull").write_text(f"pull-{level}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
