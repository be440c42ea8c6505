"""The folder of the recordings."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.media import shelf as module
from appliance.media.shelf import NoRoom, Shelf

AT = datetime(2026, 11, 21, 9, 0, 1, tzinfo=UTC)
CALL = "1a2b3c4d5e6f"


def kept(folder: Path, name: str, size: int = 400_000) -> Path:
    path = folder / name
    path.write_bytes(bytes(size))
    return path


def opened(shelf: Shelf, call_id: str = CALL) -> Path:
    path, file = shelf.open(call_id, AT)
    os.close(file)
    return path


def test_a_recording_is_named_after_its_time_and_its_call_and_is_ours_alone(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "var" / "recordings", 1)
    path = opened(shelf)
    assert path == tmp_path / "var" / "recordings" / "2026-11-21T09-00-01Z_1a2b3c4d.mp4"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert shelf.recordings() == [path]


def test_two_of_one_call_in_one_second_have_two_names(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 1)
    names = [opened(shelf).name for _ in range(3)]
    assert len(set(names)) == 3
    assert {path.name for path in shelf.recordings()} == set(names)


def test_an_id_that_is_no_id_makes_no_path(tmp_path: Path) -> None:
    assert opened(Shelf(tmp_path, 1), "../../etc").name == "2026-11-21T09-00-01Z_______et.mp4"


def test_the_oldest_make_room(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, 1)
    old = [kept(tmp_path, f"2026-11-{day}T09-00-00Z_1a2b3c4d.mp4") for day in (20, 18, 19)]
    new = opened(shelf)
    assert shelf.recordings() == [old[2], old[0], new]
    new.write_bytes(bytes(700_000))
    shelf.make_room(new)
    assert shelf.recordings() == [new]


def test_what_is_none_of_ours_is_neither_counted_nor_deleted(tmp_path: Path) -> None:
    others = [
        kept(tmp_path, name, 900_000)
        for name in ("holiday.mp4", "2026-11-20T09-00-00Z_1a2b3c4d.mp4.part", "2026-11-20.mp4")
    ]
    target = kept(tmp_path, "elsewhere", 900_000)
    link = tmp_path / "2026-11-20T09-00-00Z_1a2b3c4d.mp4"
    link.symlink_to(target)
    (tmp_path / "2026-11-20T09-00-00Z_folder.mp4").mkdir()
    ours = kept(tmp_path, "2026-11-19T09-00-00Z_1a2b3c4d.mp4")
    Shelf(tmp_path, 1).make_room()
    assert all(path.exists() for path in (*others, target, link, ours))


def test_the_one_that_is_being_written_is_never_deleted_but_ends_at_the_limit(
    tmp_path: Path,
) -> None:
    shelf = Shelf(tmp_path, 1)
    writing = kept(tmp_path, "2026-11-01T09-00-00Z_1a2b3c4d.mp4", 1_000_001)
    younger = kept(tmp_path, "2026-11-02T09-00-00Z_1a2b3c4d.mp4")
    with pytest.raises(NoRoom, match=r"1 MB of \[recording\] max_mb"):
        shelf.make_room(writing)
    assert writing.exists()
    assert not younger.exists()


def test_a_disk_that_is_nearly_full_takes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MIN_FREE_BYTES", 10**18)
    with pytest.raises(NoRoom, match="MB are free on the disk"):
        Shelf(tmp_path, 1).open(CALL, AT)
    assert list(tmp_path.iterdir()) == []


def test_on_a_disk_that_is_nearly_full_the_oldest_go_and_never_the_one_that_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [kept(tmp_path, f"2026-11-{day:02}T09-00-00Z_c.mp4") for day in (1, 2, 3, 4)]
    foreign = kept(tmp_path, "holiday.mp4", 1)
    missing = module.MIN_FREE_BYTES - 1_500_000 // 2  # two of them make up for it
    monkeypatch.setattr(Shelf, "_free_bytes", lambda self: missing)
    Shelf(tmp_path, 100).make_room(writing=files[0])
    assert [file.exists() for file in files] == [True, False, False, True]
    assert foreign.exists()


def test_where_deleting_all_would_not_do_none_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kept(tmp_path, "2026-11-01T09-00-00Z_c.mp4")
    monkeypatch.setattr(Shelf, "_free_bytes", lambda self: 0)
    with pytest.raises(NoRoom, match="MB are free"):
        Shelf(tmp_path, 100).make_room()
    assert file.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    file = kept(tmp_path, "file", 1)
    with pytest.raises(NoRoom, match=f"no recording can be kept in {file}/below: Not a directory"):
        Shelf(file / "below", 1).open(CALL, AT)


# -------------------- what a sudden end leaves


def begun(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_what_was_only_begun_is_deleted_at_the_start_and_what_plays_is_kept(tmp_path: Path) -> None:
    """A power cut in the first half second of a recording leaves a name, and nothing that plays."""
    header = b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x08free"
    film = header + b"\0\0\0\x0cmoov\0\0\0\0" + b"\0\0\1\0mdat, and then the power went"
    gone = [
        begun(tmp_path, f"2026-11-{day}T09-00-00Z_1a2b3c4d.mp4", data)
        for day, data in (("17", b""), ("18", header), ("19", bytes(4096)))
    ]
    kept_ = [
        begun(tmp_path, "2026-11-20T09-00-00Z_1a2b3c4d.mp4", film),
        begun(tmp_path, "somebody-elses.mp4", b""),
    ]
    shelf = Shelf(tmp_path, 1)
    assert shelf.clear() == gone
    assert sorted(tmp_path.iterdir()) == sorted(kept_)
    assert shelf.clear() == []


def test_where_nothing_was_ever_recorded_there_is_nothing_to_clear(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "recordings", 1)
    assert shelf.clear() == []
    assert not shelf.folder.exists()
