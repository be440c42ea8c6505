"""Building the lab: what becomes of a failure, and which of them a machine is forgiven."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import guest
from tests.lab.__main__ import FAILED, NOT_HERE, NOT_THERE, told
from tests.lab.archive import TRIES
from tests.lab.guest import GUEST
from tests.lab.stock import CannotBuildHere, NotAllowedHere, leaving


def test_what_has_not_been_built_is_told_by_a_status_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = subprocess.run([sys.executable, "-m", "tests.lab", "--there"], check=False)
    assert done.returncode == NOT_THERE


def test_only_what_nobody_can_mend_is_forgiven(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(GUEST, NotAllowedHere("another root may not be made here")) == NOT_HERE
    assert told(GUEST, CannotBuildHere("mmdebstrap is missing")) == FAILED
    assert told(GUEST, RuntimeError("404 Not Found")) == FAILED
    said = capsys.readouterr().err.splitlines()
    assert "does not allow it: another root may not be made here" in said[0]
    assert "COULD NOT BE BUILT: 404 Not Found" in said[2]


class Refused:
    """A mirror, or an index of packages, that refuses something some times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.tried = 0

    def __call__(self, made: Path, room: Path) -> None:
        self.tried += 1
        made.write_text(f"try {self.tried}")
        if self.tried <= self.times:
            raise RuntimeError("503 Service Unavailable")


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest, "PAUSE_S", 0.0)


@pytest.mark.usefixtures("soon")
def test_a_guest_that_was_refused_something_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = Refused(TRIES - 1)
    monkeypatch.setattr(guest, "_build_once", refused)
    guest._build(tmp_path / "made", tmp_path)
    assert (tmp_path / "made").read_text() == f"try {TRIES}"
    assert capsys.readouterr().err.count("503 Service Unavailable") == TRIES - 1


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(("leaves", "tries"), [(False, TRIES), (True, 1)])
def test_one_that_always_fails_is_a_failure_and_at_once_where_it_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaves: bool, tries: int
) -> None:
    refused = Refused(TRIES)
    monkeypatch.setattr(guest, "_build_once", refused)
    if leaves:
        leaving.set()
    try:
        with pytest.raises(RuntimeError, match="503"):
            guest._build(tmp_path / "made", tmp_path)
    finally:
        leaving.clear()
    assert refused.tried == tries
