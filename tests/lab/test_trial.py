"""Whether a kernel may run here is found out by starting one: what is refused, and what is broken."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.lab.trial import CannotStartHere, memory, starts

GOES = "Linux version 7.2\nKernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(98,0)"
REFUSED = (
    "Checking that ptrace can change system call numbers...check_ptrace : Operation not permitted"
)
BROKEN = "Checking that seccomp filters can be installed...OK\nLinux version 7.2\nKernel panic: no memory"


def kernel(folder: Path, says: str, ends: str = "exit 6") -> Path:
    """A program in the place of one."""
    path = folder / "kernel"
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\n{ends}\n")
    path.chmod(0o755)
    return path


def test_one_that_misses_nothing_but_its_disk_runs(tmp_path: Path) -> None:
    starts(kernel(tmp_path, GOES))


def test_what_the_host_refuses_is_told_in_the_kernel_s_words(tmp_path: Path) -> None:
    with pytest.raises(CannotStartHere, match=r"change system call numbers.*not permitted"):
        starts(kernel(tmp_path, REFUSED))


@pytest.mark.parametrize("says", ["", BROKEN])
def test_one_that_is_broken_is_no_matter_of_the_host_s(tmp_path: Path, says: str) -> None:
    with pytest.raises(RuntimeError, match="does not start"):
        starts(kernel(tmp_path, says))


def test_one_that_was_killed_was_not_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="was killed"):
        starts(kernel(tmp_path, REFUSED, "kill -KILL $$"))


def test_its_memory_lies_where_programs_may_be_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()

    def told(path: Path) -> SimpleNamespace:
        return SimpleNamespace(
            f_flag=os.ST_NOEXEC * (path == bare), f_frsize=1, f_blocks=0, f_bfree=0, f_bavail=0
        )

    monkeypatch.setattr("os.statvfs", told)
    assert memory([bare, tmp_path], 64) == tmp_path
    monkeypatch.setenv("HOME", str(bare))
    with pytest.raises(CannotStartHere, match="programs may be run"):
        memory([bare], 64)
