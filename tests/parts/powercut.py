"""All that a power cut may leave of what was asked of a disk which does not keep the order of its writes.

The rules are weaker than those of ext4 with its defaults, and no weaker than what POSIX and the manuals of
fsync and rename say, in the manner of ALICE (Pillai and others, OSDI 2014):

* what was added to a file is there, is not there, is there in part, or is there as zeros (its size alone);
  what was written in place is there, is not there, or some of its sectors are;
* that a file is shorter, or may be read by others, is there or not;
* a name that was made, moved or taken away is so or not, each for itself, in any order; a rename is whole;
* an fsync of a file is a promise about what was written to it before, and not about its name;
  one of a folder about the names in it, and not about what is in the files.

Every combination is tried where there are few, else the extremes and others by dice.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.parts.writes import (
    Allowed,
    Asked,
    Cut,
    Made,
    Record,
    Removed,
    Renamed,
    Synced,
    Told,
    Wrote,
)

NOT, WHOLE, PART, ZEROS = range(4)
"""What of one thing that was asked for is there."""

SECTOR = 512
"""What a disk writes as a whole, in bytes."""

MANY = 200
"""So many combinations at one instant are all tried."""


@dataclass(frozen=True)
class Left:
    """What lies on the disk: content and mode of each file, by its path below the root; and all folders."""

    files: Mapping[str, tuple[bytes, int]]
    folders: frozenset[str]

    def __hash__(self) -> int:
        return hash((frozenset(self.files.items()), self.folders))

    def put(self, folder: Path) -> None:
        """Make it so in a folder that is empty."""
        for name in sorted(self.folders):
            (folder / name).mkdir(mode=0o700)
        for name, (data, mode) in self.files.items():
            (folder / name).write_bytes(data)
            (folder / name).chmod(mode)


@dataclass
class Instant:
    """The power is cut here: what is relied on by then, and all that may be left."""

    told: Sequence[Any]
    left: list[Left] = field(default_factory=list)


def instants(record: Record, *, seed: int = 1, many: int = MANY) -> Iterator[Instant]:
    """Each instant at which something may be left that could not be before, with all that could not.

    What was asked for and is not synced may be missing, so the instants before each sync, before each
    word on which somebody relies, and at the end have all of those between in them.
    """
    dice = random.Random(seed)
    disk = _Disk(record)
    told: list[Any] = []
    seen: set[Left] = set()
    for number, asked in enumerate([*record.asked, Told(None)]):
        if isinstance(asked, Synced | Told):
            found = {disk.left(choice) for choice in _chosen(record, number, dice, many)}
            yield Instant(tuple(told), [one for one in found if one not in seen])
            seen |= found
        if isinstance(asked, Told):
            told.append(asked.what)
            seen.clear()  # from here on more is promised of the same


def _chosen(
    record: Record, end: int, dice: random.Random, many: int
) -> Iterator[Mapping[int, int]]:
    """What of each of the first `end` things that were asked for may be left."""
    synced: dict[int, int] = {}
    for asked in record.asked[:end]:
        if isinstance(asked, Synced):
            synced[asked.inode] = max(synced.get(asked.inode, 0), asked.since)
    sure: list[int] = []
    open_: list[int] = []
    for number, asked in enumerate(record.asked[:end]):
        if not isinstance(asked, Synced | Told):
            by = _synced_with(asked)
            (sure if all(number < synced.get(one, 0) for one in by) else open_).append(number)
    for chosen in _choices([_ways(record.asked[number]) for number in open_], dice, many):
        yield dict.fromkeys(sure, WHOLE) | dict(zip(open_, chosen, strict=True))


def _synced_with(asked: Asked) -> tuple[int, ...]:
    """Whose fsync it is a matter of."""
    match asked:
        case Renamed(folder, _, to_folder):
            return (folder, to_folder)
        case Made(folder) | Removed(folder):
            return (folder,)
        case Wrote(inode) | Cut(inode) | Allowed(inode):
            return (inode,)
    raise AssertionError(asked)


def _ways(asked: Asked) -> tuple[int, ...]:
    return (NOT, WHOLE, PART, ZEROS) if isinstance(asked, Wrote) else (NOT, WHOLE)


def _choices(
    ways: Sequence[tuple[int, ...]], dice: random.Random, many: int
) -> Iterator[tuple[int, ...]]:
    count = 1
    for one in ways:
        count *= len(one)
    if count <= many:
        yield from itertools.product(*ways)
        return
    none, all_ = [NOT] * len(ways), [WHOLE] * len(ways)
    for base in (none, all_):
        yield tuple(base)
        for at, one in enumerate(ways):  # and each for itself as it can be
            for way in one:
                yield (*base[:at], way, *base[at + 1 :])
    for _ in range(many):
        yield tuple(dice.choice(one) for one in ways)


class _Disk:
    """Makes of what was asked for what is there, each content once."""

    def __init__(self, record: Record) -> None:
        self._before, self._asked = record.before, record.asked
        self._contents: dict[tuple[int, tuple[tuple[int, int], ...]], bytes] = {}

    def left(self, choice: Mapping[int, int]) -> Left:
        names = {folder: dict(entries) for folder, entries in self._before.names.items()}
        modes = dict(self._before.modes)
        written: dict[int, list[tuple[int, int]]] = {}
        for number in sorted(choice):
            asked, way = self._asked[number], choice[number]
            match asked:
                case Made(_, _, inode, is_folder, mode):
                    # the file itself is there once anything of it is: its name is what may be missing
                    modes.setdefault(inode, mode)
                    if is_folder:
                        names.setdefault(inode, {})
                case Wrote(inode) | Cut(inode) if way != NOT:
                    written.setdefault(inode, []).append((number, way))
                case Allowed(inode, mode) if way != NOT:
                    modes[inode] = mode
            if way != NOT:
                _name(names, asked)
        files: dict[str, tuple[bytes, int]] = {}
        folders: set[str] = set()
        for path, inode in _walk(self._before.root, "", names):
            if inode in names:
                folders.add(path)
            else:
                files[path] = self._content(inode, tuple(written.get(inode, ()))), modes[inode]
        return Left(files, frozenset(folders))

    def _content(self, inode: int, written: tuple[tuple[int, int], ...]) -> bytes:
        found = self._contents.get((inode, written))
        if found is None:
            content = bytearray(self._before.data.get(inode, b""))
            for number, way in written:
                match self._asked[number]:
                    case Wrote(_, at, data):
                        _write(content, at, data, way)
                    case Cut(_, size):
                        del content[size:]
            found = self._contents[inode, written] = bytes(content)
        return found


def _name(names: dict[int, dict[str, int]], asked: Asked) -> None:
    match asked:
        case Made(folder, name, inode):
            names[folder][name] = inode
        case Renamed(folder, name, to_folder, to_name, inode):
            if names[folder].get(name) == inode:
                del names[folder][name]
            names[to_folder][to_name] = inode
        case Removed(folder, name):
            names[folder].pop(name, None)


def _write(content: bytearray, at: int, written: bytes, way: int) -> None:
    if at + len(written) <= len(content):  # in place: by whole sectors, and never as zeros
        if way == PART:
            written = written[: SECTOR - at % SECTOR]
        elif way == ZEROS:
            written = b""
    elif way == PART:
        written = written[: len(written) // 2]
    elif way == ZEROS:
        written = bytes(len(written))
    content.extend(bytes(max(0, at - len(content))))  # what is missing before it reads as zeros
    content[at : at + len(written)] = written


def _walk(
    folder: int, path: str, names: Mapping[int, Mapping[str, int]]
) -> Iterator[tuple[str, int]]:
    for name, inode in names[folder].items():
        yield f"{path}{name}", inode
        if inode in names:
            yield from _walk(inode, f"{path}{name}/", names)
