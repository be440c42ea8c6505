"""A wall clock counts only where systemd-timesyncd says that it has set it."""

from __future__ import annotations

from pathlib import Path

from appliance.signaling.clock import Clock


def test_the_flag_decides(tmp_path: Path) -> None:
    flag = tmp_path / "synchronized"
    clock = Clock(flag)
    assert not clock.synced()
    flag.touch()
    assert clock.synced()


def test_times_have_their_units() -> None:
    clock = Clock()
    assert clock.wall_ms() > 1_700_000_000_000
    assert clock.monotonic_s() <= clock.monotonic_s()
