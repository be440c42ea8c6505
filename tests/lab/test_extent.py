"""How much of the lab is played: what is asked for, and that what is left out is left out, and told."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.lab.extent import PLAYED, Extent, extent
from tests.lab.stock import ROOT


def test_continuous_integration_plays_all_and_whoever_says_nothing_each_subject_once() -> None:
    assert extent({}) is extent({"LAB": ""}) is Extent.SHORT
    assert extent({"CI": "true"}) is Extent.ALL
    assert extent({"LAB": "long"}) is extent({"LAB": "long", "CI": "true"}) is Extent.LONG
    assert PLAYED.keys() == set(Extent)


def test_an_extent_that_there_is_not_is_no_other_one() -> None:
    with pytest.raises(ValueError, match="everything"):
        extent({"LAB": "everything"})


@pytest.mark.thorough  # it costs as much as a call
def test_a_short_run_leaves_out_what_is_thorough_and_says_how_much() -> None:
    """Of tests that a machine would be started for: they are listed only."""
    short, whole = (listed(one) for one in (Extent.SHORT, Extent.ALL))
    assert "test_door.py" in whole
    assert "test_night.py" not in short + whole
    assert "test_night.py" in listed(Extent.LONG)
    assert "test_door.py" not in short
    assert "test_calls.py" in short
    assert "deselected" in short


def listed(how: Extent) -> str:
    words = [
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "tests/lab/test_door.py",
        "tests/lab/test_calls.py",
        "tests/lab/test_night.py",
    ]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={"LAB": how, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
