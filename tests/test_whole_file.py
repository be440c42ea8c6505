"""A file is the old one or the new one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from appliance.reporting.ledger import Ledger
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


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the disk was made to have, and what was put in its place, in order."""
    order: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        order.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def note_replace(source: str | Path, target: str | Path) -> None:
        order.append(f"{Path(source).name} becomes {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    monkeypatch.setattr(Path, "replace", lambda self, target: note_replace(self, target))
    return order


def test_the_disk_has_it_before_it_has_the_name_and_the_name_before_it_is_told(
    tmp_path: Path, synced: list[str]
) -> None:
    """Power may be cut between any two of these: the file is the old one or the new one."""
    folder = tmp_path / "state" / "calls"
    private_folder(folder)
    assert synced == [f"sync {tmp_path.name}", "sync state"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    synced.clear()
    private_folder(folder)
    write_whole(folder / "it", b"new")
    assert synced == ["sync it.new", "it.new becomes it", "sync calls"]


def test_a_line_of_the_call_log_is_on_the_disk_when_its_writing_returns(
    tmp_path: Path, synced: list[str]
) -> None:
    ledger = Ledger(tmp_path / "calls")
    ledger.write([b"{}"], [b"{}"])
    new = ["sync calls.jsonl.new", "calls.jsonl.new becomes calls.jsonl", "sync calls"]
    assert synced == [f"sync {tmp_path.name}", *new]
    synced.clear()
    ledger.write([b"{}"], [b"{}"])
    assert synced == ["sync calls.jsonl"]
