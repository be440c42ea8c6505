"""A Raspberry Pi on paper: its first partition, where the kernel says that it runs from, its firmware."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.parts import need

SLOTS = Path(__file__).parents[2] / "image-build" / "update" / "slots"
PARTITION = {"A": "2", "B": "3"}


def firmware(text: str, *, tryboot: bool) -> str | None:
    """Which partition the firmware boots, as documented of autoboot.txt; None: it finds it by itself."""
    if len(text.encode()) > 512:
        return None
    found, applies = None, True
    for line in text.splitlines():
        if line.startswith("["):
            applies = line == "[all]" or (line == "[tryboot]" and tryboot)
        elif applies and line.startswith("boot_partition="):
            found = line.partition("=")[2]
    return found


@dataclass
class Pi:
    """A machine on paper: its first partition, and what the kernel says of where it runs from."""

    folder: Path
    path: str = "/usr/bin:/bin"

    def __post_init__(self) -> None:
        for each in ("bootfs", "run", "proc/self", "sys", "data"):
            (self.folder / each).mkdir(parents=True)
        (self.folder / "proc/cmdline").write_text("console=tty1 quiet\n")
        self.mounts(first=True)
        self.runs("A")

    @property
    def autoboot(self) -> Path:
        return self.folder / "bootfs" / "autoboot.txt"

    def mounts(self, *, first: bool) -> None:
        """What is mounted: its first partition, or an empty folder where that could not be."""
        if self.autoboot.exists() and not first:
            self.autoboot.rename(self.folder / "autoboot.txt")
        elif first and (self.folder / "autoboot.txt").exists():
            (self.folder / "autoboot.txt").rename(self.autoboot)
        lines = ["/dev/sda4 / ext4 ro 0 0", f"/dev/sda1 {self.autoboot.parent} vfat rw 0 0"]
        (self.folder / "proc/mounts").write_text("\n".join(lines[: 1 + first]) + "\n")

    def tells(self, *, tryboot: bool) -> None:
        """What the firmware says of this start in the device tree: 32 bits, the highest first."""
        place = self.folder / "proc/device-tree/chosen/bootloader"
        place.mkdir(parents=True, exist_ok=True)
        (place / "tryboot").write_bytes(tryboot.to_bytes(4, "big"))

    def runs(self, slot: str) -> None:
        """Which of the two is mounted at /."""
        minor = {"A": 4, "B": 5}[slot]
        (self.folder / "proc/self/mountinfo").write_text(
            "1 1 0:2 / / rw - rootfs rootfs rw\n"
            f"22 1 179:{minor} / / ro,relatime shared:1 - ext4 /dev/root ro\n"
            "23 22 0:5 / /dev rw - devtmpfs udev rw\n"
        )
        node = self.folder / f"sys/dev/block/179:{minor}"
        node.mkdir(parents=True, exist_ok=True)
        (node / "uevent").write_text(f"DEVTYPE=partition\nPARTNAME=system_{slot.lower()}\n")

    def has(self, default: str, other: str) -> None:
        """As the script itself leaves it."""
        opposite = "AB".replace(default, "")
        tried = default if other in ("bad", "failed") else opposite
        self.autoboot.write_text(
            f"[all]\ntryboot_a_b=1\nboot_partition={PARTITION[default]}\n"
            f"[tryboot]\nboot_partition={PARTITION[tried]}\n[none]\nother={other}\n"
        )

    def environ(self) -> dict[str, str]:
        """By which the script finds this machine in the place of the one that it runs on."""
        need.program("flock", "util-linux")
        return {
            "APPLIANCE_BOOTCONFIG": str(self.folder / "bootfs"),
            "APPLIANCE_DATA": str(self.folder / "data"),
            "APPLIANCE_SLOTS_FILE": str(self.folder / "run" / "slots"),
            "APPLIANCE_PROC": str(self.folder / "proc"),
            "APPLIANCE_SYS": str(self.folder / "sys"),
            "APPLIANCE_DEV": str(self.folder / "dev"),
            "APPLIANCE_PATH": self.path,
        }

    def program(self) -> Path:
        """The script, for who does not know of this machine."""
        program = self.folder / "slots"
        lines = [f"export {name}='{value}'\n" for name, value in self.environ().items()]
        program.write_text(f'#!/bin/sh\n{"".join(lines)}exec {SLOTS} "$@"\n')
        program.chmod(0o755)
        return program

    def asks(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SLOTS, *words], env=self.environ(), capture_output=True, text=True, check=False
        )

    def does(self, *words: str) -> str:
        done = self.asks(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def refuses(self, *words: str) -> str:
        before = self.autoboot.read_bytes()
        done = self.asks(*words)
        assert done.returncode == 1, done.stdout
        assert self.autoboot.read_bytes() == before
        return done.stderr

    def status(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.does("status").splitlines())

    def boots(self, *, tryboot: bool = False) -> str:
        """Start the machine, as the firmware would; the slot that runs then."""
        found = firmware(self.autoboot.read_text(), tryboot=tryboot)
        slot = {partition: name for name, partition in PARTITION.items()}[found or ""]
        self.runs(slot)
        self.tells(tryboot=tryboot)
        self.does("settle")
        return slot
