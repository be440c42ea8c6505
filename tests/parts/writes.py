"""Everything that this process asks of the files below a folder, in its order, as the kernel was asked.

    with recorded(folder) as record:
        ...
    record.asked   # what was made, written, renamed, synced, and in which function

Python's own files are replaced by those of `_pyio`, the standard library's in Python, which do everything
by `os.open`, `os.write` and so on; so nothing that Python holds back looks as if it were written.
"""

from __future__ import annotations

import builtins
import importlib
import io
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CODE = str(Path(__file__).parents[2] / "appliance") + os.sep


@dataclass(frozen=True)
class Made:
    """A new file, or a folder, in a folder."""

    folder: int
    name: str
    inode: int
    is_folder: bool
    mode: int


@dataclass(frozen=True)
class Renamed:
    """From one name to another, which may have been another file's."""

    folder: int
    name: str
    to_folder: int
    to_name: str
    inode: int


@dataclass(frozen=True)
class Removed:
    """A name is gone."""

    folder: int
    name: str


@dataclass(frozen=True)
class Wrote:
    """These bytes at that place of a file."""

    inode: int
    at: int
    data: bytes


@dataclass(frozen=True)
class Cut:
    """A file has so many bytes from now on."""

    inode: int
    size: int


@dataclass(frozen=True)
class Allowed:
    """Who may read and write a file is another thing from now on."""

    inode: int
    mode: int


@dataclass(frozen=True)
class Synced:
    """The disk has all of a file or of a folder's names that was asked for before number `since`."""

    inode: int
    since: int


@dataclass(frozen=True)
class Told:
    """Somebody relies on something from here on."""

    what: Any


Asked = Made | Renamed | Removed | Wrote | Cut | Allowed | Synced | Told


@dataclass
class Tree:
    """The files and folders as they were before."""

    root: int
    names: dict[int, dict[str, int]] = field(default_factory=dict)
    data: dict[int, bytes] = field(default_factory=dict)
    modes: dict[int, int] = field(default_factory=dict)


class Record:
    """What was asked for, from a beginning that the disk has."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.asked: list[Asked] = []
        self.by: list[tuple[str, ...]] = []
        """Of each the functions of the appliance that asked, `module:Class.function`, innermost first."""
        self._lock = threading.RLock()
        self._inodes: dict[tuple[int, int], int] = {}
        self.before = Tree(self._known(self.root))
        self._look(self.root, self.before.root)

    def told(self, what: Any) -> None:
        """Note that somebody relies on something from here on."""
        with self._lock:
            self._note(Told(what))

    # -------------------- what is there

    def _look(self, folder: Path, inode: int) -> None:
        names = self.before.names[inode] = {}
        for entry in os.scandir(folder):
            path = Path(entry.path)
            child = names[entry.name] = self._known(path)
            self.before.modes[child] = stat.S_IMODE(path.stat().st_mode)
            if entry.is_dir(follow_symlinks=False):
                self._look(path, child)
            else:
                self.before.data[child] = path.read_bytes()

    def _known(self, path: Path) -> int:
        about = path.lstat()
        return self._inodes.setdefault((about.st_dev, about.st_ino), len(self._inodes) + 1)

    def _of(self, descriptor: int) -> int | None:
        about = os.fstat(descriptor)
        return self._inodes.get((about.st_dev, about.st_ino))

    def _place(self, path: Any) -> tuple[int, str] | None:
        """Its folder and its name there, where it is below the root."""
        whole = Path(os.fsdecode(path))
        whole = whole.parent.resolve() / whole.name
        if self.root not in whole.parents:
            return None
        return self._known(whole.parent), whole.name

    def _note(self, asked: Asked) -> None:
        self.asked.append(asked)
        self.by.append(tuple(_callers()))

    # -------------------- what is asked for

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if isinstance(path, int) or dir_fd is not None:
            return int(_os["open"](path, flags, mode, dir_fd=dir_fd))
        with self._lock:
            was_there = os.path.lexists(path)
            descriptor: int = _os["open"](path, flags, mode)
            place = self._place(path)
            if place is not None and not was_there:
                self._new(descriptor, place)
            elif place is not None and flags & os.O_TRUNC:
                inode = self._of(descriptor)
                assert inode is not None
                self._note(Cut(inode, 0))
            return descriptor

    def _new(self, descriptor: int, place: tuple[int, str]) -> None:
        about = os.fstat(descriptor)
        # the kernel gives the number of a file that is gone to the next one
        inode = self._inodes[about.st_dev, about.st_ino] = max(self._inodes.values()) + 1
        is_folder = stat.S_ISDIR(about.st_mode)
        self._note(Made(*place, inode, is_folder, stat.S_IMODE(about.st_mode)))

    def write(self, descriptor: int, data: Any) -> int:
        with self._lock:
            written: int = _os["write"](descriptor, data)
            inode = self._of(descriptor)
            if inode is not None:
                at = os.lseek(descriptor, 0, os.SEEK_CUR) - written
                self._note(Wrote(inode, at, bytes(data)[:written]))
            return written

    def ftruncate(self, descriptor: int, size: int) -> None:
        with self._lock:
            _os["ftruncate"](descriptor, size)
            if (inode := self._of(descriptor)) is not None:
                self._note(Cut(inode, size))

    def fsync(self, descriptor: int) -> None:
        since = len(self.asked)  # what is asked for while it goes on may not be with the disk
        _os["fsync"](descriptor)
        with self._lock:
            if (inode := self._of(descriptor)) is not None:
                self._note(Synced(inode, since))

    def replace(self, source: Any, target: Any, **options: Any) -> None:
        with self._lock:
            begin = self._place(source)
            inode = self._known(Path(os.fsdecode(source))) if begin else 0
            _os["replace"](source, target, **options)
            end = self._place(target)
            if begin is not None:
                assert end is not None, f"{target} lies elsewhere"
                self._note(Renamed(*begin, *end, inode))

    def unlink(self, path: Any, **options: Any) -> None:
        with self._lock:
            _os["unlink"](path, **options)
            if not options and (place := self._place(path)) is not None:
                self._note(Removed(*place))

    def mkdir(self, path: Any, mode: int = 0o777, **options: Any) -> None:
        with self._lock:
            _os["mkdir"](path, mode, **options)
            if (place := self._place(path)) is not None:
                descriptor = _os["open"](path, os.O_RDONLY | os.O_DIRECTORY)
                self._new(descriptor, place)
                os.close(descriptor)

    def chmod(self, path: Any, mode: int, **options: Any) -> None:
        with self._lock:
            _os["chmod"](path, mode, **options)
            inode = self._of(path) if isinstance(path, int) else None
            if not isinstance(path, int) and self._place(path) is not None:
                inode = self._known(Path(os.fsdecode(path)))
            if inode is not None:
                self._note(Allowed(inode, mode))


_os: dict[str, Callable[..., Any]] = {}
"""The functions of `os` as they are."""


def _callers() -> Iterator[str]:
    frame = sys._getframe(3)
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(CODE):
            module = code.co_filename.removeprefix(CODE).removesuffix(".py").replace(os.sep, ".")
            yield f"{module}:{code.co_qualname.replace('.<locals>', '')}"
        frame = frame.f_back  # type: ignore[assignment] # typeshed's is never None


@contextmanager
def recorded(root: Path) -> Iterator[Record]:
    """Everything that is asked of the files below `root` while the block lasts, by any thread."""
    record = Record(root)
    hooks: dict[str, Callable[..., Any]] = {
        "open": record.open,
        "write": record.write,
        "ftruncate": record.ftruncate,
        "fsync": record.fsync,
        "fdatasync": record.fsync,
        "replace": record.replace,
        "rename": record.replace,
        "unlink": record.unlink,
        "remove": record.unlink,
        "mkdir": record.mkdir,
        "chmod": record.chmod,
        "fchmod": record.chmod,
    }
    with pytest.MonkeyPatch.context() as patch:
        _os.update({name: getattr(os, name) for name in hooks})
        for name, hook in hooks.items():
            patch.setattr(os, name, hook)
        for name in ("pwrite", "writev", "pwritev", "link", "truncate", "sendfile", "rmdir"):
            patch.setattr(os, name, _only_elsewhere(record, getattr(os, name)))
        for module in (io, builtins):
            patch.setattr(module, "open", importlib.import_module("_pyio").open)
        yield record


def _only_elsewhere(record: Record, really: Callable[..., Any]) -> Callable[..., Any]:
    """What nobody does in the files below the root, so that it need not be understood here."""

    def ask(what: Any, *rest: Any, **options: Any) -> Any:
        inside = record._of(what) if isinstance(what, int) else record._place(what)
        assert inside is None, f"{really.__name__} is not recorded yet"
        return really(what, *rest, **options)

    return ask
