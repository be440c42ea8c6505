"""Stories of whole devices are played between files of many tests, and none of them is the last."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lab.stock import ROOT
from tests.parts.spreading import DEAR, WAITING, spread


@dataclass(frozen=True)
class One:
    """A test."""

    nodeid: str


def some_of(file: str, many: int) -> list[One]:
    """So many of one file."""
    return [One(f"{file}.py::test_{number}") for number in range(many)]


def test_each_file_stays_whole_and_small_ones_stand_between_large_ones() -> None:
    small, other, middle, large = (
        some_of(name, many) for name, many in (("a", 1), ("b", 2), ("c", 5), ("d", 90))
    )
    assert spread([*small, *middle, *other, *large]) == [*large, *small, *middle, *other]


def test_who_waits_is_first_and_who_is_dear_is_last() -> None:
    waiting, dear = (some_of(name.removesuffix(".py"), 2) for name in (WAITING[1], DEAR[0]))
    large = some_of("large", 9)
    assert spread([*dear, *large, *waiting]) == [*waiting, *large, *dear]
    assert [name for name in WAITING + DEAR if not (ROOT / name).exists()] == []


def test_a_class_is_played_by_itself_and_nothing_is_lost() -> None:
    inside, beside = One("a.py::TestOne::test_it"), One("a.py::test_it")
    assert set(spread([inside, beside])) == {inside, beside}
    assert spread([]) == []


HOOK = """
from tests.parts.spreading import scheduler as pytest_xdist_make_scheduler
"""
PLAYED = """
import os
from pathlib import Path

import pytest

@pytest.mark.parametrize("number", range(3))
def test_it(number):
    with Path("played").open("a") as file:
        print(os.environ["PYTEST_XDIST_WORKER"], Path(__file__).stem, file=file)
"""


DIES = """
import os
from pathlib import Path

def test_that_ends_who_plays_it_once():
    if not Path("ended").exists():
        Path("ended").touch()
        os._exit(1)

def test_that_is_left():
    Path("left").touch()
"""
GOES_ON = """
import time
from pathlib import Path

def test_for_as_long_as_that():
    end = time.monotonic() + 20
    while not Path("left").exists() and time.monotonic() < end:
        time.sleep(0.05)
"""


def play(folder: Path, files: dict[str, str]) -> str:
    """By three; what pytest has to say."""
    (folder / "conftest.py").write_text(HOOK)
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    words = ["-m", "pytest", "-n", "3", "--dist", "loadscope", "--import-mode=importlib", "tests"]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_what_is_dear_is_played_to_its_end_though_who_plays_it_dies(tmp_path: Path) -> None:
    """By another, where the others are at their last."""
    told = play(tmp_path, {"tests/test_one.py": GOES_ON, DEAR[0]: DIES, DEAR[1]: GOES_ON})
    assert "1 failed, 4 passed" in told, told


def test_of_three_who_play_one_gets_nothing_that_is_dear(tmp_path: Path) -> None:
    names = [*DEAR, "tests/test_one.py", "tests/test_other.py"]
    told = play(tmp_path, dict.fromkeys(names, PLAYED))
    assert f"{3 * len(names)} passed" in told, told
    played = [line.split() for line in (tmp_path / "played").read_text().splitlines()]
    assert len(played) == 3 * len(names)
    dear = {Path(name).stem for name in DEAR}
    assert len({worker for worker, _ in played}) == 3
    assert len({worker for worker, name in played if name in dear}) == 2
