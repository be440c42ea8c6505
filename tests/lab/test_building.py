"""Building the lab: what becomes of a failure, and which of them a machine is forgiven."""

from __future__ import annotations

import os
import pwd
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
        # who plays the tests may have been told to outlive its terminal
        ["env", "--default-signal=HUP,TERM,INT", sys.executable, "-c", BUILDS],
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


# -------------------- what it is built with, and where


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all programs that this machine has: what the guest is built with."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("mmdebstrap", "sqfstar", "newuidmap"):
        (folder / name).touch(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.parametrize(
    ("missing", "advice"),
    [("mmdebstrap", "mmdebstrap squashfs"), ("sqfstar", "squashfs-tools"), ("newuidmap", "uidmap")],
)
def test_what_is_missing_is_told_before_anything_is_fetched(
    programs: Path, missing: str, advice: str
) -> None:
    (programs / missing).unlink()
    with pytest.raises(CannotBuildHere, match=rf"{missing} is missing \(apt install .*{advice}"):
        guest._can_be_built("unshare")


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("lacks", ["subuid", "subgid"])
def test_who_is_not_root_has_numbers_for_whom_debian_s_files_belong_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    name = pwd.getpwuid(os.geteuid()).pw_name
    numbers = tmp_path / "subuid", tmp_path / "subgid"
    for file in numbers:
        others = f"{name}s-friend:100000:65536\n"
        file.write_text(others if file.name == lacks else f"{others}{name}:165536:65536\n")
    monkeypatch.setattr(guest, "NUMBERS", numbers)
    with pytest.raises(CannotBuildHere, match=rf"{lacks} has no line for {name}, .*usermod"):
        guest._can_be_built("unshare")


def test_it_is_unpacked_where_there_is_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Debian 13 `/tmp` is in memory, which the kernel's compiler wants beside it."""
    passing, cache = tmp_path / "passing", tmp_path / "cache"
    passing.mkdir()
    cache.mkdir()
    there = {Path("/dev/shm"): 1e9, passing: 4e9, cache: 2e9, Path("/var/tmp"): 3e9}
    memory = {Path("/dev/shm"), passing}
    monkeypatch.setattr("tempfile.tempdir", str(passing))
    monkeypatch.setattr(guest, "free", lambda place: int(there[place]))
    monkeypatch.setattr(guest, "in_memory", lambda place: place in memory)
    for mode in ("root", "unshare"):
        assert guest._unpacked_in(mode, cache) == Path("/var/tmp")
    there[cache] = 3e9
    assert guest._unpacked_in("root", cache) == cache
    there[cache] = there[Path("/var/tmp")] = 2e9
    with pytest.raises(CannotBuildHere, match=r"4\.0 GB in .*passing, 2\.0 GB in /var/tmp"):
        guest._unpacked_in("unshare", cache)


@pytest.mark.parametrize("place", ["/dev/shm", "/proc", "/"])
def test_what_is_in_memory_is_known(place: str) -> None:
    told = subprocess.run(
        ["stat", "-f", "-c", "%T", place], capture_output=True, text=True, check=True
    )
    assert guest.in_memory(Path(place)) is (told.stdout.strip() == "tmpfs")
