"""What appliance-journal.service writes when it is stopped, by its own words, in a folder of the test's."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "appliance-journal.service"
BOOT = "b" * 32
TOLD = '#!/bin/sh\necho "${{0##*/}} $*" >> {told}\nexec {program} "$@"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    (tmp_path / "kept").mkdir()
    for name in ("sync", "mv", "rm"):
        said = TOLD.format(told=tmp_path / "told", program=f"/bin/{name}")
        (tmp_path / "bin" / name).write_text(said)
    (tmp_path / "bin" / "journalctl").write_text(f"#!/bin/sh\ncat {tmp_path}/warned\n")
    for one in (tmp_path / "bin").iterdir():
        one.chmod(0o755)
    (tmp_path / "warned").write_text("the lamp is out\n")
    return tmp_path


def stop(folder: Path) -> list[str]:
    """What it did to its files, in its order."""
    text = UNIT.read_text().replace("\\\n", " ")
    [command] = re.findall(r"(?m)^ExecStop=(.*)$", text)
    (folder / "told").unlink(missing_ok=True)
    subprocess.run(
        shlex.split(command.replace("%b", BOOT)),
        env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
        cwd=folder / "kept",
        check=True,
    )
    told = folder / "told"
    return told.read_text().replace(BOOT, "b").splitlines() if told.exists() else []


def kept(folder: Path) -> set[str]:
    return {one.stem for one in (folder / "kept").iterdir()}


def test_no_power_cut_leaves_a_part_of_them(folder: Path) -> None:
    """The disk has all of what is new before its name is another's, and the name when it is done."""
    assert stop(folder) == ["sync new", "mv new b.log", "sync ."]
    assert (folder / "kept" / f"{BOOT}.log").read_text() == "the lamp is out\n"


def test_nothing_is_written_where_nothing_is_new(folder: Path) -> None:
    stop(folder)
    assert stop(folder) == ["rm new"]
    (folder / "warned").write_text("the lamp is out\nthe bell is out\n")
    assert "mv new b.log" in stop(folder)


def test_five_starts_are_kept_and_this_one_is_among_them(folder: Path) -> None:
    """Though its clock may have begun long before theirs: it has no battery, and no network sets it."""
    for day in range(6):
        file = folder / "kept" / f"{day}.log"
        file.write_text("a fuse is out\n")
        os.utime(file, (4e9 + day, 4e9 + day))
    stop(folder)
    assert kept(folder) == {"2", "3", "4", "5", BOOT}
