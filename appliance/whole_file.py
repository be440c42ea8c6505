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
    _sync(file.parent)  # or the new name may be lost with the power


def private_folder(folder: Path) -> None:
    """Make a folder for this user alone, and what is missing above it, synced; raises OSError."""
    if not folder.is_dir():
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync(folder.parent)  # or all that is written into it may be lost with the power


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private(path: str, flags: int) -> int:
    """An opener for `open`: what it makes is readable by this user alone, and no link is followed."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
