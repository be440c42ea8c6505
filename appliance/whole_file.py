"""Files that are there whole, the old one or the new, whatever ends in the middle of writing them."""

from __future__ import annotations

import os
from pathlib import Path

NEW = ".new"
"""The ending of a file that is being written; one that is found was given up."""


def write_whole(file: Path, data: bytes) -> None:
    """Write beside `file`, synced, and put it in its place, readable by this user alone.

    Blocks until the disk has it; raises OSError, and then the old file is there as it was.
    """
    new = file.with_name(file.name + NEW)
    with open(new, "wb", opener=private) as writing:
        writing.write(data)
        writing.flush()
        os.fsync(writing.fileno())
    new.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # or the new name may be lost with the power
    finally:
        os.close(folder)


def private(path: str, flags: int) -> int:
    """An opener for `open`: what it makes is readable by this user alone, and no link is followed."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
