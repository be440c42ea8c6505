"""What the stand-in of a Pi's firmware makes of autoboot.txt, of what a guest asked for, of a card."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.image.card import Card, NoSuchFile
from tests.image.firmware import POWERED_ON, DoesNotBoot, Reset, chosen, reset, start
from tests.parts.need import program

AUTOBOOT = "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n"
TRIED = Reset(tryboot=True)


@pytest.mark.parametrize(
    ("said", "told", "partition"),
    [
        (AUTOBOOT, POWERED_ON, 2),
        (AUTOBOOT, TRIED, 3),
        (AUTOBOOT, Reset(partition=3), 3),
        ("", POWERED_ON, 1),
        ("boot_partition=3", POWERED_ON, 3),
        ("[all]\nboot_partition=0\n", POWERED_ON, 1),
        ("[none]\nboot_partition=3\n[all]\nboot_partition=2", POWERED_ON, 2),
        ("[tryboot]\nboot_partition=3\n[all]\nboot_partition=2", TRIED, 2),
        ("# comment\n[all] \n boot_partition = 2 # a\r\n", POWERED_ON, 2),
        ("boot_partition=two\n", POWERED_ON, 1),
        ("#" + "x" * 510 + "\nboot_partition=3\n", POWERED_ON, 1),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_the_partition_is_the_one_that_autoboot_says(
    said: str, told: Reset, partition: int
) -> None:
    assert chosen(said, told)[0] == partition


def test_tryboot_is_of_partitions_or_of_files() -> None:
    assert chosen(AUTOBOOT, TRIED)[1]
    assert not chosen("[all]\nboot_partition=2\n", TRIED)[1]
    assert not chosen("[all]\ntryboot_a_b=0\n", TRIED)[1]


@pytest.mark.parametrize(
    ("console", "expected"),
    [
        ("[  9.1] reboot: Restarting system\n", POWERED_ON),
        ("[  9.1] reboot: Restarting system with command '0 tryboot'\n", TRIED),
        ("[  9.1] reboot: Restarting system with command '3'\n", Reset(partition=3)),
        ("[  9.1] reboot: Restarting system with command 'tryboot'\n", TRIED),
        ("[  9.1] reboot: Power down\n", None),
        ("", None),
    ],
)
def test_what_the_guest_asked_for_is_read_from_its_console(
    console: str, expected: Reset | None
) -> None:
    assert reset(console) == expected


# -------------------- a card, as sfdisk and mtools make it


def partition(card: Path, number: int, files: dict[str, str]) -> None:
    where = f"{card}@@{Card(card).partition(number).begins}"
    sectors = Card(card).partition(number).length // 512
    words = [str(program("mformat", "mtools")), "-i", where, "-T", str(sectors), "::"]
    subprocess.run(words, check=True, capture_output=True)
    for name, text in files.items():
        source = card.parent / "source"
        source.write_text(text)
        Card(card).write(number, name, source)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    disk = tmp_path / "card.img"
    with disk.open("wb") as file:
        file.truncate(8 << 20)
    table = "label: gpt\n" + "".join(
        f"size=2M, name={name}\n" for name in ("bootconfig", "boot_a", "boot_b")
    )
    words = [str(program("sfdisk", "fdisk")), "-q", str(disk)]
    subprocess.run(words, input=table, text=True, check=True, capture_output=True)
    partition(disk, 1, {"autoboot.txt": AUTOBOOT})
    for number in (2, 3):
        config = "kernel=linux\ninitramfs begin.img followkernel\n[pi4]\nkernel=another\n"
        files = {
            "config.txt": config,
            "cmdline.txt": f"root=/dev/{number} ro\nignored",
            "linux": f"kernel {number}",
            "begin.img": f"initrd {number}",
        }
        partition(disk, number, files)
    return disk


@pytest.mark.parametrize(("told", "number"), [(POWERED_ON, 2), (TRIED, 3)])
def test_what_is_started_comes_from_the_partition(
    card: Path, tmp_path: Path, told: Reset, number: int
) -> None:
    started = start(card, tmp_path, told)
    assert started.partition == number
    assert started.kernel.read_text() == f"kernel {number}"
    assert started.initrd is not None
    assert started.initrd.read_text() == f"initrd {number}"
    tried = int(told.tryboot)
    assert started.cmdline == f"root=/dev/{number} ro boot_partition={number} boot_tryboot={tried}"


def test_without_a_kernel_it_does_not_boot(card: Path, tmp_path: Path) -> None:
    partition(card, 3, {"config.txt": "kernel=linux\n", "cmdline.txt": "quiet"})
    with pytest.raises(DoesNotBoot, match=r"partition 3: .*linux"):
        start(card, tmp_path, TRIED)
    assert start(card, tmp_path).partition == 2


def test_where_a_is_not_told_from_b_tryboot_has_a_file_of_its_own(
    card: Path, tmp_path: Path
) -> None:
    partition(card, 1, {"autoboot.txt": "[all]\nboot_partition=2\n"})
    with pytest.raises(DoesNotBoot, match=r"tryboot\.txt"):
        start(card, tmp_path, TRIED)


def test_a_card_without_partitions_does_not_boot(tmp_path: Path) -> None:
    empty = tmp_path / "empty.img"
    empty.write_bytes(bytes(1 << 20))
    with pytest.raises(DoesNotBoot):
        start(empty, tmp_path)
    with pytest.raises(NoSuchFile):
        Card(empty).partition("boot_a")
