"""A file is the old one or the new one; what a power cut leaves of it is in `test_promised_writes.py`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from appliance.whole_file import private_folder, read_private, write_whole


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


def test_what_a_copy_has_opened_to_others_is_closed_before_it_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "it"
    write_whole(file, b"ours")
    assert (read_private(file), caplog.text) == (b"ours", "")
    file.chmod(0o664)
    assert read_private(file) == b"ours"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "it was open to others (0664)" in caplog.text


def test_what_somebody_laid_in_place_of_a_file_is_neither_closed_nor_read(tmp_path: Path) -> None:
    """Root would take what everybody has to read, as the names of users, from all of them."""
    everybodys = tmp_path / "passwd"
    everybodys.write_text("root")
    everybodys.chmod(0o644)
    (tmp_path / "link").symlink_to(everybodys)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "."):
        with pytest.raises(OSError):
            read_private(tmp_path / name)
    assert stat.S_IMODE(everybodys.stat().st_mode) == 0o644


def test_what_root_writes_belongs_to_whom_its_folder_does_and_is_read_by_whom_it_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it has its name: nobody finds a file that only root may read."""
    done: list[object] = []
    replace = os.replace
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _, uid, gid: done.append((uid, gid)))
    monkeypatch.setattr(os, "chown", lambda _, uid, gid, **__: done.append((uid, gid)))

    def named(*names: Path) -> None:
        done.append("named")
        replace(*names)

    monkeypatch.setattr(os, "replace", named)
    here = tmp_path.stat()
    write_whole(tmp_path / "it", b"new", 0o644)
    assert done == [(here.st_uid, here.st_gid), "named"]
    write_whole(tmp_path / "root's", b"new", of_folder=False)
    assert done.pop() == "named"
    assert len(done) == 2
    assert stat.S_IMODE((tmp_path / "it").stat().st_mode) == 0o644
    private_folder(tmp_path / "a" / "b")
    assert done[2:] == 2 * [(here.st_uid, here.st_gid)]
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
