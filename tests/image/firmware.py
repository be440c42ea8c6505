"""A stand-in for a Pi's boot firmware: reads a card as the documented bootloader does.

The documents: https://www.raspberrypi.com/documentation/computers/config_txt.html, the parts on
autoboot.txt (what boots, and once), conditional filters, and kernel, initramfs and cmdline of config.txt. A
Pi tells Linux in its device tree which partition it booted, and whether on trial
(chosen/bootloader/{partition,tryboot}); here `boot_partition=` and `boot_tryboot=` on the kernel's command
line tell it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.image.card import Card, NoSuchFile

AUTOBOOT_BYTES = 512
"""What of autoboot.txt is read."""
_ASKED = re.compile(r"reboot: Restarting system(?: with command '(?P<words>[^'\n]*)')?")


class DoesNotBoot(Exception):
    """A Pi would stop here, with its LED flashing; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Reset:
    """What a reset starts with: the words of `reboot WORDS`, which nothing but this one start sees."""

    partition: int = 0
    """0 is the one that autoboot.txt says."""
    tryboot: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """What is started: files of the host, and the kernel's command line."""

    partition: int
    kernel: Path
    initrd: Path | None
    cmdline: str


POWERED_ON = Reset()


def reset(console: str) -> Reset | None:
    """What the kernel asked for when it ended, in the last words of its console. None: it is off."""
    asked = list(_ASKED.finditer(console))
    if not asked:
        return None
    words = (asked[-1]["words"] or "").split()
    number = int(words[0]) if words and words[0].isdigit() else 0
    return Reset(number, "tryboot" in words)


def start(disk: Path, folder: Path, told: Reset = POWERED_ON) -> Start:
    """Read what boots of a card, into files in `folder`. Raises DoesNotBoot."""
    card = Card(disk)
    said = ""  # it is optional: the first partition boots then
    with contextlib.suppress(NoSuchFile):
        said = card.read(1, "autoboot.txt").decode("ascii", "replace")
    number, a_b = chosen(said, told)
    config_name = "tryboot.txt" if told.tryboot and not a_b else "config.txt"
    try:
        config = card.read(number, config_name).decode("utf-8", "replace")
        kernel_name, initrd_name, cmdline_name = _named(config, told)
        kernel, initrd = folder / "kernel", folder / "initrd"
        card.copy(number, kernel_name, kernel)
        if initrd_name is not None:
            card.copy(number, initrd_name, initrd)
        words = card.read(number, cmdline_name).decode("utf-8", "replace").split("\n")[0]
    except NoSuchFile as error:
        raise DoesNotBoot(f"partition {number}: {error}") from error
    cmdline = f"{words} boot_partition={number} boot_tryboot={int(told.tryboot)}"
    return Start(number, kernel, initrd if initrd_name is not None else None, cmdline)


def chosen(autoboot: str, told: Reset = POWERED_ON) -> tuple[int, bool]:
    """Which partition boots, and whether tryboot is of partitions (`tryboot_a_b`) and not of files.

    >>> chosen("[all]\\nboot_partition=2\\n[tryboot]\\nboot_partition=3\\n", Reset(tryboot=True))[0]
    3
    """
    partition, a_b = 0, False
    for name, value in _settings(autoboot[:AUTOBOOT_BYTES], told):
        if name == "boot_partition" and value.isdigit():
            partition = int(value)
        elif name == "tryboot_a_b":
            a_b = value == "1"
    return told.partition or partition or 1, a_b


def _named(config: str, told: Reset) -> tuple[str, str | None, str]:
    """The names of kernel, initramfs and command line in config.txt."""
    kernel, initrd, cmdline = "kernel8.img", None, "cmdline.txt"
    for name, value in _settings(config, told):
        if name == "kernel":
            kernel = value
        elif name == "cmdline":
            cmdline = value
        elif name == "initramfs":
            initrd = value.split()[0]
    return kernel, initrd, cmdline


def _settings(text: str, told: Reset) -> Iterator[tuple[str, str]]:
    """What is set, in its order: a later one of the same name wins. Filters of models pass for none."""
    passes = True
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("[") and line.endswith("]"):
            passes = line == "[all]" or (line == "[tryboot]" and told.tryboot)
        elif passes and line.startswith("initramfs "):  # the one that has no sign of equality
            yield "initramfs", line.removeprefix("initramfs ").strip()
        elif passes and "=" in line:
            name, _, value = line.partition("=")
            yield name.strip(), value.strip()
