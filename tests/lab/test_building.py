"""Building the lab: what becomes of a failure, and which of them a machine is forgiven."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import __main__ as building
from tests.lab import guest
from tests.lab.__main__ import FAILED, NOT_HERE, NOT_THERE, told
from tests.lab.archive import TRIES
from tests.lab.stock import CannotBuildHere, NotAllowedHere, leaving
from tests.lab.trial import CannotStartHere


def test_what_has_not_been_built_is_told_by_a_status_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = subprocess.run([sys.executable, "-m", "tests.lab", "--there"], check=False)
    assert done.returncode == NOT_THERE


def test_only_what_nobody_can_mend_is_forgiven(capsys: pytest.CaptureFixture[str]) -> None:
    assert told("it failed", NotAllowedHere("another root may not be made here")) == NOT_HERE
    assert told("it failed", CannotStartHere("ptrace is not permitted")) == NOT_HERE
    assert told("it failed", CannotBuildHere("mmdebstrap is missing")) == FAILED
    assert told("it failed", RuntimeError("404 Not Found")) == FAILED
    assert capsys.readouterr().err.splitlines() == [
        "lab: this computer does not allow it: another root may not be made here",
        "lab: this computer does not allow it: ptrace is not permitted",
        "lab: it failed: mmdebstrap is missing",
        "lab: it failed: 404 Not Found",
    ]


BUILDS = """
import subprocess, sys
from tests.lab import __main__ as lab
from tests.lab.stock import Item

def make(made, room):
    subprocess.run(["sh", "-c", "echo begun; exec sleep 4321"], check=True)

thing = Item("thing", "a thing", "no time", "a")
lab.PARTS = ((thing, lambda: thing.get(make)),)
sys.exit(lab.main())
"""
"""It never ends by itself."""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_who_ends_it_or_closes_its_terminal_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BUILDS],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as begun:
        assert begun.stdout is not None
        assert begun.stdout.readline() == b"begun\n"
        os.killpg(begun.pid, number)
        begun.communicate()
    assert begun.returncode == 128 + number
    left = {path.name for path in (tmp_path / "appliance-lab").iterdir()}
    assert left == {"thing.lock", "thing.log"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CannotStartHere("ptrace is not permitted"), NOT_HERE),
        (RuntimeError("the wheel could not be made"), FAILED),
        (subprocess.TimeoutExpired(["kernel"], 120), FAILED),
        (CannotBuildHere("sqfstar is missing"), FAILED),
    ],
)
def test_what_fails_once_all_is_built_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    status: int,
) -> None:
    def fails(_: object) -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["lab"])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(building, "PARTS", ())
    monkeypatch.setattr(building, "kernel", lambda: Path("kernel"))
    monkeypatch.setattr(building, "starts", fails)
    assert building.main() == status
    [said] = capsys.readouterr().err.splitlines()
    assert str(error) in said


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
