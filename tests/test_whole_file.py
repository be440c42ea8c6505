"""A file is the old one or the new one."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.media.movie import Growing
from appliance.media.shelf import Shelf
from appliance.reporting.ledger import Ledger
from appliance.service.memory import Memory
from appliance.signaling import sequence
from appliance.signaling.sequence import first_number
from appliance.trust import book, keys
from appliance.trust.authority import CERTIFICATE_FILE, Authority
from appliance.trust.keys import DeviceKey
from appliance.whole_file import private_folder, write_whole


def test_it_is_replaced_as_a_whole_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    file = tmp_path / "it"
    write_whole(file, b"old")
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [*tmp_path.iterdir()] == [file]


def test_a_disk_that_fails_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "it"
    write_whole(file, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"


def test_a_link_that_somebody_laid_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "it.new").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        write_whole(tmp_path / "it", b"new")
    assert not (tmp_path / "elsewhere").exists()


# -------------------- what a power cut leaves


class Disk:
    """What of a folder is sure to be there when the power is cut, by what was synced.

    Of a file it is what the kernel had of it (not what Python holds back) at its last fsync; of a folder,
    the names that it had at its own.
    """

    def __init__(self, root: Path) -> None:
        self.torn: list[str] = []
        """Files that got a name before the disk had what is in them."""
        self._root = root
        self._data: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        self.has(root)

    def has(self, root: Path) -> None:
        """All that is there now is on the disk already."""
        for path in (root, *root.rglob("*")):
            descriptor = os.open(path, os.O_RDONLY)
            self.synced(descriptor)
            os.close(descriptor)

    def synced(self, descriptor: int) -> None:
        """An fsync of this descriptor."""
        about, path = os.fstat(descriptor), Path(f"/proc/self/fd/{descriptor}")
        if stat.S_ISDIR(about.st_mode):
            names = {entry.name: entry.inode() for entry in os.scandir(path)}
            self._names[about.st_ino] = names
        else:
            self._data[about.st_ino] = path.read_bytes()

    def replaced(self, source: Path) -> None:
        """A rename of this file, which the disk may have at once."""
        if self._data.get(source.stat().st_ino) != source.read_bytes():
            self.torn.append(source.name)

    def after_a_power_cut(self, file: Path) -> bytes | None:
        """What is surely in that file; None where it is not sure to be there."""
        inode: int | None = self._root.stat().st_ino
        for part in file.relative_to(self._root).parts:
            inode = self._names.get(inode, {}).get(part) if inode is not None else None
        return None if inode is None else self._data.get(inode)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(tmp_path)
    fsync, replace = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        fsync(descriptor)
        disk.synced(descriptor)

    def note_replace(source: str | Path, target: str | Path) -> None:
        disk.replaced(Path(source))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    monkeypatch.setattr(Path, "replace", note_replace)
    return disk


def of_the_call_log(folder: Path) -> Path:
    Ledger(folder / "calls").rewrite([b'{"id": "1"}'])
    return folder / "calls" / "calls.jsonl"


def another_line_of_the_call_log(folder: Path) -> Path:
    ledger = Ledger(folder / "calls")
    ledger.rewrite([b"{}"])
    before = ledger.file.stat().st_ino
    assert ledger.takes(1, 1)
    ledger.append([b'{"more": 1}'])
    ledger.sync()
    assert ledger.file.stat().st_ino == before, "it was appended"
    return ledger.file


def of_the_memory(folder: Path) -> Path:
    memory = Memory(folder / "memory.json", lambda _: None)
    memory._put(b"{}")
    return folder / "memory.json"


def of_the_contacts(folder: Path) -> Path:
    book.write(folder / book.FILE, book.Book().with_contact("bob", book.Paired("Bob")))
    return folder / book.FILE


def of_the_key(folder: Path) -> Path:
    DeviceKey.load_or_make(folder, {})
    return folder / keys.FILE


def of_the_numbers(folder: Path) -> Path:
    first_number(folder, 1)
    return folder / sequence.FILE


def of_the_authority(folder: Path) -> Path:
    Authority.load_or_make(folder, "door", "door")
    return folder / CERTIFICATE_FILE


def again(folder: Path) -> Path:
    write_whole(folder / "it", b"old")
    write_whole(folder / "it", b"new")
    return folder / "it"


def growing(folder: Path) -> tuple[Growing, Path]:
    path, descriptor = Shelf(folder, 100).open("1", datetime(2026, 1, 1, tzinfo=UTC))
    return Growing(descriptor, str(path)), path


def of_a_recording(folder: Path) -> Path:
    file, path = growing(folder)
    file.write(b"a part")
    file.sync()
    file.write(b" and the end")
    file.close()
    return path


WRITES = (
    again,
    of_the_call_log,
    another_line_of_the_call_log,
    of_the_memory,
    of_the_contacts,
    of_the_key,
    of_the_numbers,
    of_the_authority,
    of_a_recording,
)
"""Everything that is promised to be on the disk when its writing returns."""


@pytest.mark.parametrize("write", WRITES)
def test_what_was_written_is_there_after_a_power_cut(
    write: Callable[[Path], Path], tmp_path: Path, disk: Disk
) -> None:
    state = tmp_path / "state"
    if write is of_a_recording:  # its folder is the owner's
        state.mkdir()
        disk.has(tmp_path)
    file = write(state) if write is not again else _in(state, write)
    assert disk.torn == []
    assert file.read_bytes() != b""
    assert disk.after_a_power_cut(file) == file.read_bytes()


def _in(folder: Path, write: Callable[[Path], Path]) -> Path:
    private_folder(folder)
    return write(folder)


def test_of_a_recording_that_runs_each_part_is_there(tmp_path: Path, disk: Disk) -> None:
    file, path = growing(tmp_path)
    assert disk.after_a_power_cut(path) is None, "there is nothing in it"
    file.write(b"a part")
    file.sync()
    file.write(b" and more")
    assert disk.after_a_power_cut(path) == b"a part"
    file.close()


def test_the_folders_of_a_file_are_there_too_and_for_nobody_else(
    tmp_path: Path, disk: Disk
) -> None:
    folder = tmp_path / "state" / "calls"
    private_folder(folder)
    write_whole(folder / "it", b"new")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert disk.after_a_power_cut(folder / "it") == b"new"


def test_a_cut_takes_what_python_or_the_kernel_still_had(tmp_path: Path, disk: Disk) -> None:
    """The disk of these tests sees each way of getting it wrong."""
    file = tmp_path / "it"
    with file.open("wb") as held_back:
        held_back.write(b"it")
        os.fsync(held_back.fileno())
    assert disk.after_a_power_cut(file) is None, "its name was not synced"
    disk.has(tmp_path)
    with file.open("ab") as held_back:
        held_back.write(b" and more")
        os.fsync(held_back.fileno())
    assert file.read_bytes() == b"it and more"
    assert disk.after_a_power_cut(file) == b"it", "Python had the rest yet"
    new = tmp_path / "it.new"
    new.write_bytes(b"new")
    new.replace(file)
    assert disk.torn == ["it.new"]
