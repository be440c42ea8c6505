"""How long a stop in a call takes, by systemd's own clock, where time passes only while all of it waits.

What the processor does takes no time there: what is measured is all that is waited for, on the other side,
on the broker, on threads and limits, and no busy computer adds to it.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from appliance.media.seams.timing import go_steadily
from tests.lab.within.night import broker
from tests.lab.within.unit import CONFIG, SIMULATED, shell
from tests.parts.guest import guest
from tests.parts.mosquitto import Mosquitto
from tests.parts.pen import read

__all__ = ["broker"]

STOPS_S = 3.0
MICROSECOND = 1e-6
HOLDS = "systemd-run --quiet --unit=holds --property=After=appliance.service sleep infinity"
"""A unit that nobody names any more is forgotten when it has ended, with when that was."""

pytestmark = pytest.mark.timeout(10_000_000)  # by that clock


def seconds(name: str) -> float:
    """When something came to be, by the clock that only rises (systemctl(1), show)."""
    return int(shell(f"systemctl show -P {name} appliance")) * MICROSECOND


async def until(command: str, holds: str) -> None:
    """Ask until it says so."""
    while holds not in await asyncio.to_thread(shell, command):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.1)


async def test_a_stop_in_a_call_is_over_within_three_seconds(broker: Mosquitto) -> None:
    """`end` is heard, offline stands at the broker, and systemd has nothing to kill."""
    before = CONFIG.read_text()
    CONFIG.write_text(f"{SIMULATED}\n[mqtt]\nport = {broker.port}\n")
    go_steadily()
    try:
        await asyncio.to_thread(shell, f"{HOLDS}; systemctl restart appliance")
        async with guest("alice", broker.port) as alice:
            await until("systemctl show -P StatusText appliance", "broker connected, idle")
            await asyncio.to_thread(shell, "/opt/appliance/bin/appliance press call")
            await alice.takes(await alice.hear("invite"))
            media = (await alice.talks()).media
            await media.until(lambda: media.pictures > 5)
            await until("systemctl show -P StatusText appliance", "broker connected, connected")
            await asyncio.to_thread(shell, "systemctl stop appliance")
            await alice.hear("end")
        assert seconds("ActiveExitTimestampMonotonic") > 0
        lasted_s = seconds("InactiveEnterTimestampMonotonic") - seconds(
            "ActiveExitTimestampMonotonic"
        )
        print(f"a stop in a call took {lasted_s:.3f} s")  # noqa: T201 - a figure
        assert 0 <= lasted_s < STOPS_S
        assert shell("systemctl show -P Result appliance").strip() == "success"
        look = f"mosquitto_sub -p {broker.port} -C 1 -t 'appliance/presence/front-door/+'"
        presence = await asyncio.to_thread(shell, look)
        assert json.loads(read(presence.encode()))["state"] == "offline"
        log = shell("journalctl -b -u appliance -o cat -n 40")
        assert "SIGKILL" not in log
    finally:
        shell("systemctl stop appliance holds; systemctl reset-failed || true")
        CONFIG.write_text(before)
