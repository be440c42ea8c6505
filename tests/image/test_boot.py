"""What the image promises of a machine, seen in one that boots from it, in user mode."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.image.build import image
from tests.image.card import Card
from tests.image.machine import CardMachine
from tests.lab.stock import ROOT, CannotBuildHere
from tests.parts.need import skip_or_fail

pytestmark = pytest.mark.timeout(3600)

CARD_MB = 4096
ASKED = """
from importlib.metadata import distributions
for one in distributions(path=["{place}"]):
    print(one.name, one.version)
"""
ASKED_FOR_ACCOUNT = """
import socket
with socket.socket(socket.AF_UNIX) as line:
    line.connect("/run/appliance-accounts.sock")
    line.sendall(b'{"make": "alice"}\\n')
    print(line.makefile().readline())
"""
IDENTITY = "cat /etc/machine-id /etc/ssh/ssh_host_*_key.pub"


@pytest.fixture(scope="module")
def card() -> Path:
    try:
        return image("amd64")
    except CannotBuildHere as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="module")
def machine(card: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CardMachine]:
    """One for all, in the order of the file."""
    folder = tmp_path_factory.mktemp("machine")
    with CardMachine(folder / "one", card, user_mode=True, size_mb=CARD_MB) as one:
        up(one)
        yield one


def up(machine: CardMachine) -> None:
    """Wait until everything has started that starts."""
    machine.until("systemctl is-active multi-user.target appliance.service")


def test_it_comes_up_whole_from_slot_a(machine: CardMachine) -> None:
    assert machine.started is not None
    assert machine.started.partition == 2
    assert machine.check("systemctl is-system-running --wait").strip() == "running"
    assert machine.check("systemctl list-units --state=failed --plain --no-legend").strip() == ""
    assert "broker offline, idle" in machine.until(
        "systemctl show -P StatusText appliance | grep 'broker offline, idle'"
    )
    assert machine.check("systemctl show -P ConditionResult mosquitto").strip() == "no", (
        "without a configuration it would let in every program of this machine"
    )
    assert machine.check("systemctl show -P NRestarts appliance").strip() == "0"
    root = machine.check("lsblk -no PARTLABEL $(findmnt -no SOURCE /)").strip()
    assert root == "system_a"


def test_what_says_which_slot_boots_has_its_length_from_the_first_start_on(
    card: Path, machine: CardMachine
) -> None:
    """An image has it shorter; a write that changes the length is more than one of a sector."""
    made, now = Card(card).read("bootconfig", "autoboot.txt"), machine.get("/bootfs/autoboot.txt")
    assert len(made) < len(now) == 256
    assert now.startswith(made)
    machine.check("sync -f /bootfs")
    assert machine.card.read("bootconfig", "autoboot.txt") == now


@pytest.mark.parametrize("path", ["/x", "/etc/x", "/usr/x", "/opt/appliance/x", "/boot/firmware/x"])
def test_the_system_is_only_read(machine: CardMachine, path: str) -> None:
    done = machine.run(f"touch {path}")
    assert not done.ok
    assert "Read-only file system" in done.out


def test_the_data_partition_fills_the_card(machine: CardMachine) -> None:
    machine.until("systemctl is-active appliance-grow.service")
    last = machine.card.partition("persistent")
    assert (CARD_MB << 20) - (last.begins + last.length) < 2 << 20
    size = int(machine.check("findmnt -bno SIZE /persistent"))
    assert size > last.length * 0.9
    assert int(machine.check("blockdev --getsize64 /dev/disk/by-slot/persistent")) == last.length


def test_what_is_written_there_is_little_and_on_the_data_partition(machine: CardMachine) -> None:
    data = machine.check("findmnt -nvo SOURCE /persistent").strip()
    for place in ("/var", "/var/lib/appliance", "/etc/appliance", "/etc/credstore", "/etc/ssh"):
        assert machine.check(f"findmnt -nvo SOURCE -T {place}").split("[")[0].strip() == data, place
    assert machine.run("ls /var/log/journal/*").code != 0, "the journal is in memory"
    assert "/run/log/journal" in machine.check("journalctl --header | grep 'File path'")


def test_no_password_is_the_same_twice_for_there_is_none(machine: CardMachine) -> None:
    for line in machine.check("cat /etc/shadow").splitlines():
        name, password = line.split(":")[:2]
        assert password.startswith(("*", "!")), name


def test_its_broker_gives_the_daemon_accounts_for_phones_and_nobody_else(
    machine: CardMachine,
) -> None:
    """A drop-in and a socket that an owner cannot put there, for /etc is only read."""
    group = machine.check("getent group appliance-accounts").split(":")[2]
    daemon = "/proc/$(systemctl show -P MainPID appliance)/status"
    assert group in machine.check(f"grep Groups {daemon}").split()
    machine.check("appliance broker new --host door.local --host localhost")
    machine.put("/tmp/asked.py", ASKED_FOR_ACCOUNT)
    asks = "setpriv --reuid {} --regid {} --groups {} python3 /tmp/asked.py"
    given = machine.check(asks.format("appliance", "appliance", "appliance-accounts"))
    assert re.search(r'"password": "[^"]{16,}"', given), given
    assert "alice:" in machine.check("cat /etc/mosquitto/appliance/passwords")
    refused = machine.run(asks.format("nobody", "nogroup", "nogroup"))
    assert "PermissionError" in refused.out
    machine.check("ln -s /etc/mosquitto/appliance/appliance.conf /etc/mosquitto/conf.d/")
    machine.check("systemctl restart mosquitto && systemctl is-active mosquitto")
    assert "ct count over 32" in machine.check("nft list table inet appliance_broker")
    machine.check("rm /etc/mosquitto/conf.d/appliance.conf && systemctl stop mosquitto")
    machine.check("find /etc/mosquitto/appliance -mindepth 1 -delete")


def test_its_list_of_parts_has_what_is_installed(
    machine: CardMachine, card: Path, tmp_path: Path
) -> None:
    """Each of Debian's packages and of the appliance's own libraries, in the version that is there."""
    made = tmp_path / "bom.json"
    done = subprocess.run(
        [ROOT / "image-build" / "sbom", card, made], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    listed = {
        (unquote(kind), unquote(name), unquote(version))
        for kind, name, version in re.findall(
            r'"purl": "pkg:(deb/debian|pypi)/([^@"]+)@([^?"]+)', made.read_text()
        )
    }
    debian = machine.check("dpkg-query -W -f '${Package} ${Version}\\n'").splitlines()
    assert len(debian) > 100
    assert {("deb/debian", *line.split()) for line in debian} - listed == set()
    place = machine.check("echo /opt/appliance/lib/python3.*/site-packages").strip()
    machine.put("/tmp/asked.py", ASKED.format(place=place))
    python = machine.check("/opt/appliance/bin/python /tmp/asked.py").splitlines()
    assert len(python) > 20
    for line in python:
        name, version = line.split()
        assert ("pypi", re.sub(r"[-_.]+", "-", name).lower(), version) in listed, line


def test_another_machine_of_the_same_image_is_somebody_else(
    machine: CardMachine, card: Path, tmp_path: Path
) -> None:
    asked = f"{IDENTITY}; sha256sum < /var/lib/systemd/random-seed"
    machine.until("systemctl is-active stand-in-ssh-keys.service")
    mine = machine.check(asked).splitlines()
    assert len(mine) == 5, "an id, three keys, a seed"
    with CardMachine(tmp_path / "another", card, user_mode=True) as another:
        up(another)
        another.until("systemctl is-active stand-in-ssh-keys.service")
        theirs = another.check(asked).splitlines()
    assert len(theirs) == 5
    # what a key has beside itself names its kind and the host, which are the same
    assert not {word for line in mine for word in line.split() if len(word) > 24} & {
        word for line in theirs for word in line.split() if len(word) > 24
    }


def test_what_it_keeps_outlives_a_restart(machine: CardMachine) -> None:
    before = machine.check(IDENTITY)
    machine.put("/etc/appliance/conf.d/name.toml", '[device]\nname = "Garden gate"\n')
    machine.check("echo kept > /var/lib/appliance/kept; sync")
    machine.restart()
    up(machine)
    assert machine.started is not None
    assert machine.started.partition == 2
    assert machine.check(IDENTITY) == before
    assert machine.check("cat /var/lib/appliance/kept") == "kept\n"
    assert "Garden gate" in machine.until("appliance status | grep 'Garden gate'")


def test_tryboot_is_for_once_and_has_the_same_data(machine: CardMachine) -> None:
    before = machine.check(IDENTITY)
    machine.restart("0 tryboot")
    up(machine)
    assert machine.started is not None
    assert machine.started.partition == 3
    assert machine.check("lsblk -no PARTLABEL $(findmnt -no SOURCE /)").strip() == "system_b"
    assert machine.check(IDENTITY) == before
    assert machine.check("cat /var/lib/appliance/kept") == "kept\n"
    machine.cut()
    machine.power_on()
    up(machine)
    assert machine.started.partition == 2


def test_a_system_that_cannot_be_used_starts_anew_by_itself(machine: CardMachine) -> None:
    """Nobody sits before it: and one on trial would be left for the one before it."""
    machine.start("systemctl isolate emergency.target", 30)
    told = machine.ended()
    assert told is not None
    machine.power_on(told)
    up(machine)
