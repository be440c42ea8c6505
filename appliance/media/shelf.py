"""Where recordings lie: their names, whose are ours, and room for them."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.media.boxes import can_be_played
from appliance.whole_file import private_folder, sync_folder

SUFFIX = ".mp4"
OURS = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ_[a-z0-9_-]{1,8}(\.\d+)?\.mp4")
"""`<UTC time>_<the first eight of the call's id>.mp4`; what has another name is never touched."""
CALL_ID_LENGTH = 8
MIN_FREE_BYTES = 50_000_000
"""What is to be left on the disk for everything else."""
MEGABYTE = 1_000_000


class NoRoom(ApplianceError):
    """A recording cannot begin or go on; the message is a sentence."""

    code = "recording_failed"


class Shelf:
    """A folder of recordings that takes `max_mb` megabytes at most."""

    def __init__(self, folder: Path, max_mb: int) -> None:
        """The folder need not be there yet."""
        self.folder = folder
        self._max_mb = max_mb

    def open(self, call_id: str, at: datetime) -> tuple[Path, int]:
        """Make room, and an empty file that only we can read: its path and its descriptor.

        Raises NoRoom.
        """
        stem = f"{at:%Y-%m-%dT%H-%M-%SZ}_{re.sub('[^a-z0-9_-]', '_', call_id)[:CALL_ID_LENGTH]}"
        try:
            private_folder(self.folder)
            self.make_room()
            return self._create(stem)
        except OSError as fault:
            raise NoRoom(
                f"no recording can be kept in {self.folder}: {fault.strerror or fault}"
            ) from fault

    def clear(self) -> list[Path]:
        """Delete what a sudden end left of a recording that had just begun: nobody can play it; those.

        Not while one is written. Raises OSError.
        """
        begun = []
        for path in self.recordings() if self.folder.is_dir() else ():
            with path.open("rb") as file:
                if not can_be_played(file):
                    begun.append(path)
        for path in begun:
            path.unlink()
        return begun

    def make_room(self, writing: Path | None = None) -> None:
        """Delete the oldest recordings but `writing` until the limit is kept, and the disk has room.

        Raises NoRoom where that one alone takes more, or the disk is nearly full without them; OSError.
        """
        sizes = {path: size for path in self.recordings() if (size := _size(path)) is not None}
        total, limit = sum(sizes.values()), self._max_mb * MEGABYTE
        for path, size in sizes.items():
            if total > limit and path != writing:
                path.unlink(missing_ok=True)
                total -= size
        if total > limit:
            raise NoRoom(f"the recording has reached the {self._max_mb} MB of [recording] max_mb")
        others = {path: size for path, size in sizes.items() if path != writing and path.exists()}
        wanted = MIN_FREE_BYTES - self._free_bytes()
        if wanted > sum(others.values()):  # then nothing is gained by deleting them
            raise NoRoom(
                f"less than {MIN_FREE_BYTES // MEGABYTE} MB are free on the disk of {self.folder}"
            )
        for path, size in others.items():
            if wanted <= 0:
                break
            path.unlink(missing_ok=True)
            wanted -= size

    def _free_bytes(self) -> int:
        free = os.statvfs(self.folder)
        return free.f_bavail * free.f_frsize

    def recordings(self) -> list[Path]:
        """Ours, the oldest first."""
        return sorted(
            path
            for path in self.folder.iterdir()
            if OURS.fullmatch(path.name) and path.is_file() and not path.is_symlink()
        )

    def _create(self, stem: str) -> tuple[Path, int]:
        number = 1
        while True:
            name = f"{stem}{f'.{number}' if number > 1 else ''}{SUFFIX}"
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                file = os.open(self.folder / name, flags, 0o600)
            except FileExistsError:
                number += 1  # the second one within a second
            else:
                sync_folder(self.folder)  # the name is to survive a power cut too
                return self.folder / name, file


def _size(path: Path) -> int | None:
    """None where somebody has deleted it meanwhile."""
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return None
