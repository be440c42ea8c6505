"""The unchanged daemon under a real systemd, at pins, a camera and a sound card of the kernel's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.machine import Machine

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def door(lab: Machine) -> Iterator[Machine]:
    """The appliance is up, as systemd sees it, and answers."""
    lab.pull(17, "up")
    lab.check("systemctl start mosquitto appliance")
    lab.until("appliance status")
    yield lab
    lab.check("systemctl stop appliance mosquitto; systemctl reset-failed")


def test_it_is_ready_when_systemd_says_that_it_is_active(door: Machine) -> None:
    assert door.check("systemctl is-active appliance").strip() == "active"
    assert "Type=notify" in door.check("systemctl show -p Type appliance")
    assert "gpio_unavailable" not in door.journal("appliance")


def test_a_press_on_a_line_is_told_at_the_local_socket(door: Machine) -> None:
    door.pull(17, "down")
    told = door.until("appliance events | grep -m 1 call_button_clicked")
    door.pull(17, "up")
    assert '"button": "call"' in told


def test_the_relay_is_energized_by_a_command_and_released_again(door: Machine) -> None:
    assert door.line(27) == 0
    reads = "$(cat /run/lab-pins/sim_gpio27/value)"
    both = (f"until [ {reads} = {level} ]; do sleep 0.05; done" for level in (1, 0))
    seen = door.start("; ".join(both))
    door.check("appliance ctl unlock relay=door")
    assert seen.result().ok
