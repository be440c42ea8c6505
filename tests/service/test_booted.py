"""The unit under a real systemd as PID 1: what it tells, what it survives, what it grants and denies."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.parts.booted import Machine, booted
from tests.parts.mosquitto import Mosquitto, free_port, mosquitto
from tests.parts.phone import phone
from tests.parts.sandbox import DEVICES, ROWS, UNIT, probed

__all__ = ["mosquitto"]

CONFIG = """
[device]
id = "front-door"
name = "Front door"
board = "{board}"
[mqtt]
port = {mqtt_port}
password_file = "$CREDENTIALS_DIRECTORY/mqtt.password"
[security]
unsigned = "allow"
[contacts.alice]
name = "Alice"
may = ["call", "answer", "unlock"]
[call]
receiver = "user:alice"
[buttons.call]
pin = "GPIO17"
press = "call"
[relays.door]
pin = "GPIO18"
[cameras.front]
device = "test-card"
[audio.speaker]
playback = "silence"
capture = "tone"
[http]
port = {http_port}
[plugins]
modules = [{plugins}]
"""
FILE = "/etc/appliance/appliance.toml"

HANGS = '''
"""Holds the loop up for good, once somebody says so, and lets the watchdog notice at once."""

import asyncio
import time
from pathlib import Path

from appliance.service import systemd


async def wait_for_the_word():
    while not Path("/run/appliance/hang").exists():
        await asyncio.sleep(0.05)
    systemd.notify("WATCHDOG_USEC=200000")
    time.sleep(600)


def setup(session):
    session.listen(object())
    global task
    task = asyncio.get_running_loop().create_task(wait_for_the_word())
'''
PASSWORD = "not-to-be-seen"


def config(mqtt_port: int, board: str = "simulated", plugins: str = "") -> str:
    return CONFIG.format(board=board, mqtt_port=mqtt_port, http_port=free_port(), plugins=plugins)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    files = {
        FILE: config(free_port()),
        "/etc/credstore/appliance.mqtt.password": PASSWORD,
        "/etc/appliance/hooks.d/call_ended": "#!/bin/sh\n",
        "/opt/appliance/plugins/hanging.py": HANGS,
    }
    with booted(tmp_path_factory.mktemp("booted"), files) as one:
        yield one


@pytest.fixture
def unit(machine: Machine) -> Iterator[Machine]:
    """The machine, whose unit is afterwards as it is shipped, and does not run."""
    machine.run("systemctl reset-failed appliance", check=False)
    yield machine
    machine.without_drop_ins()


# -------------------- what it grants and denies


@pytest.fixture(scope="module")
def found(machine: Machine) -> Mapping[str, str]:
    return probed(machine)


@pytest.mark.parametrize("attempt", ROWS)
def test_what_the_sandbox_grants_and_denies(
    attempt: str, found: Mapping[str, str], machine: Machine
) -> None:
    if attempt in DEVICES and not machine.controls("devices"):
        pytest.skip("this kernel lets no container control devices: the lab's own does")
    assert found[attempt] == ROWS[attempt]


def test_every_attempt_has_its_row(found: Mapping[str, str]) -> None:
    assert found.keys() == ROWS.keys()


def test_a_secret_is_for_the_service_alone(unit: Machine) -> None:
    unit.run("systemctl start appliance")
    secret = "/run/credentials/appliance.service/mqtt.password"
    assert unit.read(secret) == PASSWORD
    nobody = unit.run(f"setpriv --reuid nobody --regid nogroup --clear-groups cat {secret}", check=False)
    assert (nobody.code, PASSWORD in nobody.out) == (1, False)
    assert PASSWORD not in unit.run("cat /proc/$(systemctl show -P MainPID appliance)/environ").out


def test_a_secret_may_be_encrypted_to_this_machine(unit: Machine) -> None:
    unit.run("mkdir -p /etc/credstore.encrypted")
    unit.run(
        "printf other | systemd-creds --with-key=host --name=appliance.mqtt.password encrypt -"
        " /etc/credstore.encrypted/appliance.mqtt.password"
    )
    unit.drop_in("[Service]\nLoadCredentialEncrypted=mqtt.password:appliance.mqtt.password\n")
    unit.run("systemctl start appliance")
    assert unit.read("/run/credentials/appliance.service/mqtt.password") == "other"


def test_who_may_use_the_local_socket(unit: Machine) -> None:
    """Whom the owner puts into the group, and nobody else; also without being anybody in there."""
    unit.run("systemctl start appliance")
    ask = "/opt/appliance/bin/appliance status"
    whom = "setpriv --reuid nobody --regid nogroup"
    unit.until(f"{whom} --groups appliance {ask}", holds='"front-door"')
    refused = unit.run(f"{whom} --clear-groups {ask}", check=False)
    assert refused.code == 1
    assert "appliance" in refused.out
    assert unit.run("stat -c '%A %U %G' /run/appliance/appliance.sock").out.split() == [
        "srw-rw----", "appliance", "appliance",
    ]  # fmt: skip


# -------------------- what it tells, and what it survives


def test_it_is_ready_without_any_network(unit: Machine) -> None:
    """Buttons are answered; that there is no broker is told."""
    unit.drop_in("[Service]\nPrivateNetwork=yes\n")
    unit.run("systemctl start appliance")
    assert unit.shows("ActiveState") == "active"
    unit.until("systemctl show -P StatusText appliance", holds="broker offline")
    unit.run("/opt/appliance/bin/appliance press call")
    unit.until("/opt/appliance/bin/appliance events", holds="call_button_clicked")
    after = unit.shows("After").split() + unit.shows("Wants").split() + unit.shows("Requires").split()
    assert not [name for name in after if re.match("(network|time-sync|sound|nss)", name)]


def test_it_is_never_ready_without_its_buttons(unit: Machine) -> None:
    unit.put(FILE, config(free_port(), board="pi"))
    started = unit.run("systemctl start appliance", check=False)
    unit.run("systemctl stop appliance")
    unit.put(FILE, config(free_port()))
    assert started.code != 0
    assert "No pins can be reached" in unit.journal()


def test_a_fault_of_the_configuration_is_told_once(unit: Machine) -> None:
    """It does not mend itself, so nothing is tried again; and it stands in the journal."""
    unit.put(FILE, "[device]\nid = 7\n")
    assert unit.run("systemctl start appliance", check=False).code != 0
    unit.put(FILE, config(free_port()))
    assert unit.shows("ExecMainStatus") == "78"
    assert unit.shows("ActiveState") == "failed"
    assert unit.shows("NRestarts") == "0"
    assert "device.id" in unit.journal()


def test_what_hangs_is_ended_and_started_anew(unit: Machine) -> None:
    """And where it hung stands in the journal; relay and LEDs are released in between."""
    unit.put(FILE, config(free_port(), plugins='"hanging"'))
    unit.drop_in("[Service]\nEnvironment=PYTHONPATH=/opt/appliance/plugins\n")
    unit.run("systemctl start appliance")
    before = unit.shows("MainPID")
    unit.until("touch /run/appliance/hang && systemctl show -P NRestarts appliance", holds="1")
    unit.run("rm -f /run/appliance/hang")
    unit.until("systemctl show -P ActiveState appliance", holds="active")
    unit.until("systemctl show -P StatusText appliance", holds="broker")
    assert unit.shows("MainPID") not in ("0", before)
    told = unit.journal()
    for sentence in ("Watchdog timeout", "signal SIGABRT", "in wait_for_the_word", "Result 'watchdog'"):
        assert sentence.lower() in told.lower().replace("result 'watchdog'", "result 'watchdog'")
    unit.put(FILE, config(free_port()))


def test_who_is_killed_is_back(unit: Machine) -> None:
    unit.run("systemctl start appliance")
    unit.until("test -S /run/appliance/appliance.sock && echo there", holds="there")
    before = unit.shows("MainPID")
    unit.run(f"kill -9 {before}")
    unit.until("systemctl show -P NRestarts appliance", holds="1")
    unit.until("systemctl is-active appliance", holds="active")
    unit.until("/opt/appliance/bin/appliance status", holds='"front-door"')
    assert unit.shows("MainPID") not in ("0", before)
    assert "Control process exited" not in unit.journal(), "what releases the outputs has failed"


async def test_a_stop_in_a_call_is_polite(unit: Machine, mosquitto: Mosquitto) -> None:
    """The other side is told by a message and not by its own patience, and the broker before its Last Will."""
    unit.put(FILE, config(mosquitto.port))
    await asyncio.to_thread(unit.run, "systemctl start appliance")
    ask = "/opt/appliance/bin/appliance"
    async with phone("alice", "127.0.0.1", mosquitto.port) as alice:
        await asyncio.to_thread(unit.until, "systemctl show -P StatusText appliance", holds="broker online, idle")
        await alice.call("ab" * 16)
        await alice.hear("ringing")
        await asyncio.to_thread(unit.run, f"{ask} ctl accept_call")
        await alice.connected()
        await asyncio.to_thread(unit.until, "systemctl show -P StatusText appliance", holds="connected")
        await asyncio.to_thread(unit.run, "systemctl stop appliance")
        end = await alice.hear("end")
    assert end["body"]["reason"] == "device_stopping"
    assert unit.shows("Result") == "success"
    assert "SIGKILL" not in unit.journal()


# -------------------- limits


def test_a_program_that_makes_no_end_of_processes_is_stopped(unit: Machine) -> None:
    if not unit.controls("pids"):
        pytest.skip("this kernel lets no container limit processes: the lab's own does")
    text = UNIT.read_text().replace("TasksMax=200", "TasksMax=20")
    assert "TasksMax=20\n" in text
    many = probed(unit, text, "'start two hundred threads'")
    assert many == {"start two hundred threads": "RuntimeError: can't start new thread"}


def test_a_daemon_that_grows_without_end_is_started_anew(unit: Machine) -> None:
    if not unit.controls("memory"):
        pytest.skip("this kernel lets no container limit memory: the lab's own does")
    text = UNIT.read_text()
    assert "MemoryMax=600M" in text


def test_a_screen_s_devices_are_its_drop_in_s(unit: Machine) -> None:
    if not unit.controls("devices"):
        pytest.skip("this kernel lets no container control devices: the lab's own does")
    text = UNIT.read_text() + (UNIT.parent / "appliance-screen.conf").read_text()
    found = probed(unit, text, "'open a keyboard' 'open a terminal'")
    assert found == {"open a keyboard": "granted", "open a terminal": "EPERM"}
