"""The image's own scripts, each in a folder that stands for the machine's root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parts.need import program

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "image-build" / "layer"
OVERLAY = LAYER / "appliance.rootfs-overlay"
SCRIPTS = (*(OVERLAY / "usr" / "lib" / "appliance-image").iterdir(),)
NAME = next(file for file in SCRIPTS if file.name == "name")
COUNTRY = next(file for file in SCRIPTS if file.name == "country")
SETTLE = LAYER / "settle"
DEBIANS = ("apt-daily", "apt-daily-upgrade", "dpkg-db-backup", "e2scrub_all", "fstrim")
"""The timers that are switched on in the base of Debian 13."""
CHROOT = """#!/bin/sh
root=$1; shift
case $1 in systemctl) shift; exec {systemctl} --root="$root" "$@" ;; esac
"""
INSTALLED = """Package: appliance
Status: install ok installed
Maintainer: Nobody <nobody@localhost>
Architecture: all
Version: {version}
Description: a door
"""
TOLD = '#!/bin/sh\necho "${0##*/} $*" >> "%s"\n%s\n'


@dataclass
class Root:
    """Names of the machine's that a script has are below it; what is root's to do is written down."""

    folder: Path

    def runs(self, script: Path, *words: str) -> subprocess.CompletedProcess[str]:
        text = re.sub(r"(?<![\w$}])/(etc|run|proc/sys)/", rf"{self.folder}/\1/", script.read_text())
        return subprocess.run(
            ["sh", "-c", text, script.name, *words],
            env={**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def kept(self) -> Path:
        return self.folder / "etc" / "appliance" / "hostname"

    @property
    def kernel(self) -> str:
        return (self.folder / "proc" / "sys" / "kernel" / "hostname").read_text()

    @property
    def told(self) -> list[str]:
        return (self.folder / "told").read_text().splitlines()


@pytest.fixture
def root(tmp_path: Path) -> Root:
    for name in ("etc/appliance", "run", "proc/sys/kernel", "bin"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "etc" / "hosts").write_text("127.0.0.1 localhost\n127.0.1.1 appliance\n")
    for name, ends in (("mount", ""), ("mountpoint", "exit 1"), ("iw", ""), ("modprobe", "exit 1")):
        (tmp_path / "bin" / name).write_text(TOLD % (tmp_path / "told", ends))
        (tmp_path / "bin" / name).chmod(0o755)
    return Root(tmp_path)


def test_a_machine_without_a_name_is_given_one_that_stays(root: Root) -> None:
    names = set()
    for _ in range(3):
        root.kept.unlink(missing_ok=True)
        for _ in range(2):
            done = root.runs(NAME)
            assert (done.returncode, done.stderr) == (0, "")
            names.add(root.kernel)
            assert root.kept.read_text() == root.kernel
    assert len(names) == 3, "no two are the same, and each has one"
    assert all(re.fullmatch(r"appliance-[0-9a-f]{4}\n", name) for name in names)


def test_its_owners_name_is_the_kernels_and_laid_over_what_the_image_says(root: Root) -> None:
    root.kept.write_text("Front-Door \r\nand more\n")
    assert root.runs(NAME).returncode == 0
    assert root.kernel == "front-door\n"
    run = root.folder / "run" / "appliance-image"
    assert (run / "hostname").read_text() == "front-door\n"
    assert (run / "hosts").read_text() == "127.0.0.1 localhost\n127.0.1.1 front-door\n"
    laid = [line for line in root.told if line.startswith("mount ")]
    assert laid == [
        f"mount --bind {run}/{name} {root.folder}/etc/{name}" for name in ("hostname", "hosts")
    ]


@pytest.mark.parametrize("name", ["my door", "-door", "door-", "tür", "a/b", "door.lan"])
def test_what_is_no_name_is_told_and_kept(name: str, root: Root) -> None:
    root.kept.write_text(f"{name}\n")
    done = root.runs(NAME)
    if name == "my door":  # blanks are left out, as at the ends
        assert (done.returncode, root.kernel) == (0, "mydoor\n")
        return
    assert done.returncode == 0
    assert "is no name of a machine" in done.stderr
    assert root.kernel == "appliance\n"
    assert root.kept.read_text() == f"{name}\n"


def test_the_first_start_is_asked_again_only_where_it_was_another_name(root: Root) -> None:
    renamed = root.folder / "run" / "appliance-image" / "renamed"
    note = root.folder / "etc" / "appliance" / "first-start.txt"
    root.kept.write_text("gate\n")
    root.runs(NAME)
    assert not renamed.exists(), "there was no first start yet"
    note.write_text("Somebody has configured this device, so nothing was changed\n")
    root.runs(NAME)
    assert not renamed.exists(), "it never had one of the first start"
    note.write_text("done\n  its name: gate.local, at the broker gate\n")
    root.runs(NAME)
    assert not renamed.exists()
    root.kept.write_text("front-gate\n")
    root.runs(NAME)
    assert renamed.exists()


def test_the_kernel_is_told_the_country(root: Root) -> None:
    (root.kept.parent / "wifi-country").write_text("DE\r\n")
    assert root.runs(COUNTRY).returncode == 0
    assert root.told[-1] == "iw reg set DE"


def test_settle_refuses_a_system_whose_users_have_other_numbers(tmp_path: Path) -> None:
    """What makes them so is seen in a machine: test_boot.py."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr" / "sbin").mkdir(parents=True)
    (tmp_path / "usr" / "sbin" / "mosquitto").touch()

    def settled(passwd: str, group: str) -> str:
        (tmp_path / "etc" / "passwd").write_text(passwd)
        (tmp_path / "etc" / "group").write_text(group)
        done = subprocess.run(["sh", SETTLE, tmp_path], capture_output=True, text=True, check=False)
        assert done.returncode != 0
        return done.stderr

    ours = "appliance:x:871:871::/:/bin/false\n", "appliance:x:871:\n"
    assert "appliance has not its number" in settled("root:x:0:0::/:/bin/sh\n", "root:x:0:\n")
    taken = f"{ours[0]}mosquitto:x:104:109::/:/bin/false\nother:x:872:872::/:/bin/false\n"
    assert "872 is somebody else's" in settled(taken, f"{ours[1]}mosquitto:x:109:\n")
    free = f"{ours[0]}mosquitto:x:104:109::/:/bin/false\n"
    assert "settle:" not in settled(free, f"{ours[1]}mosquitto:x:109:\n"), "it goes on"
    assert "mosquitto:x:872:872:" in (tmp_path / "etc" / "passwd").read_text()
    assert "mosquitto:x:872:" in (tmp_path / "etc" / "group").read_text()


def settled(root: Path, version: str = "0.1.0") -> Path:
    """A system with that package, of as many files as `settle` has to do with, and that done to it."""
    shutil.copytree(OVERLAY, root)
    shutil.copytree(ROOT / "systemd", root / "usr" / "share" / "appliance")
    units = root / "usr" / "lib" / "systemd" / "system"
    for unit in (ROOT / "systemd").glob("appliance*"):
        shutil.copy(unit, units)
    wants = root / "etc" / "systemd" / "system" / "timers.target.wants"
    wants.mkdir()
    for name in DEBIANS:
        (units / f"{name}.timer").write_text("[Timer]\nOnCalendar=daily\n")
        (wants / f"{name}.timer").symlink_to(f"/usr/lib/systemd/system/{name}.timer")
    (root / "etc" / "appliance").mkdir()
    (root / "etc" / "appliance" / "appliance.toml").touch()
    (root / "usr" / "share" / "zoneinfo").mkdir()
    (root / "etc" / "localtime").symlink_to("../usr/share/zoneinfo/Europe/Berlin")
    (root / "etc" / "passwd").write_text("appliance:x:871:871::/:\nmosquitto:x:872:872::/:\n")
    (root / "etc" / "group").write_text("appliance:x:871:\nmosquitto:x:872:\n")
    (root / "usr" / "sbin").mkdir()
    (root / "usr" / "sbin" / "mosquitto").touch()
    (root / "etc" / "mosquitto").mkdir()
    (root / "etc" / "mosquitto" / "mosquitto.conf").write_text("log_dest file /var/log/x\n")
    (root / "var" / "lib" / "dpkg").mkdir(parents=True)
    (root / "var" / "lib" / "systemd" / "timesync").mkdir(parents=True)
    (root / "var" / "lib" / "systemd" / "timesync" / "clock").touch()
    (root / "var" / "lib" / "dpkg" / "status").write_text(INSTALLED.format(version=version))
    programs = root.with_name(f"{root.name}-bin")
    programs.mkdir()
    (programs / "chroot").write_text(CHROOT.format(systemctl=program("systemctl", "systemd")))
    (programs / "chroot").chmod(0o755)
    environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", SETTLE, root], capture_output=True, text=True, check=False, env=environ
    )
    assert done.returncode == 0, done.stderr
    return root


def test_of_what_debian_does_by_the_clock_an_image_does_what_is_of_use(tmp_path: Path) -> None:
    """Nothing for packages that never change; cards are still told what is free on them."""
    root = settled(tmp_path / "root")
    system = root / "etc" / "systemd" / "system"
    wanted = {one.name for one in (system / "timers.target.wants").iterdir()}
    masked = {one.name for one in system.iterdir() if os.path.realpath(one) == "/dev/null"}
    assert {f"{name}.timer" for name in DEBIANS} < wanted
    assert wanted - masked == {"appliance-journal.timer", "fstrim.timer"}


def test_a_clock_begins_no_earlier_than_its_image_and_is_set_back_by_none(tmp_path: Path) -> None:
    """timesyncd's file lies in both slots' folder, and what an image has there wins at each start."""
    begun = time.time()
    root = settled(tmp_path / "root")
    assert list((root / "var" / "lib" / "systemd" / "timesync").iterdir()) == []
    assert (root / "usr" / "lib" / "clock-epoch").stat().st_mtime > begun - 1


def test_what_is_installed_is_told_of_the_system_that_runs(tmp_path: Path) -> None:
    """An update brings a system, and finds the /var that was written with the card."""
    first, update = settled(tmp_path / "first"), settled(tmp_path / "update", "0.2.0")
    shutil.rmtree(update / "var")
    (first / "var").rename(update / "var")
    asks = [str(program("dpkg-query", "dpkg")), f"--root={update}", "-W", "-f", "${Version}"]
    done = subprocess.run([*asks, "appliance"], capture_output=True, text=True, check=True)
    assert done.stdout == "0.2.0"


def test_its_zone_is_chosen_at_each_start_and_else_what_it_was_made_with(tmp_path: Path) -> None:
    """As systemd wants it: a link to a name below zoneinfo. What chooses is seen in test_image_units.py."""
    root = settled(tmp_path / "root")
    leads = ["/etc/localtime"]
    while (here := root / leads[-1].lstrip("/")).is_symlink():
        leads.append(str(here.readlink()))
    assert leads[1:] == ["/usr/share/zoneinfo/appliance", "/run/appliance-image/localtime"]
    [chooses] = (file.read_text() for file in SCRIPTS if file.name == "zone")
    assert "run=/run/appliance-image" in chooses
    own = re.search(r"(?m)^leads=(\S+)$", chooses)
    assert own is not None
    assert str((root / own[1].lstrip("/")).readlink()) == "/usr/share/zoneinfo/Europe/Berlin"


def test_its_journal_is_in_memory_whatever_the_layout_says(tmp_path: Path) -> None:
    root = settled(tmp_path / "root")
    # as image-rota writes it, after everything else
    (root / "etc/systemd/journald.conf.d/persistent.conf").write_text(
        "[Journal]\nStorage=persistent\nRuntimeMaxUse=128M\n"
    )
    analyze = str(program("systemd-analyze", "systemd"))
    asks = [analyze, "cat-config", f"--root={root}", "systemd/journald.conf"]
    done = subprocess.run(asks, capture_output=True, text=True, check=True)
    said = dict(re.findall(r"(?m)^(Storage|RuntimeMaxUse)=(.*)$", done.stdout))
    assert said == {"Storage": "volatile", "RuntimeMaxUse": "32M"}, "what is read last counts"
