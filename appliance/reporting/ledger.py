"""The call log on disk: a line of JSON for each change of an entry, and pictures in a folder beside it.

Blocking: to be used in threads, one for what writes and another for `sync` (`scribe.py`). `append` hands
over to the kernel, so a death of this process costs at most the line that was being written; `sync` is for
the power, which may be cut; when the file has grown it is written anew beside itself and put in its place.
Who stood at the door is nobody else's business: modes 0700 and 0600.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from appliance.model import CallDirection, CalleeState, CallEndReason, Caller, CallType, Receiver
from appliance.whole_file import NEW, private_folder, rename, write_whole

MIN_FREE_BYTES = 10_000_000
"""Of the disk, below which the oldest pictures make room."""
SPARE_LINES = 100
"""How many lines more than twice its entries the file may have before it is written anew."""


class CalleeEntry(Struct, frozen=True):
    """One invited uid and how far it came."""

    uid: str
    name: str | None
    state: CalleeState


class Entry(Struct):
    """One call: as it stands while it runs (`reason` is null), and as it was."""

    id: str
    """Of the event with which it began: a session that is entered twice has two entries."""
    call_id: str
    session_id: str | None = None
    direction: CallDirection | None = None
    type: CallType | None = None
    caller: Caller | None = None
    receiver: Receiver | None = None
    callees: tuple[CalleeEntry, ...] = ()
    started_at: str | None = None
    answered_at: str | None = None
    answered_by: str | None = None
    ended_at: str | None = None
    duration_s: float | None = None
    reason: CallEndReason | None = None
    error: str | None = None
    """Of one that failed: the code of the error that was told last before its end."""
    kicked_by: str | None = None
    missed: bool = False
    called_back: bool = False
    unlocked: bool = False
    recording: str | None = None
    picture: str | None = None


class Ledger:
    """The files in one folder; nothing is touched before it is used."""

    def __init__(self, folder: Path) -> None:
        """`calls.jsonl` and `pictures/` lie in `folder`, which is made when it is needed."""
        self.file = folder / "calls.jsonl"
        self.pictures = folder / "pictures"
        self._lines = 0
        self._whole = False
        """The file ends with a whole line, so that another may follow."""

    def load(self) -> tuple[list[Entry], list[str]]:
        """The entries, oldest first, and a sentence for each thing that could not be read."""
        try:
            data = self.file.read_bytes()
        except FileNotFoundError:
            return [], []
        except OSError as error:
            return [], [f"cannot be read, and is begun anew: {error.strerror}", *self._put_aside()]
        lines = data.split(b"\n")
        torn = lines.pop()
        entries: dict[str, Entry] = {}
        broken = 0
        for line in lines:
            try:
                entry = msgspec.json.decode(line, type=Entry)
            except (ValueError, RecursionError):  # msgspec's errors are that, and Unicode's
                broken += 1
            else:
                entries[entry.id] = entry
        self._lines, self._whole = len(lines), not torn and not broken
        faults = [f"{broken} of its lines cannot be read and are dropped"] if broken else []
        if torn:
            faults.append("its last line was torn by a sudden end and is dropped")
        return [*entries.values()], faults

    def takes(self, more: int, entries: int) -> bool:
        """Whether `more` lines are to be appended; else all the `entries` are to be written anew."""
        return self._whole and self._lines + more <= 2 * entries + SPARE_LINES

    def append(self, lines: Collection[bytes]) -> None:
        """Hand these to the kernel, for `sync` to follow; raises OSError.

        In one piece, so that two may do it at a time.
        """
        try:
            descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
            try:
                piece = b"".join(line + b"\n" for line in lines)
                if os.write(descriptor, piece) < len(piece):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(descriptor)
        except OSError:
            self._whole = False  # or not known to be
            raise
        self._lines += len(lines)

    def sync(self) -> None:
        """Return once the disk has what was appended; raises OSError."""
        descriptor = os.open(self.file, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rewrite(self, everything: Collection[bytes]) -> None:
        """Put a file in the old one's place that has these lines and no others; raises OSError."""
        private_folder(self.file.parent)
        write_whole(self.file, b"".join(line + b"\n" for line in everything))
        self._lines, self._whole = len(everything), True

    def _put_aside(self) -> list[str]:
        aside = self.file.with_suffix(".broken")
        try:
            rename(self.file, aside)
        except OSError:
            return []
        return [f"what it was lies in {aside}"]

    # -------------------- pictures

    def keep_picture(self, name: str, jpeg: bytes) -> None:
        """Write a picture, whole or not at all; where the disk is nearly full older ones go for it.

        Raises OSError.
        """
        private_folder(self.pictures)
        self._make_room()
        write_whole(self.pictures / name, jpeg)

    def _make_room(self) -> None:
        """A disk that is full takes the call log's next line from it, too."""
        free = os.statvfs(self.pictures)
        wanted = MIN_FREE_BYTES - free.f_bavail * free.f_frsize
        if wanted <= 0:
            return
        known = [(file.stat(), file) for file in self.pictures.glob("*.jpg")]
        if wanted > sum(stat.st_size for stat, _ in known):
            return  # nothing is gained by deleting them: something else has filled it
        for stat, file in sorted(known, key=lambda one: one[0].st_mtime_ns):
            if wanted > 0:
                file.unlink(missing_ok=True)
                wanted -= stat.st_size

    def drop_pictures(self, names: Iterable[str]) -> None:
        """Remove pictures of entries that are gone; raises OSError."""
        for name in names:
            (self.pictures / name).unlink(missing_ok=True)

    def drop_strays(self, known: Collection[str]) -> None:
        """Remove what belongs to no entry: pictures that a sudden end left behind; raises OSError."""
        if self.pictures.is_dir():
            for file in self.pictures.iterdir():
                if file.suffix in (".jpg", NEW) and file.name not in known:
                    file.unlink()
