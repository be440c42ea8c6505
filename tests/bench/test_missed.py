"""A bench that misses an aim fails, and tells which; one without fails not."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable

import pytest

from tests.bench import chatter, startup
from tests.bench.table import Row

FAST = Row("fast", 1, "ms", reference=2, aim=1)
LOUD = Row("loud", 40, "dB", least=25)
SMALL = Row("small", 3, "MB", most=3)
PLAIN = Row("plain", 7, "ms")
SLOW = Row("slow", 3, "ms", reference=2, aim=1)
SOFT = Row("soft", 24.9, "dB", least=25)
LARGE = Row("large", 3.1, "MB", most=3)


def bench(rows: list[Row]) -> Callable[[], list[Row]]:
    return lambda: rows


@pytest.mark.parametrize(
    ("rows", "status", "told"),
    [
        ([FAST, LOUD, SMALL, PLAIN], 0, []),
        ([FAST, SLOW], 1, ["Aims MISSED: 1", "  startup: slow"]),
        ([SOFT, LARGE], 1, ["Aims MISSED: 2", "  startup: soft", "  startup: large"]),
    ],
)
def test_it_fails_where_an_aim_is_missed_when_all_was_measured(
    rows: list[Row],
    status: int,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(startup, "run", bench(rows))
    monkeypatch.setattr(chatter, "run", bench([PLAIN]))
    monkeypatch.setattr(sys, "argv", ["bench", "startup", "chatter"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("tests.bench.__main__", run_name="__main__")
    assert caught.value.code == status
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("  plain") for line in lines), "what comes after it is measured too"
    assert lines[len(lines) - len(told) :] == told
    assert any("MISSED" in line for line in lines) is bool(told)


def test_a_bench_that_is_not_there_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "delays"])
    with pytest.raises(SystemExit, match="no such bench: delays"):
        runpy.run_module("tests.bench.__main__", run_name="__main__")


def test_one_of_two_aims_is_enough_to_miss() -> None:
    row = Row("both", 3, "ms", reference=2, aim=1, most=5)
    assert row.missed
    assert "aim 1: MISSED, aim <= 5: reached" in str(row)
