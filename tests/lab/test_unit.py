"""The unit as shipped, under the systemd of a whole Debian, before the devices that it is about."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from appliance.model import Situation
from tests.lab.extent import EXTENT, Extent
from tests.lab.machine import Machine
from tests.lab.project import SITE, SOURCE
from tests.parts import booted
from tests.parts.sandbox import REAL_DEVICES, ROWS, UNIT, probed
from tests.service import test_booted as elsewhere
from tests.service.test_booted import FILE, HANGS, PASSWORD, stopped

__all__ = ["stopped"]

APPLIANCE = "/opt/appliance/bin/appliance"
SOCKET = "/run/appliance/appliance.sock"
HOOK = "/etc/appliance/hooks.d/call_ended"
MORE = "/etc/appliance/conf.d/unit.toml"
LIGHT, RELAY = (f"/run/lab-pins/sim_gpio{pin}/value" for pin in (18, 27))
LIT = ", ".join(f'{situation} = "on"' for situation in Situation)
ALL_ON = f"""
[relays.door]
pin = "GPIO27"
pulse_s = 60
[leds.status]
pin = "GPIO18"
patterns = {{{LIT}}}
"""
"""A pulse that is longer than a daemon lives here, and a light that is lit while there is one."""
CAMERA, NONE = 'device = "0"', 'device = "test-card"'
"""To find out about a camera is a third of what a start costs, and there are four; calls have it."""
SOONER = '    systemd.notify("WATCHDOG_USEC=200000")\n'
"""What a container does to wait no half minute. Here the unit's own limit is waited for, in no time."""
OWN = {"disk": ("b", 98, 0), "screen": ("c", 29, 0)}
"""More of the guest's devices that are there for whoever may; those of a container are, too."""
HERE = {
    **ROWS,
    **REAL_DEVICES,
    # a kernel that knows it by itself says so (PR_SET_MDWE), where another has a filter of system calls
    "write memory that is run": "EACCES",
    "run memory that was written": "EACCES",
    # a container has none
    "read the kernel's log": "EACCES",
}


class Guest(booted.Machine):
    """The lab's machine, as tests of a container know theirs."""

    def __init__(self, lab: Machine) -> None:
        self._lab = lab
        self._since = ""

    def run(self, command: str, *, check: bool = True) -> booted.Ran:
        done = self._lab.run(command)
        if check and not done.ok:
            pytest.fail(f"{command}: {done.code}\n{done.out}")
        return booted.Ran(done.code, done.out)

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        self._lab.put(path, text, mode)

    def until(self, command: str, *, holds: str = "") -> str:
        """Within the guest, whose time passes only while something is done there."""
        return self._lab.until(command, holds=holds)


@pytest.fixture(scope="module")
def machine(spare: Machine) -> Iterator[Guest]:
    """Configured as the lab is, with a plug-in that hangs when it is told to, a secret and a hook."""
    guest = Guest(spare)
    before = guest.read(FILE)
    mqtt = '[mqtt]\npassword_file = "$CREDENTIALS_DIRECTORY/mqtt.password"\n'
    configured = f'{before.replace(CAMERA, NONE)}\n{mqtt}[plugins]\nmodules = ["hanging"]\n'
    assert NONE in configured
    guest.put(FILE, configured)
    guest.put("/etc/credstore/appliance.mqtt.password", PASSWORD, 0o600)
    guest.put(HOOK, "#!/bin/sh\n", 0o755)
    guest.put(MORE, ALL_ON)
    # as a Pi's are by themselves
    guest.run("for pin in 18 27; do echo pull-down > /run/lab-pins/sim_gpio$pin/pull; done")
    assert SOONER in HANGS
    guest.put(f"{SITE}/hanging.py", HANGS.replace(SOONER, ""))
    guest.put(f"{SITE}/source.pth", f"{SOURCE}\n")  # what tries the sandbox is there
    nodes = {name: ("c", *numbers) for name, numbers in booted.NODES.items()} | OWN
    each = (f"mknod -m 666 /dev/test/{name} {' '.join(map(str, of))}" for name, of in nodes.items())
    guest.run(f"mkdir -p /dev/test && {' && '.join(each)}")
    # an address that is not loopback's: no connection is made over that
    guest.run(
        "ip link add near type dummy; ip addr add 198.18.2.1/24 dev near; ip link set near up"
    )
    with pytest.MonkeyPatch.context() as patch:  # what `stopped` leaves behind
        patch.setattr(elsewhere, "config", lambda _port: configured)
        yield guest
    if EXTENT is Extent.SHORT:
        return  # nobody comes after them
    guest.as_shipped()
    guest.run("ip link delete near")
    guest.put(FILE, before)
    made = f"{SITE}/hanging.py {SITE}/source.pth {HOOK} {MORE} /etc/credstore/* /etc/credstore.encrypted/*"
    guest.run(f"rm -f {made}; systemctl reset-failed")


@pytest.fixture
def alone(machine: Guest) -> Guest:
    """It runs without a broker; the same one for several tests, which find out how it is."""
    machine.begin()
    # whoever tries the sandbox takes the folder of its socket along
    machine.run(f"test -S {SOCKET} || systemctl restart appliance")
    machine.until(f"test -S {SOCKET} && echo there")
    return machine


# -------------------- what it grants and denies, and how much


def test_what_the_sandbox_grants_and_denies(machine: Guest) -> None:
    assert probed(machine, names=shlex.join(HERE)) == HERE


@pytest.mark.thorough
def test_a_screen_s_devices_are_its_drop_in_s(machine: Guest) -> None:
    text = UNIT.read_text() + (UNIT.parent / "appliance-screen.conf").read_text()
    found = probed(machine, text, "'open a keyboard' 'open a terminal'")
    assert found == {"open a keyboard": "granted", "open a terminal": "EPERM"}


test_who_starts_no_end_of_threads_is_stopped = pytest.mark.thorough(
    elsewhere.test_who_starts_no_end_of_threads_is_stopped
)
test_who_grows_without_end_is_ended = pytest.mark.thorough(
    elsewhere.test_who_grows_without_end_is_ended
)


# -------------------- what it tells, and what it survives


def test_it_is_ready_when_its_devices_are_in_its_hand(machine: Guest) -> None:
    """A press is heard from the moment in which systemd has started it; one that is older is none."""
    machine.begin()
    pressed = "echo pull-down > /run/lab-pins/sim_gpio17/pull"
    machine.run(f"systemctl restart appliance && {pressed}")
    assert [machine.shows("ActiveState"), machine.shows("Type")] == ["active", "notify"]
    assert machine.shows("StatusText") != "", "it has told how it is"
    machine.until(f"test -S {SOCKET} && echo there")
    machine.until(f"{APPLIANCE} events", holds="call_button_clicked")
    status = machine.run(f"{APPLIANCE} status").out
    assert '"failures": {}' in status
    assert '"faults": {}' in status
    machine.run("echo pull-up > /run/lab-pins/sim_gpio17/pull")
    machine.until("systemctl show -P StatusText appliance", holds="broker offline")


test_a_secret_is_for_the_service_alone = elsewhere.test_a_secret_is_for_the_service_alone
test_who_may_use_the_local_socket = elsewhere.test_who_may_use_the_local_socket


def test_who_is_killed_releases_relay_and_light_and_is_back(alone: Guest) -> None:
    """In mid-pulse: lines keep their level until the unit's last word, before anything is started anew."""
    before, restarts = alone.shows("MainPID"), int(alone.shows("NRestarts"))
    alone.run(f"{APPLIANCE} ctl unlock relay=door")
    alone.until(f"grep -q 1 {LIGHT} && grep -q 1 {RELAY}")  # it answers a press by a wink
    alone.run(f"kill -9 {before}")
    dark = f"grep -q 0 {LIGHT} && grep -q 0 {RELAY}"
    state = alone.until(f"{dark} && systemctl show -P SubState appliance").strip()
    assert state in {"stop-post", "auto-restart"}
    alone.until("systemctl show -P NRestarts appliance", holds=str(restarts + 1))
    alone.until("systemctl is-active appliance", holds="active")
    assert alone.shows("MainPID") not in ("0", before)
    alone.until(f"{APPLIANCE} status", holds='"front-door"')


test_what_hangs_is_ended_and_started_anew = elsewhere.test_what_hangs_is_ended_and_started_anew
test_a_fault_of_the_configuration_is_told_once = pytest.mark.thorough(
    elsewhere.test_a_fault_of_the_configuration_is_told_once
)
# the last: what it leaves would be in the place of the plain secret
test_a_secret_may_be_encrypted_to_this_machine = pytest.mark.thorough(
    elsewhere.test_a_secret_may_be_encrypted_to_this_machine
)
