"""The disk of the tests loses what a disk may lose, and nothing that it was made to keep."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.parts.need import program, skip_where_forbidden
from tests.parts.powercut import instants
from tests.parts.writes import Made, Synced, Wrote, recorded

Files = frozenset[tuple[str, bytes]]


def left_by(folder: Path, do: Callable[[Path], object]) -> tuple[set[Files], set[Files]]:
    """What may lie there at any instant, and what when it was done and told."""
    with recorded(folder) as record:
        do(folder)
    record.told("done")
    ever: set[Files] = set()
    then: set[Files] = set()
    for instant in instants(record):
        for left in instant.left:
            there = frozenset((name, data) for name, (data, _) in left.files.items())
            (then if instant.told else ever).add(there)
    return ever, then


def files(**there: bytes) -> Files:
    return frozenset(there.items())


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def test_what_is_not_synced_is_there_or_not_in_part_or_as_zeros(tmp_path: Path) -> None:
    _, then = left_by(tmp_path, lambda folder: (folder / "it").write_bytes(b"abcd"))
    assert then == {files(), *(files(it=data) for data in (b"", b"abcd", b"ab", bytes(4)))}


def test_an_fsync_of_a_file_is_no_promise_about_its_name(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "it").write_bytes(b"abcd")
        sync(folder / "it")

    ever, then = left_by(tmp_path, write)
    assert then == {files(), files(it=b"abcd")}
    assert files(it=b"ab") in ever


def test_one_of_a_folder_is_no_promise_about_what_is_in_the_file(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "it").write_bytes(b"abcd")
        sync(folder)

    _, then = left_by(tmp_path, write)
    assert then == {files(it=data) for data in (b"", b"abcd", b"ab", bytes(4))}


def test_a_rename_may_be_there_before_what_is_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"old")

    def write(folder: Path) -> None:
        (folder / "new").write_bytes(b"abcd")
        (folder / "new").replace(folder / "it")
        sync(folder)

    ever, then = left_by(tmp_path, write)
    assert then == {files(it=data) for data in (b"", b"abcd", b"ab", bytes(4))}
    assert files(it=b"old", new=b"abcd") in ever


def test_nothing_keeps_the_order_of_what_is_not_synced(tmp_path: Path) -> None:
    (tmp_path / "gone").write_bytes(b"it")

    def write(folder: Path) -> None:
        (folder / "first").mkdir()
        (folder / "first" / "it").write_bytes(b"1")
        (folder / "gone").unlink()
        with (folder / "log").open("ab") as log:
            log.write(b"ab")
            log.flush()
            log.write(b"cd")

    _, then = left_by(tmp_path, write)
    assert files(gone=b"it", log=b"\0\0cd") in then
    assert files(log=b"ab") in then
    assert {name for one in then for name, _ in one} == {"first/it", "gone", "log"}


def test_what_python_holds_back_was_asked_of_nobody(tmp_path: Path) -> None:
    with recorded(tmp_path) as record, (tmp_path / "it").open("wb") as held_back:
        held_back.write(b"it")
        os.fsync(held_back.fileno())
        assert [type(one) for one in record.asked] == [Made, Synced]
        held_back.flush()
        assert [type(one) for one in record.asked] == [Made, Synced, Wrote]


def test_what_comes_while_a_sync_goes_on_is_not_with_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "it"
    file.touch()
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (os.write(number, b"it"), fsync(number)))
    with recorded(tmp_path) as record:
        descriptor = os.open(file, os.O_WRONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    assert record.asked == [Wrote(2, 0, b"it"), Synced(2, 0)]


def test_a_number_that_the_kernel_gives_again_is_another_file(tmp_path: Path) -> None:
    with recorded(tmp_path) as record:
        for data in (b"1", b"2"):
            (tmp_path / "it").write_bytes(data)
            (tmp_path / "it").unlink()
    assert len({one.inode for one in record.asked if isinstance(one, Made)}) == 2


def test_what_is_not_understood_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "it").touch()
    with recorded(tmp_path), pytest.raises(AssertionError, match="link is not recorded"):
        os.link(tmp_path / "it", tmp_path / "other")


# -------------------- beside strace

PLAY = """
import sys
from pathlib import Path
from appliance.reporting.ledger import Ledger
from appliance.trust import book
from tests.parts.writes import Made, Removed, Renamed, Synced, Wrote, recorded
folder = Path(sys.argv[1])
with recorded(folder) as record:
    book.write(folder / "state" / book.FILE, book.Book())
    ledger = Ledger(folder / "state" / "calls")
    ledger.rewrite([b"{}"])
    ledger.append([b"{}"])
    ledger.sync()
    ledger.keep_picture("1.jpg", bytes(100_000))
    ledger.drop_strays(())
kinds = (Made, Wrote, Synced, Renamed, Removed)
print(*(type(one).__name__ for one in record.asked if isinstance(one, kinds)))
"""
CALLS = {
    "openat": "Made",
    "mkdir": "Made",
    "write": "Wrote",
    "fsync": "Synced",
    "rename": "Renamed",
    "unlink": "Removed",
}


def test_it_is_what_the_kernel_was_asked_for(tmp_path: Path) -> None:
    """The same, in the same order, as strace has it; where that may look into a process."""
    strace = str(program("strace"))
    tried = subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True, check=False)
    if tried.returncode:
        skip_where_forbidden("strace may look into no process", tried.stderr.decode())
    folder = tmp_path / "of"
    folder.mkdir()
    words = [strace, "-f", "-y", "-e", f"trace={','.join(CALLS)}", "-o"]
    done = subprocess.run(
        [*words, tmp_path / "log", sys.executable, "-c", PLAY, folder],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    seen = []
    for line in (tmp_path / "log").read_text().splitlines():
        call = re.match(r"\d+ +(\w+)\((.*)", line)
        if call is None or str(folder) not in call[2] or " = -1 " in line:
            continue
        if call[1] != "openat" or "O_CREAT" in call[2]:
            seen.append(CALLS[call[1]])
    assert seen == done.stdout.split()
    assert len(seen) > 20
