"""A call from outside of the machine: Debian's own kernel in qemu, the image's broker, a phone here.

The port of the broker is forwarded; media find their way by ICE, through qemu's address translation: what
the guest sends to an address of this host comes from one that the phone was not told, and is answered.
`make image-test ARCH=arm64` has the other image do it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
from av import AudioFrame

from tests.image import newcomer
from tests.image.build import image
from tests.image.machine import OF_A_FIRST_START, CardMachine
from tests.image.pairing import shown, words_of
from tests.lab.stock import ROOT, CannotBuildHere
from tests.parts import phone as parts
from tests.parts.need import skip_or_fail

PATIENCE_S = 1200.0
"""For each thing that is waited for: a picture takes an emulated processor long."""
pytestmark = pytest.mark.timeout(4 * 3600)

STATUS = "systemctl show -P StatusText appliance"
BROKER = "listener 1883 0.0.0.0\nallow_anonymous true\n"
CONFIG = """
[device]
id = "front-door"
name = "Front door"
board = "simulated"
[security]
unsigned = "allow"
[contacts.alice]
name = "Alice"
may = ["call", "answer", "unlock"]
[call]
receiver = "user:alice"
ring_timeout_s = 900
[buttons.call]
pin = "GPIO17"
press = "call"
[buttons.answer]
pin = "GPIO22"
press = "answer"
[media]
encoder = "software"
width = 160
height = 96
framerate = 2
bitrate_kbps = 50
[cameras.front]
device = "test-card"
[audio.speaker]
playback = "silence"
capture = "tone"
echo = "off"
"""


class Seldom(parts.Tone):
    """A voice of one packet a second: to read fifty takes an emulated processor longer than that."""

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(1)
        return await super().recv()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CardMachine]:
    architecture = os.environ.get("IMAGE_ARCH", "amd64")
    try:
        card = image(architecture)
    except CannotBuildHere as error:
        skip_or_fail(str(error))
    folder = tmp_path_factory.mktemp("machine")
    with CardMachine(
        folder / "one", card, architecture=architecture, ports=(1883, 8443, 8884), size_mb=4096
    ) as one:
        one.until("systemctl is-active multi-user.target appliance.service", PATIENCE_S)
        yield one


def test_it_comes_up_whole_with_debians_kernel(machine: CardMachine) -> None:
    assert machine.check("systemctl is-system-running --wait", PATIENCE_S).strip() == "running"
    assert machine.check("systemctl list-units --state=failed --plain --no-legend").strip() == ""
    assert machine.check("findmnt -no OPTIONS /").startswith("ro,")
    assert "ct count over 32" in machine.check("nft list table inet appliance_broker")
    assert machine.check("readlink -e /dev/disk/by-slot/active/system").strip() == "/dev/vda4"
    # whoever stands before it has the first phone's invitation there, and no fault before it
    assert "failed" not in machine.console().lower()
    assert [one for one in machine.warned() if not re.search(OF_A_FIRST_START, one)] == []


def test_a_phone_outside_is_paired_by_what_a_new_one_shows(machine: CardMachine) -> None:
    """It trusts the device, opens the page and asks the broker, by the name and through forwarded ports."""
    link, fingerprint = words_of(shown(machine, PATIENCE_S))
    ports = json.dumps({port: machine.port(port) for port in (8443, 8884)})
    done = subprocess.run(
        [sys.executable, newcomer.__file__, link, fingerprint, ports],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests" / "parts")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["told"] == {"kid": told["kid"], "may": ["call", "answer"], "error": None}
    assert told["kid"][:8] in machine.check("appliance contacts", PATIENCE_S)


@pytest.fixture(scope="module")
def plain(machine: CardMachine) -> CardMachine:
    """It, with a phone of the simplest kind in the place of the one that was paired."""
    machine.check("rm -f /etc/mosquitto/conf.d/appliance.conf /etc/appliance/conf.d/*.toml")
    machine.put("/etc/mosquitto/conf.d/outside.conf", BROKER)
    machine.put("/etc/appliance/appliance.toml", CONFIG)
    machine.check("systemctl restart mosquitto; systemctl restart appliance", PATIENCE_S)
    machine.until(f"{STATUS} | grep 'broker connected, idle'", PATIENCE_S)
    return machine


@pytest.fixture
async def alice(plain: CardMachine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[parts.Phone]:
    """A phone on this host that waits as long as it takes."""
    monkeypatch.setattr(parts, "PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr(parts, "KEEPALIVE_S", int(PATIENCE_S))
    monkeypatch.setattr(parts, "Tone", Seldom)
    async with parts.phone("alice", "127.0.0.1", plain.port(1883)) as one:
        yield one


async def test_a_phone_outside_is_rung_and_sees_and_hears(
    plain: CardMachine, alice: parts.Phone
) -> None:
    await asyncio.to_thread(plain.check, "appliance press call", PATIENCE_S)
    await alice.answer(await alice.hear("invite"))
    await _sees_and_hears(plain, alice)
    await asyncio.to_thread(plain.check, "appliance ctl end_call", PATIENCE_S)
    await alice.hear("end")


async def test_a_phone_outside_rings_the_door_whose_button_answers(
    plain: CardMachine, alice: parts.Phone
) -> None:
    """And which is seen and heard then; the phone hangs up."""
    await alice.call("c" * 32)
    await alice.hear("ringing")
    await asyncio.to_thread(plain.check, "appliance press answer", PATIENCE_S)
    await alice.connected()
    await _sees_and_hears(plain, alice)
    await alice.send("end", "c" * 32, {"reason": "hang_up", "kicked_by": None})
    await asyncio.to_thread(plain.until, f"{STATUS} | grep 'connected, idle'", PATIENCE_S)


async def _sees_and_hears(machine: CardMachine, alice: parts.Phone) -> None:
    await alice.media.until(lambda: len(set(alice.media.counters)) >= 3)
    await alice.media.until(lambda: len(alice.media.samples) >= 25)
    state = 'appliance status | grep \'"state": "connected"\''
    await asyncio.to_thread(machine.until, state, PATIENCE_S)
    assert alice.media.counters == sorted(alice.media.counters)
