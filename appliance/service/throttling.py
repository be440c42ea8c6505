"""The flags by which a Pi's firmware tells of heat and of a weak supply: for daemon and doctor.

Sources: raspberrypi.com, "get_throttled"; Raspberry Pi's Linux, drivers/firmware/raspberrypi.c and
drivers/hwmon/raspberrypi-hwmon.c (6.6). A Pi's own kernel has the firmware's word as a file of the device
that its driver has, whose name is the device tree's (`soc:firmware` up to the Pi 4,
`soc@107c000000:firmware` on the Pi 5); so it is looked for by the driver. Other kernels have the driver
and not the file. The kernel asks for the word every two seconds and has what was forgotten with it, so of
that word the upper half is of the last two seconds, and of vcgencmd's it is since the start. A weak
supply is also an alarm of hwmon's, which lasts those two seconds where the flag of now may never be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

WEAK, LIMITED, THROTTLED, CLOSE = 1 << 0, 1 << 1, 1 << 2, 1 << 3
HEAT = LIMITED | THROTTLED | CLOSE
SINCE_START = 16
"""So many bits higher stands whether it was so at some time since the start."""

FIRMWARE = "bus/platform/drivers/raspberrypi-firmware"
"""Below /sys: the driver, with a link to each of its devices (one)."""
FLAGS = "get_throttled"
MONITORS = "class/hwmon"
SUPPLY, ALARM = "rpi_volt", "in0_lcrit_alarm"

_WORDS = {
    WEAK: "its supply is too weak",
    LIMITED: "the processor's clock is limited by the heat",
    THROTTLED: "the processor is throttled",
    CLOSE: "it is close to its limit of heat",
}


class Files(Protocol):
    """Who reads /sys, by whole paths; raises nothing."""

    def text(self, path: str) -> str | None:
        """What a small file holds; None: it cannot be read."""

    def names(self, folder: str) -> Sequence[str]:
        """What lies in a folder; nothing where there is none."""


def words(flags: int) -> str:
    """What of them is so now, in words; empty: nothing."""
    return ", ".join(said for flag, said in _WORDS.items() if flags & flag)


def firmware(files: Files, root: str = "/sys") -> int | None:
    """The firmware's word as the kernel has it; None: this kernel has no file for it."""
    for device in files.names(f"{root}/{FIRMWARE}"):
        if (found := parsed(files.text(f"{root}/{FIRMWARE}/{device}/{FLAGS}"))) is not None:
            return found
    return None


def alarm(files: Files, root: str = "/sys") -> bool | None:
    """Whether the supply was too weak within the last two seconds; None: nobody measures it."""
    for monitor in files.names(f"{root}/{MONITORS}"):
        folder = f"{root}/{MONITORS}/{monitor}"
        if (files.text(f"{folder}/name") or "").strip() == SUPPLY:
            said = (files.text(f"{folder}/{ALARM}") or "").strip()
            return said == "1" if said in ("0", "1") else None
    return None


def read(files: Files, root: str = "/sys") -> int | None:
    """The flags, an alarm among them; None: the kernel tells neither."""
    flags, weak = firmware(files, root), alarm(files, root)
    if weak is None:
        return flags
    return (flags or 0) | (WEAK if weak else 0)


def parsed(said: str | None) -> int | None:
    """Flags from hexadecimal text; None where it is none."""
    try:
        found = int(said, 16) if said else None
    except ValueError:
        return None
    return None if found is None or found < 0 else found
