"""Terminals of this machine that something is shown on, whether or not anybody looks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import sys
import termios
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

TAKES_S = 10.0
"""A serial line is slow."""
CLEARED = "\x1b[2J\x1b[H"
USUAL = (80, 25)
"""Columns and rows where a terminal does not know its own."""
CONSOLE = Path("/dev/console")
ACTIVE = Path("/sys/class/tty/console/active")
"""To which terminals the kernel's console goes; who writes to it writes to the last."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """One of them."""

    path: Path

    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        with self._open() as descriptor:
            if descriptor is None:
                return USUAL
            try:
                rows, columns, *_ = struct.unpack(
                    "HHHH", fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8))
                )
            except OSError:
                return USUAL
        return columns or USUAL[0], rows or USUAL[1]

    def show(self, text: str) -> None:
        """In the place of what is there; what the terminal does not take is lost."""
        left = (CLEARED + text.replace("\n", "\r\n")).encode()
        ends_s = time.monotonic() + TAKES_S
        with self._open() as descriptor:
            if descriptor is None:
                return
            try:
                while left and time.monotonic() < ends_s:
                    if select.select([], [descriptor], [], 0.5)[1]:
                        left = left[os.write(descriptor, left) :]
            except OSError as error:
                sys.stderr.write(f"{self.path} takes nothing: {error.strerror}\n")

    @contextlib.contextmanager
    def _open(self) -> Iterator[int | None]:
        """Its descriptor, by which it becomes nobody's own terminal; None where it cannot be had."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            sys.stderr.write(f"{self.path} cannot be written to: {error.strerror}\n")
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def there(paths: Iterable[Path]) -> list[Terminal]:
    """Those of the paths that there are, each terminal once, though it may have two names."""
    found = {_name(path): path for path in reversed([*paths]) if path.exists()}
    return [Terminal(path) for path in reversed(found.values())]


def _name(path: Path) -> str:
    """What it is called when it is not meant as the console."""
    if path != CONSOLE:
        return path.name
    try:
        return ACTIVE.read_text().split()[-1]
    except (OSError, IndexError):
        return path.name
