"""`common.py FOLDER`: what the environments of several Pythons in FOLDER have in common lies there once.

Below FOLDER is a python<version> for each. A file that is the same in the first and in another is one file
with two names (a hard link), which dpkg keeps so. No folder is a link: dpkg would write through it when it
is none in the next version.
"""

from __future__ import annotations

import filecmp
import os
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Link them, and say what that saves."""
    first, *others = sorted(folder.iterdir())
    saved = 0
    for other in others:
        for file in sorted(other.rglob("*")):
            same = first / file.relative_to(other)
            if is_plain(file) and is_plain(same) and filecmp.cmp(file, same, shallow=False):
                saved += file.stat().st_size
                file.unlink()
                os.link(same, file)
    print(f"{saved / 1e6:.0f} MB of {', '.join(one.name for one in others)} are {first.name}'s")


def is_plain(file: Path) -> bool:
    """Whether it is a file, and no link to one."""
    return file.is_file() and not file.is_symlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
