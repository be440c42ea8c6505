"""Files that are there whole, the old one or the new, whatever ends in the middle of writing them.

What returns without an error is on the disk: content, name, and who may read it. No link is followed: what
root writes or reads in a folder of somebody else's is not to be what that one points at.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path

log = logging.getLogger(__name__)

PRIVATE_MODE = 0o600
NEW = ".new"
"""The ending of a file that is being written; one that is found was given up."""


def write_whole(
    file: Path, data: bytes, mode: int = PRIVATE_MODE, *, of_folder: bool = True
) -> None:
    """Write beside `file`, synced, and put it in its place, readable by this user alone unless `mode` says
    otherwise. What root writes belongs to whom the folder does, who is to read it; or to root, without
    `of_folder`.

    Blocks until the disk has it; raises OSError, and then the old file is there as it was.
    """
    new = file.with_name(file.name + NEW)
    with open(new, "wb", opener=private) as writing:
        writing.write(data)
        writing.flush()
        # before it has its name: none is to find it locked
        _belongs(writing.fileno(), file.parent if of_folder else None, mode)
        os.fsync(writing.fileno())
    rename(new, file)


def read_private(file: Path) -> bytes:
    """What a file holds that is for this user alone; what a copy or a backup has opened to others is closed
    again first, and told. Blocks. Raises OSError.
    """
    with open(file, "rb", opener=_waiting_for_nobody) as reading:
        found = os.fstat(reading.fileno()).st_mode
        if not stat.S_ISREG(found):
            raise OSError(errno.EINVAL, "it is no file", str(file))
        if stat.S_IMODE(found) & ~PRIVATE_MODE:
            os.fchmod(reading.fileno(), PRIVATE_MODE)
            log.warning("%s was open to others (%04o); it is no longer", file, stat.S_IMODE(found))
        return reading.read()


def rename(file: Path, name: Path) -> None:
    """Give a file another name in its folder, synced: in the place of what has it. Raises OSError."""
    file.replace(name)
    sync_folder(name.parent)  # or the new name may be lost with the power


def private_folder(folder: Path, mode: int = 0o700) -> None:
    """Make a folder, for this user alone unless `mode` says so, and what is missing above it, synced.

    One that root makes belongs to whom the one above it does. Raises OSError.
    """
    if not folder.is_dir():
        private_folder(folder.parent, mode)
        try:
            folder.mkdir(mode=mode, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder) from None
        if os.geteuid() == 0:
            above = folder.parent.stat()
            os.chown(folder, above.st_uid, above.st_gid, follow_symlinks=False)
            sync_folder(folder)
        sync_folder(folder.parent)  # or all that is written into it may be lost with the power


def sync_folder(folder: Path) -> None:
    """Return once the disk has each name in it, and has forgotten those that are gone; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private(path: str, flags: int) -> int:
    """An opener for `open`: what it makes is readable by this user alone, and no link is followed."""
    return os.open(path, flags | os.O_NOFOLLOW, PRIVATE_MODE)


def _waiting_for_nobody(path: str, flags: int) -> int:
    """An opener that follows no link, and does not wait for the other end of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _belongs(descriptor: int, folder: Path | None, mode: int) -> None:
    os.fchmod(descriptor, mode)
    if os.geteuid() == 0 and folder is not None:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
