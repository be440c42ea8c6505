"""The card machine's kernel in user mode: built as the lab's is, of what this machine wants of one.

Of the release itself and not of its backports, which need not trace their processes: RAUC 1.13 does not
understand what Linux 7.2 says of a device of dm-verity ("Unexpected dm-verity status"), and installs
nothing with it.
"""

from __future__ import annotations

from pathlib import Path

from tests.lab.kernel import SOURCE, build
from tests.lab.stock import ROOT, Item, digest

CONFIG = ROOT / "image-build" / "vm" / "kernel.config"

KERNEL = Item(
    "user-mode-linux",
    f"the stand-in machine's kernel in user mode ({SOURCE})",
    "150 MB to fetch, three to ten minutes",
    digest(CONFIG.read_bytes(), SOURCE),
    kept=2,
)


def user_mode_kernel() -> Path:
    """The program. Raises CannotBuildHere, and RuntimeError with what the compiler said."""
    return KERNEL.get(lambda made, room: build(made, room, CONFIG, KERNEL.log))
