"""Numbers rise over every restart, whatever the clock says."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.signaling.sequence import HIGHEST, RESERVED, first_number, successor

NOW_MS = 1_795_252_800_123
A_YEAR_MS = 365 * 86_400_000


def test_it_is_the_clock_at_first(tmp_path: Path) -> None:
    assert first_number(tmp_path / "state", NOW_MS) == NOW_MS


@pytest.mark.parametrize("wall_ms", [0, NOW_MS - A_YEAR_MS, NOW_MS, NOW_MS + 1])
def test_it_rises_though_the_clock_was_set_back(tmp_path: Path, wall_ms: int) -> None:
    first = first_number(tmp_path, NOW_MS)
    again = first_number(tmp_path, wall_ms)
    assert again >= first + RESERVED
    assert first_number(tmp_path, wall_ms) >= again + RESERVED


def test_a_clock_that_has_run_on_counts(tmp_path: Path) -> None:
    first_number(tmp_path, NOW_MS)
    assert first_number(tmp_path, NOW_MS + A_YEAR_MS) == NOW_MS + A_YEAR_MS


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-1", str(HIGHEST).encode(), b"9" * 30])
def test_what_cannot_be_is_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sequence").write_bytes(content)
    assert first_number(tmp_path, NOW_MS) == NOW_MS


def test_where_nothing_can_be_kept_the_clock_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    assert first_number(tmp_path / "state", NOW_MS) == NOW_MS
    assert "cannot be written" in caplog.text


def test_a_successor_begins_above_thousands_of_starts_though_no_clock_is_right() -> None:
    kept = NOW_MS + RESERVED
    assert int(successor(b"%d\n" % kept, 0, 0)) >= kept + 4000 * RESERVED


def test_of_two_successors_from_one_backup_the_later_one_begins_higher(tmp_path: Path) -> None:
    kept = b"%d\n" % (NOW_MS + RESERVED)
    (tmp_path / "sequence").write_bytes(successor(kept, NOW_MS))
    for _ in range(12):  # starts in an hour
        used = first_number(tmp_path, NOW_MS) + RESERVED
    assert int(successor(kept, NOW_MS + 3_600_000)) > used


@pytest.mark.parametrize("kept", [b"", b"nonsense", b"9" * 30, b"%d" % (HIGHEST - 1)])
def test_whatever_was_kept_a_successor_s_number_is_one_that_counts(
    tmp_path: Path, kept: bytes
) -> None:
    (tmp_path / "sequence").write_bytes(successor(kept, NOW_MS))
    assert NOW_MS < first_number(tmp_path, 0) < HIGHEST
