"""Whole calls at simulated pins, camera and card, and what is in use by others or breaks in them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.extent import EXTENT, Extent
from tests.lab.inside import passes
from tests.lab.machine import Machine
from tests.lab.within.front import CAMERA, SENSOR

HELD = (17, 18, 27)
"""Button, light and relay: other programs have them when the appliance starts."""

CONFIG = """
[media]
width = 256
height = 192
framerate = 5

[buttons.leave]
pin = "GPIO22"
press = "leave"

[buttons.answer]
pin = "GPIO23"
press = "answer"

[relays.door]
pin = "GPIO27"
pulse_s = 5

[audio.speaker]
playback = "loudspeaker"
capture = "microphone"
echo = "off"
"""
"""Few pictures and no canceller: both ends of a call have one slow processor.

The size is nobody else's, the camera's least of all. And a pulse that is seen by whoever does not get
to look for some seconds.
"""

UNIT = "[Service]\nWatchdogSec=10min\n"
"""Nor is it waited for here: how long a start takes is a matter of what else the processor does."""

BODIES = ["calls breaking"] if EXTENT is Extent.SHORT else ["calls", "breaking"]
"""By the machine that plays them: where all of it is, each has one, since most of it is waiting."""
LIMIT_S = 1800
"""For the most part it waits; on a busy computer it took more than seven minutes."""


@pytest.fixture(scope="module", params=BODIES)
def bodies(request: pytest.FixtureRequest) -> list[str]:
    """Files in tests/lab/within."""
    names: str = request.param
    return names.split()


@pytest.fixture(scope="module")
def door(lab: Machine, bodies: list[str]) -> Iterator[Machine]:
    """The appliance is wholly there, and a network; for calls its pins were in use when it started."""
    lab.put("/etc/appliance/conf.d/calls.toml", CONFIG)
    lab.put("/run/systemd/system/appliance.service.d/calls.conf", UNIT)
    lab.check(
        "ip link add lan type dummy; ip address add 192.168.77.2/24 dev lan; ip link set lan up"
    )
    for pin in (17, 22, 23):
        lab.pull(pin, "up")
    hold = (
        "systemd-run -q --unit=hold-$pin gpiomon -c $(basename $(readlink -f /run/lab-pins)) $pin"
    )
    if "calls" in bodies:
        lab.check(f"for pin in {' '.join(map(str, HELD))}; do {hold}; done")
    lab.check("systemctl daemon-reload; systemctl start mosquitto appliance")
    lab.until_logged("ready; the page")
    yield lab
    if EXTENT is Extent.SHORT:
        return  # nobody comes after them
    lab.check(
        "systemctl stop appliance mosquitto 'hold-*'; systemctl reset-failed; ip link delete lan"
    )
    lab.run(f"echo {SENSOR} > {CAMERA}/bind")  # the last of them has taken it away
    lab.check(
        "rm /etc/appliance/conf.d/calls.toml /run/systemd/system/appliance.service.d/calls.conf"
    )
    lab.check("systemctl daemon-reload")


@pytest.mark.timeout(LIMIT_S)
def test_calls_and_what_breaks_in_them(door: Machine, bodies: list[str]) -> None:
    """Bodies of the guest's own pytest: which of them fails is told, and none of those after it is played.

    They would only wait for what it has left broken.
    """
    files = (f"tests/lab/within/{body}.py" for body in bodies)
    passes(door, f"-x {' '.join(files)}", LIMIT_S)
