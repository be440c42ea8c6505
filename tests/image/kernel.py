"""The card machine's kernel in user mode: built as the lab's is, of what this machine wants of one."""

from __future__ import annotations

from pathlib import Path

from tests.lab.kernel import SOURCES, build
from tests.lab.stock import ROOT, Item, digest

CONFIG = ROOT / "image-build" / "vm" / "kernel.config"

KERNEL = Item(
    "user-mode-linux",
    "the stand-in machine's kernel in user mode",
    "150 MB to fetch, three to ten minutes",
    digest(CONFIG.read_bytes(), repr(SOURCES)),
    kept=2,
)


def user_mode_kernel() -> Path:
    """The program. Raises CannotBuildHere, and RuntimeError with what the compiler said."""
    return KERNEL.get(lambda made, room: build(made, room, CONFIG, KERNEL.log))
