"""The units of an image under a real systemd: in their sandboxes they do what a first start wants of them.

What is of the card (a partition that grows, a Wi-Fi) is looked at in the stand-in machine, or waits for a
Pi: tests/image, docs/proof.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.booted import Machine, booted

OVERLAY = Path(__file__).parents[2] / "image-build/layer/appliance.rootfs-overlay"
FIRST = '# of the image\n[device]\nid = "front-door"\n'
SHARED = (
    *("/etc/appliance/none", "/etc/credstore/none", "/etc/mosquitto/appliance/none"),
    *("/etc/mosquitto/conf.d/none", "/var/lib/appliance/none"),
)
"""Folders of the data partition, each with a file, as folders are not laid out without."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One that nobody has configured."""
    files = dict.fromkeys(SHARED, "")
    for folder in ("usr/lib/systemd/system", "usr/lib/appliance-image"):
        for file in (OVERLAY / folder).iterdir():
            files[f"/{folder}/{file.name}"] = file.read_text()
    files["/usr/share/appliance-image/appliance.toml"] = FIRST
    with booted(tmp_path_factory.mktemp("booted"), files) as one:
        one.run(f"rm -rf {' '.join(f'{Path(each).parent}/*' for each in SHARED)}")
        one.run("getent passwd mosquitto || useradd -r mosquitto")
        # a container's settings of its kernel are read-only, its name among them
        one.run("mount -o remount,bind,rw /proc/sys")
        yield one


def test_a_machine_gets_its_first_configuration_once(machine: Machine) -> None:
    file = "/etc/appliance/appliance.toml"
    machine.run("systemctl start appliance-settings")
    assert machine.read(file) == FIRST
    assert machine.run(f"stat -c '%U %a' {file}").out == "root 644\n"
    machine.put(file, "# its owner's\n")
    machine.run("systemctl restart appliance-settings")
    assert machine.read(file) == "# its owner's\n"
    machine.put(file, FIRST)


def test_its_name_is_everybodys(machine: Machine) -> None:
    """Laid over /etc for the whole machine, and the kernel's; the same at each start."""
    machine.run("systemctl start appliance-name")
    name = machine.read("/etc/appliance/hostname").strip()
    assert name.startswith("appliance-")
    for command in ("cat /etc/hostname", "uname -n", "sed -n 's/^127.0.1.1 //p' /etc/hosts"):
        assert machine.run(command).out == f"{name}\n", command
    machine.run("systemctl restart appliance-name")
    assert machine.run("uname -n").out == f"{name}\n"


def test_its_zone_is_everybodys(machine: Machine) -> None:
    """The image's own, until its owner has said one: programs', and systemd's for its timers."""
    machine.put("/run/systemd/system/night.timer", "[Timer]\nOnCalendar=03:00\nUnit=none.service\n")
    machine.put("/run/systemd/system/none.service", "[Service]\nExecStart=/bin/true\n")
    # as `settle` lays it out
    machine.run(
        "ln -s /usr/share/zoneinfo/Asia/Tokyo /usr/lib/appliance-image/localtime;"
        " ln -s /run/appliance-image/localtime /usr/share/zoneinfo/appliance;"
        " ln -sf /usr/share/zoneinfo/appliance /etc/localtime; systemctl daemon-reload"
    )
    for said, midnight, letters in (
        *((None, "09:00", "JST"), ("Asia/Kolkata", "05:30", "IST"), ("Nowhere", "09:00", "JST")),
        *(("../Etc/UTC", "09:00", "JST"), ("Etc/UTC", "00:00", "UTC")),
        # of itself it would be none at all
        *(("appliance", "09:00", "JST"), ("appliance", "09:00", "JST")),
    ):
        if said is not None:
            machine.put("/etc/appliance/zone", f"{said}\r\n")
        machine.begin()
        machine.run("systemctl restart appliance-zone && systemctl restart night.timer")
        assert machine.run("date -d @0 +%H:%M").out == f"{midnight}\n", said
        # systemd watches the file by which it knows, and reckons anew when it has seen it
        shown = "systemctl show --property=NextElapseUSecRealtime night.timer"
        machine.until(shown, holds=f"03:00:00 {letters}")
        told = f'"{said}" is no time zone of /usr/share/zoneinfo'
        assert (told in machine.journal("appliance-zone")) == (
            said is not None and midnight == "09:00"
        )
    machine.run("systemctl stop appliance-zone night.timer; rm /etc/appliance/zone")
    assert machine.run("date -d @0 +%Z").out == "JST\n", "it stays for who looks later"


def test_what_an_owner_changes_of_the_service_is_read(machine: Machine) -> None:
    # it is read when the machine starts, and stays read for who wants it
    machine.run("systemctl add-wants test.target appliance && systemctl daemon-reload")
    machine.put("/etc/systemd/system/appliance.service.d/mine.conf", "[Service]\nNice=7\n")
    assert machine.shows("Nice") != "7"
    machine.run("systemctl start appliance-drop-ins")
    assert machine.shows("Nice") == "7"


def test_it_is_made_ready_for_its_first_phone(machine: Machine) -> None:
    machine.run("systemctl start appliance-first-start")
    note = machine.read("/etc/appliance/first-start.txt")
    assert machine.run("uname -n").out.strip() in note
    for file in ("/etc/credstore/appliance.mqtt.password", "/etc/mosquitto/conf.d/appliance.conf"):
        machine.run(f"test -s {file}")
