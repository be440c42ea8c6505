"""Whether a kernel may run here is found out by starting one: what a host refused is told from what is broken."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.lab import trial
from tests.lab.trial import CannotStartHere, memory, starts

GOES = "Linux version 7.2\nKernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(98,0)"
REFUSED = (
    "Checking that ptrace can change system call numbers...check_ptrace : Operation not permitted"
)
BROKEN = "Checking that seccomp filters can be installed...OK\nLinux version 7.2\nKernel panic: no memory"


def kernel(folder: Path, says: str) -> Path:
    """A program in the place of one."""
    path = folder / "kernel"
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 6\n")
    path.chmod(0o755)
    return path


def test_one_that_misses_nothing_but_its_disk_runs(tmp_path: Path) -> None:
    starts(kernel(tmp_path, GOES))


def test_what_the_host_refuses_is_told_in_the_kernel_s_words(tmp_path: Path) -> None:
    with pytest.raises(CannotStartHere, match="change system call numbers.*not permitted"):
        starts(kernel(tmp_path, REFUSED))


@pytest.mark.parametrize("says", ["", BROKEN])
def test_one_that_is_broken_is_no_matter_of_the_host_s(tmp_path: Path, says: str) -> None:
    with pytest.raises(RuntimeError, match="does not start"):
        starts(kernel(tmp_path, says))


def test_its_memory_lies_where_programs_may_be_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    monkeypatch.setattr(
        trial.os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_NOEXEC * (path == bare))
    )
    assert memory([bare, tmp_path], 1 << 40) == tmp_path
    monkeypatch.setattr(trial.Path, "home", lambda: bare)
    with pytest.raises(CannotStartHere, match="programs may be run"):
        memory([bare], 1 << 40)
