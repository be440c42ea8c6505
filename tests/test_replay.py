"""What fails beside others and not alone is named when all is over, and forgiven by nobody in silence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = """
from pathlib import Path

def test_once():
    seen = Path("seen")
    first, _ = not seen.exists(), seen.touch()
    assert not first

def test_always():
    assert False

def test_never():
    pass
"""


def test_what_fails_once_is_named_and_what_fails_again_fails(tmp_path: Path) -> None:
    for folder in ("tests/chaos", "tests/media"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "tests" / "media" / "test_all.py").write_text(TESTS)
    (tmp_path / "tests" / "chaos" / "test_one.py").write_text(
        TESTS.split("def test_always")[0].replace('"seen"', '"seen too"')
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    program = Path(sys.executable).with_name("pytest")

    def play(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*words, "-p", "no:xdist", "tests"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    assert play(program).returncode == 1
    again = play(sys.executable, ROOT / ".ci" / "replay.py", ".pytest_cache", program)
    assert again.returncode == 1
    *_, count, rare, other = again.stdout.splitlines()
    assert count == "FAILED ONCE, and passed when they were played alone: 2"
    assert rare.endswith("seldom broken: tests/chaos/test_one.py::test_once")
    assert other == "  tests/media/test_all.py::test_once"
    assert "test_never" not in again.stdout


@pytest.mark.parametrize(("folder", "status"), [("tests/media", 0), ("tests/chaos", 1)])
def test_what_looks_for_what_is_rare_is_not_forgiven(
    folder: str, status: int, tmp_path: Path
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "test_one.py").write_text(TESTS.split("def test_always")[0])
    plays = Path(sys.executable).with_name("pytest")
    for words in ([plays], [sys.executable, ROOT / ".ci" / "replay.py", ".pytest_cache", plays]):
        played = subprocess.run(
            [*words, "-p", "no:xdist", "tests"], cwd=tmp_path, capture_output=True, check=False
        )
    assert played.returncode == status


def test_the_makefile_plays_it_so() -> None:
    said = subprocess.run(
        ["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ".ci/replay.py .pytest_cache/test .venv/bin/pytest" in said.stdout
