"""What a daemon leaves energized that is killed: released by the unit, on a line that keeps its level."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.machine import Machine

RELAY = 27
CONFIG = """
[relays.door]
pin = "GPIO27"
pulse_s = 60
"""
UNIT = "[Service]\nRestartSec=10min\n"
"""The next start, which has every relay at rest, is not to be taken for what released this one."""


@pytest.fixture
def door(lab: Machine) -> Iterator[Machine]:
    """The appliance is up, its relay on a line as a Pi's."""
    lab.put("/etc/appliance/conf.d/relay.toml", CONFIG)
    lab.put("/run/systemd/system/appliance.service.d/relay.conf", UNIT)
    lab.pull(RELAY, "down")  # as a Pi's is by itself
    lab.check("systemctl daemon-reload; systemctl start mosquitto appliance")
    yield lab
    lab.check("systemctl stop appliance mosquitto; systemctl reset-failed")
    lab.check(
        "rm /etc/appliance/conf.d/relay.toml /run/systemd/system/appliance.service.d/relay.conf"
    )
    lab.check("systemctl daemon-reload")


def test_a_relay_is_released_when_the_daemon_is_killed_in_mid_pulse(door: Machine) -> None:
    door.until("appliance ctl unlock relay=door")
    assert door.line(RELAY) == 1
    door.check("systemctl kill --signal=KILL --kill-whom=main appliance")
    door.until(f"grep 0 /run/lab-pins/sim_gpio{RELAY}/value")
    state = door.check("systemctl show -p SubState --value appliance").strip()
    assert state in {"stop-post", "auto-restart"}, "nothing has been started again"
