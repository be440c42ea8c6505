"""What is printed once a device was put back: each command that its successor needs, and no other."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from appliance.owner.afterwards import ACCOUNTS_SOCKET, commands
from appliance.owner.baggage import Baggage, packed
from appliance.owner.places import IMAGE, Places
from tests.owner.device import empty

UNITS = Path(__file__).parents[2] / "systemd"
HERE = socket.gethostname()
START = "sudo systemctl restart appliance && sudo appliance doctor"
BROKER = ("broker/appliance.conf", "broker/passwords")
PAGES = (*BROKER, "broker/pages.pem")


def baggage(*files: str, host: str = HERE, broker: bool = False) -> Baggage:
    return Baggage(
        *("door", "kid", host, "0", 1),
        files={name: packed(b"", 0o600) for name in files},
        broker_in_use=broker,
    )


def package(folder: Path) -> Places:
    """What it lays down, and switches on nothing of."""
    here = empty(folder)
    for place, pattern in (("share/appliance", "*.conf"), ("lib/systemd/system", "appliance-*")):
        target = here.root / "usr" / place
        target.mkdir(parents=True)
        for file in UNITS.glob(pattern):
            if pattern == "*.conf" or file.suffix != ".conf":
                (target / file.name).write_bytes(file.read_bytes())
    return here


def image(folder: Path) -> Places:
    """As `settle` leaves it: the drop-in is the system's, and both helpers are switched on."""
    here = package(folder)
    (here.root / IMAGE).mkdir(parents=True)
    drop_ins = here.root / "usr" / "lib" / "systemd" / "system" / "appliance.service.d"
    drop_ins.mkdir()
    text = (UNITS / "appliance-accounts.conf").read_text()
    (drop_ins / "accounts.conf").write_text(text)
    switch_on(here, "sockets", "appliance-accounts.socket")
    switch_on(here, "multi-user", "appliance-broker-pages.path")
    return here


def switch_on(here: Places, target: str, unit: str) -> None:
    wants = here.units / f"{target}.target.wants"
    wants.mkdir(parents=True)
    (wants / unit).symlink_to(f"/usr/lib/systemd/system/{unit}")


def test_a_device_with_a_broker_elsewhere_is_started_and_that_is_all(tmp_path: Path) -> None:
    for content in (baggage(), baggage(*BROKER)):
        assert [*commands(content, package(tmp_path / str(len(content.files))), None)] == [START]


def test_a_backup_of_before_that_was_noted_has_a_broker_where_its_files_are_in_it() -> None:
    assert not Baggage("door", "kid", HERE, "0", 1).has_broker
    assert Baggage("door", "kid", HERE, "0", 1, {BROKER[0]: packed(b"", 0o600)}).has_broker


def test_with_its_own_broker_the_package_lacks_what_nobody_has_switched_on(tmp_path: Path) -> None:
    here = package(tmp_path / "package")
    content = baggage(*PAGES, broker=True)
    shipped = f"{here.root}/usr/share/appliance/appliance-accounts.conf"
    assert [*commands(content, here, ACCOUNTS_SOCKET)] == [
        f"sudo install -D -m 644 {shipped} {here.units}/appliance.service.d/accounts.conf",
        "sudo systemctl daemon-reload",
        "sudo systemctl enable --now appliance-accounts.socket appliance-broker-pages.path",
        "sudo systemctl restart mosquitto",
        START,
    ]
    # a helper of its owner's own is no affair of ours
    assert [*commands(baggage(*BROKER, broker=True), here, "/run/mine.sock")] == [
        "sudo systemctl restart mosquitto",
        START,
    ]


def test_what_came_back_or_was_there_is_not_laid_down_again(tmp_path: Path) -> None:
    here = package(tmp_path / "package")
    drop_ins = here.units / "appliance.service.d"
    drop_ins.mkdir(parents=True)
    (drop_ins / "own.conf").write_text("[Service]\nSupplementaryGroups=appliance-accounts\n")
    switch_on(here, "sockets", "appliance-accounts.socket")
    content = baggage(*BROKER, "unit/appliance.service.d/own.conf", broker=True)
    assert [*commands(content, here, ACCOUNTS_SOCKET)] == [
        "sudo systemctl daemon-reload",
        "sudo systemctl restart mosquitto",
        START,
    ]


def test_what_was_installed_by_hand_is_taken_from_the_projects_folder(tmp_path: Path) -> None:
    here = empty(tmp_path / "by-hand")
    said = [*commands(baggage(*PAGES, broker=True), here, ACCOUNTS_SOCKET)]
    assert said[0].endswith("# in the project's folder")
    here.units.mkdir(parents=True)
    for line in said[:2]:
        words = line.removeprefix("sudo ")
        subprocess.run(["sh", "-euc", words], cwd=UNITS.parent, check=True)
    assert [*commands(baggage(*PAGES, broker=True), here, ACCOUNTS_SOCKET)] == said[3:]
    assert said[2] == "sudo systemctl daemon-reload"


def test_an_image_has_all_of_it_and_a_broker_that_runs_with_what_was_there(tmp_path: Path) -> None:
    content = baggage(*PAGES, "unit/mosquitto.service.d/limit.conf", broker=True)
    said = commands(content, image(tmp_path / "image"), ACCOUNTS_SOCKET)
    assert [*said] == ["sudo systemctl restart mosquitto", START]


@pytest.mark.parametrize(
    ("kept", "before"),
    [
        ("appliance-1f3a", "echo gate | sudo tee {}/hostname"),
        (None, "echo gate | sudo tee {}/hostname"),
        ("gate", None),
    ],
)
def test_where_an_image_has_another_name_it_begins_anew(
    kept: str | None, before: str | None, tmp_path: Path
) -> None:
    """There `/etc/hostname` is only read, and the name in a file that may have come with the backup."""
    here = image(tmp_path / "image")
    etc = here.file.parent
    if kept is not None:
        (etc / "hostname").write_text(f"{kept}\n")
    content = baggage(*PAGES, "unit/appliance.service.d/own.conf", host="gate", broker=True)
    assert [*commands(content, here, ACCOUNTS_SOCKET)] == [
        *([before.format(etc)] if before else []),
        "sudo reboot",
        "sudo appliance doctor",
    ]


def test_a_package_that_follows_an_image_is_given_the_name_itself(tmp_path: Path) -> None:
    """The image's file with it is in the backup, and nothing reads it here."""
    here = package(tmp_path / "package")
    (here.file.parent / "hostname").write_text("gate\n")
    rename = ["sudo hostnamectl set-hostname gate"]
    assert [*commands(baggage(host="gate"), here, None)] == [*rename, START]
    avahi = here.root / "usr" / "sbin" / "avahi-daemon"
    avahi.parent.mkdir()
    avahi.touch()
    again = "sudo systemctl try-restart avahi-daemon"
    assert [*commands(baggage(host="gate"), here, None)] == [*rename, again, START]
    [hostile, *_] = commands(baggage(host="a; reboot"), here, None)
    assert hostile == "sudo hostnamectl set-hostname 'a; reboot'"


def test_a_device_is_in_the_time_zone_of_the_one_in_whose_place_it_is(tmp_path: Path) -> None:
    """That of an image is a file beside its name, which nothing but an image reads."""
    zone = {"etc/zone": packed(b"Europe/Berlin\n", 0o644)}
    content = Baggage("door", "kid", HERE, "0", 1, files=zone)
    assert [*commands(content, image(tmp_path / "image"), None)] == [
        "sudo systemctl restart appliance-zone",
        START,
    ]
    assert [*commands(content, package(tmp_path / "package"), None)] == [
        "sudo timedatectl set-timezone Europe/Berlin",
        START,
    ]


@pytest.mark.parametrize(
    "kept",
    [b"", b"\n", b"Europe/Berln\n", b"Europe/Berlin\nUTC\n", b"\xff", b"x; reboot", b"a" * 9000],
)
def test_what_is_no_time_zone_is_nothing_to_be_typed(kept: bytes, tmp_path: Path) -> None:
    content = Baggage("door", "kid", HERE, "0", 1, files={"etc/zone": packed(kept, 0o644)})
    assert not any("timedatectl" in line for line in commands(content, package(tmp_path), None))
