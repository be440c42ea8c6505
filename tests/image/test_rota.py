"""The card as rpi-image-gen makes it, by its own hooks and layout, started in the stand-in machine.

By hand, as it is in no archive of packages: with a checkout of github.com/raspberrypi/rpi-image-gen, and a
python3 on the PATH that has debian, yaml and jsonschema, as root,
`RPI_IMAGE_GEN=/path/to/it .venv/bin/pytest tests/image/test_rota.py`. What of it is not Raspberry Pi OS's
stands in `image-build/vm/rota`, which makes it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.build import VM, base, package, update_keys
from tests.image.card import Card
from tests.image.door import Door
from tests.image.machine import BY_THE_CLOCK
from tests.image.parts_list import unlisted
from tests.lab.stock import CannotBuildHere
from tests.parts.need import program, skip_or_fail

pytestmark = pytest.mark.timeout(3600)

NOT_DEBIANS = {
    *("bluez-firmware", "firmware-brcm80211", "linux-image-rpi-v8", "python3-lgpio"),
    *("python3-picamera2", "raspberrypi-archive-keyring", "raspi-firmware", "raspi-utils-core"),
    "rpi-eeprom",
}
"""Packages that its layers ask for and Raspberry Pi's archive alone has, or Debian outside of main."""


NO_RADIO = {"iwd.service"}
"""What the kernel in user mode has nothing for."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which it was made; one of before: `ROTA=/folder`."""
    if before := os.environ.get("ROTA"):
        return Path(before)
    if not (checkout := os.environ.get("RPI_IMAGE_GEN")):
        pytest.skip("it wants a checkout of rpi-image-gen: RPI_IMAGE_GEN=/path/to/it")
    if os.geteuid() != 0:
        pytest.skip("it is made as root: it mounts, and makes a system")
    for name, debians in (
        ("genimage", "genimage"), ("grep-dctrl", "dctrl-tools"), ("uuidgen", "uuid-runtime"),
        ("rsync", "rsync"), ("mkfs.vfat", "dosfstools"), ("mcopy", "mtools"), ("envsubst", "gettext-base"),
    ):  # fmt: skip
        program(name, debians)
    folder = tmp_path_factory.mktemp("rota")
    try:
        system, deb = base("amd64"), package("amd64")
    except CannotBuildHere as error:
        skip_or_fail(str(error))
    (folder / "appliance.deb").write_bytes(deb.read_bytes())
    words = [checkout, system, folder / "appliance.deb", folder]
    environ = {**os.environ, "KEYRING": str(update_keys() / "authority.crt")}
    done = subprocess.run(
        ["unshare", "--mount", "--", VM / "rota", *map(str, words)],
        env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def door(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A machine with that card, whose data partition has room to grow."""
    image = made / "work" / "image-appliance" / "appliance.img"
    folder = tmp_path_factory.mktemp("machine") / "door"
    with Door(folder, image, user_mode=True, size_mb=5120) as one:
        one.ready()
        yield one


def test_all_that_its_layers_ask_for_but_raspberry_pis_own_is_in_it(made: Path) -> None:
    assert set((made / "not-in-debian").read_text().split()) == NOT_DEBIANS


def test_its_partitions_are_those_of_the_stand_in(made: Path) -> None:
    """By name and number, which updates and the firmware go by; the slots are the same, bit for bit."""
    out = made / "work" / "image-appliance"
    card = Card(out / "appliance.img")
    names = ["bootconfig", "boot_a", "boot_b", "system_a", "system_b", "persistent"]
    assert [one.name for one in card.partitions()] == names
    sizes = {one.name: one.length >> 20 for one in card.partitions()}
    # as they are configured, and begin at whole 8 MiB
    assert (sizes["boot_a"], sizes["system_a"], sizes["persistent"]) == (128, 1504, 512)
    assert card.read("bootconfig", "autoboot.txt").decode().split() == [
        "[all]", "tryboot_a_b=1", "boot_partition=2", "[tryboot]", "boot_partition=3",
    ]  # fmt: skip
    [words] = card.read("boot_a", "cmdline.txt").decode().splitlines()
    assert "root=/dev/disk/by-slot/active/system" in words.split()
    assert "ROOTDEV" not in words
    assert "camera_auto_detect=1" in card.read("boot_a", "config.txt").decode()
    # what an update is made of, as README.md names it, and what it is described by
    for name in ("boot.vfat", "system.ext4", "update.tar.zst"):
        assert (out / name).stat().st_size
    described = json.loads((out / "image.json").read_text())
    assert described["attributes"]["image-name"].startswith("appliance")


def test_it_comes_up_whole_and_rings(door: Door) -> None:
    """Its root is only read; what is written is where its own generators mount it."""
    failed = door.check("systemctl list-units --failed --plain --no-legend | cut -d' ' -f1").split()
    assert set(failed) <= NO_RADIO
    worked_out = "/etc/console-setup/cached_setup_terminal.sh"
    for made_of in ("keyboard", "console-setup"):  # or it is done at each start, and cannot be
        door.check(f"test {worked_out} -nt /etc/default/{made_of}")
    for place, options in (("/", "ro"), ("/boot/firmware", "ro"), ("/persistent", "rw")):
        assert door.check(f"findmnt -no OPTIONS {place}").split(",")[0] == options
    for place in ("/var", "/home", "/etc/appliance", "/var/lib/appliance", "/etc/ssh"):
        assert "[/" in door.check(f"findmnt -no SOURCE {place}"), f"{place} is not what both share"
    door.configure()
    assert door.rings()


def test_it_does_no_more_by_the_clock_than_the_stand_in(door: Door) -> None:
    """Of which it was measured what that writes."""
    timers = door.check("systemctl list-units --type timer --plain --no-legend | cut -d' ' -f1")
    assert set(timers.split()) == BY_THE_CLOCK


def test_its_card_is_told_what_is_free_on_the_partition_that_is_written(door: Door) -> None:
    door.check("systemctl start fstrim.service")
    told = door.check("journalctl -b -u fstrim.service -o cat --no-pager")
    assert re.search(r"(?m)^/persistent: .* trimmed on /dev/", told), told


def test_nobody_logs_in_with_a_password(door: Door) -> None:
    """Whatever the layers that are not ours have made of accounts."""
    for line in door.check("cat /etc/shadow").splitlines():
        name, password = line.split(":")[:2]
        assert password.startswith(("*", "!")), name


def test_its_journal_is_in_memory_though_its_layout_wants_it_on_the_card(door: Door) -> None:
    said = door.check("systemd-analyze cat-config systemd/journald.conf")
    wanted = re.findall(r"(?m)^Storage=(\w+)$", said)
    assert "persistent" in wanted, "image-rota's own"
    assert wanted[-1] == "volatile", "what is read last counts"
    assert door.run("ls /var/log/journal/*").code != 0
    assert "/run/log/journal" in door.check("journalctl --header | grep 'File path'")


def test_its_list_of_parts_has_what_is_installed(made: Path, door: Door, tmp_path: Path) -> None:
    image = made / "work" / "image-appliance" / "appliance.img"
    assert unlisted(door, image, tmp_path / "bom.json") == set()


def test_its_data_partition_fills_the_card(door: Door) -> None:
    size = int(door.check("df --output=size -BM /persistent | tail -n 1 | tr -dc 0-9"))
    assert size > 1000


def test_settings_and_who_it_is_outlive_a_power_cut_and_lie_in_both_slots(door: Door) -> None:
    asked = (
        "cat /etc/machine-id; cat /etc/ssh/ssh_host_ed25519_key.pub; hostname;"
        " stat -c '%i %U' /var/lib/systemd/timesync/clock"
    )
    who = door.check(asked)
    door.check("sync")
    door.cut()
    door.power_on()
    door.ready()
    slots = door.slots()
    assert (slots["slot"], slots["other_slot"]) == ("A", "good")
    door.restart("0 tryboot")
    door.ready()
    assert door.slots()["slot"] == "B"
    assert door.check(asked) == who
    assert door.rings()
