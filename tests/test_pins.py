"""Which versions `make install` gives to pip, beside a picamera2 for the one numpy or the other."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts.need import program

ROOT = Path(__file__).parents[1]
PINNED = (ROOT / ".ci" / "constraints.txt").read_text()


def without_numpy(constraints: str) -> list[str]:
    return [line for line in constraints.splitlines() if not line.startswith("numpy")]


class System:
    """A Python with packages of the system's, and an environment whose pip notes what it is given."""

    def __init__(self, folder: Path, make: Path) -> None:
        self.make = str(make)
        self.packages, self.venv = folder / "dist-packages", folder / "venv"
        self.packages.mkdir()
        (self.venv / "bin").mkdir(parents=True)
        (self.venv / "pyvenv.cfg").touch()
        self.given = folder / "given"
        pip = self.venv / "bin" / "python"
        pip.write_text(f'#!/bin/sh\ncat "$PIP_CONSTRAINT" >> {shlex.quote(str(self.given))}\n')
        pip.chmod(0o755)

    def has(self, numpy: str, *, picamera2: bool = True) -> None:
        if picamera2:
            (self.packages / "picamera2").mkdir()
            (self.packages / "picamera2" / "__init__.py").touch()
        if numpy:
            about = self.packages / f"numpy-{numpy}.dist-info" / "METADATA"
            about.parent.mkdir()
            about.write_text(f"Metadata-Version: 2.1\nName: numpy\nVersion: {numpy}\n")

    def install(self) -> str:
        """What pip was given as constraints since the last time; nothing where it was not called."""
        self.given.unlink(missing_ok=True)
        python = (
            f"env PYTHONPATH={shlex.quote(str(self.packages))} {shlex.quote(sys.executable)} -S"
        )
        command = [
            self.make,
            "-s",
            "-C",
            str(ROOT),
            f"VENV={self.venv}",
            f"PYTHON={python}",
            "install",
        ]
        # a make runs the tests, which is not to be gone on with; and in CI it is not pip that installs
        environ = {
            name: value for name, value in os.environ.items() if "MAKE" not in name and name != "CI"
        }
        subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL)
        return self.given.read_text() if self.given.exists() else ""


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path, program("make"))


def test_beside_a_picamera2_that_is_made_for_numpy_1_there_is_numpy_1(system: System) -> None:
    system.has("1.24.2")
    given = system.install()
    assert "numpy<2" in given.splitlines()
    assert "numpy==" not in given
    assert without_numpy(given) == without_numpy(PINNED), "all else is as it is pinned"


@pytest.mark.parametrize(("numpy", "picamera2"), [("2.2.4", True), ("1.24.2", False), ("", False)])
def test_anything_else_gets_what_is_pinned(system: System, numpy: str, picamera2: bool) -> None:
    system.has(numpy, picamera2=picamera2)
    assert system.install() == PINNED


def test_a_picamera2_that_is_installed_later_changes_it_and_once_is_enough(system: System) -> None:
    assert system.install() == PINNED
    assert system.install() == ""
    system.has("1.26.4")
    assert "numpy<2" in system.install().splitlines()
    assert system.install() == ""
