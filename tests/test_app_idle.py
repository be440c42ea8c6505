"""An appliance at which nothing happens: nothing is written for it, and nobody hangs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.parts.house import config_for, house
from tests.parts.mosquitto import Mosquitto, mosquitto

__all__ = ["mosquitto"]

IDLE_S = 1.5
"""Longer than whatever is done each second; for longer it was measured by hand (docs/measured.md)."""


def lying_in(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file and folder, and when it was changed."""
    found = {}
    for one in [folder, *folder.rglob("*")]:
        stat = one.stat()
        found[str(one)] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found


@pytest.mark.broker
async def test_an_idle_appliance_writes_nothing_and_none_of_its_threads_hangs(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """The card lasts; and the watchdog of systemd is fed as long as these are at work."""
    async with house(config_for(mosquitto.port), tmp_path) as one:
        state = one.appliance.folder
        await one.until_true(lambda: (state / "device.key").exists())
        before = lying_in(state)
        await asyncio.sleep(IDLE_S)
        assert lying_in(state) == before
        assert {"relay door", "broker", "device topics"} <= {*one.appliance.heartbeats.names}
        assert one.appliance.heartbeats.hanging() == ()
