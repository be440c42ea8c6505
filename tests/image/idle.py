"""What a whole device writes while nothing happens: sectors of its card in an idle hour, and in what files.

The image's own system and data partition, under the lab's kernel, whose time jumps whenever all of it
waits: an hour of every timer, service and journal in a minute. That kernel reads no tables of partitions,
so each is a disk of its own here; the small ones with the firmware's files, which nothing writes to, are
not there. `HOURS=1` of its time.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.image.build import image
from tests.image.card import Card
from tests.image.machine import put
from tests.image.pairing import paired, shown
from tests.lab.kernel import kernel
from tests.lab.machine import Machine
from tests.lab.stock import say

MEMORY_MB = 1024
BOOT_S = 3600.0
SECTOR = 512
DAY_S = 86_400.0
SETTLES_S = 660
"""What a first start writes (keys, its warnings after ten minutes) is of no day that comes after it."""
PIECE_S = 600
PATIENCE_S = 1e6
_NOT_HERE = (
    *("boot-firmware.mount", "bootfs.mount", "appliance-grow.service"),
    "appliance-update-settle.service",
)
"""What is about the card's table of partitions and the firmware's files."""
RULES = """
KERNEL=="ubda", SYMLINK+="disk/by-slot/active/system"
KERNEL=="ubdb", SYMLINK+="disk/by-slot/persistent"
"""


@dataclass(frozen=True, slots=True)
class Idle:
    """What was seen: for how long, how many bytes went to each disk, and which files have changed."""

    seconds: float
    written: Mapping[str, int]
    changed: tuple[str, ...]

    @property
    def a_day(self) -> float:
        """Bytes of all disks, in a day that is like it."""
        return sum(self.written.values()) / self.seconds * DAY_S


class IdleMachine(Machine):
    """The image's system, of two disks: what is only read, and what is written."""

    def __init__(self, folder: Path, card: Path) -> None:
        super().__init__(folder, virtual=True)
        self._card = card

    def _boot(self) -> None:
        ours, theirs = socket.socketpair()
        disks = [self._partition(name) for name in ("system_a", "persistent")]
        credential = base64.b64encode(RULES.encode()).decode()
        words = [
            str(kernel()),
            *(f"mem={MEMORY_MB}M", f"uml_dir={self.folder}", "umid=uml", "seccomp=auto"),
            *(f"ubd{number}={disk}" for number, disk in enumerate(disks)),
            *("root=/dev/ubda", "ro", "rootfstype=ext4", "boot_partition=2", "boot_tryboot=0"),
            *("con=null", "con0=null,fd:1", "console=tty0", "quiet", "systemd.getty_auto=no"),
            *("ssl=null", f"ssl0=fd:{theirs.fileno()}", "stand_in_line=ttyS0"),
            f"systemd.set_credential_binary=udev.rules.idle:{credential}",
            # what has no disk here is not waited for
            *(f"systemd.mask={unit}" for unit in _NOT_HERE),
            "time-travel=inf-cpu",
        ]
        self._begin(words, theirs)
        ours.settimeout(BOOT_S)
        self._line = ours
        try:
            self.answer(0, BOOT_S)
            self.until("systemctl is-active appliance.service multi-user.target", PATIENCE_S)
        except BaseException:
            self.stop()
            raise

    def _partition(self, name: str) -> Path:
        """Of the card, as a file of its own, without its empty parts."""
        one, made = Card(self._card).partition(name), self.folder / f"{name}.img"
        words = ["dd", f"if={self._card}", f"of={made}", "bs=1M", "iflag=skip_bytes,count_bytes"]
        words += [f"skip={one.begins}", f"count={one.length}", "conv=sparse", "status=none"]
        subprocess.run(words, check=True)
        return made

    def put(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        """Write a file, and the folders that it stands in; it sees nothing of this host's."""
        put(self, path, text, mode)

    def watch(self, lasts_s: float) -> Idle:
        """Let it be, and see what it has written."""
        self.run(f"sleep {SETTLES_S}; sync; touch /run/idle-begins", PATIENCE_S)
        before, begun_s = self._sectors(), self._clock_s()
        while (ended_s := self._clock_s()) < begun_s + lasts_s:
            self.check(f"sleep {min(PIECE_S, begun_s + lasts_s - ended_s + 1)}", PATIENCE_S)
            after = self._sectors()
            so_far = {disk: (after[disk] - before[disk]) * SECTOR for disk in after}
            say(f"{self._clock_s() - begun_s:.0f} s: {so_far} bytes")
        after = self._sectors()
        found = self.run("find /persistent -xdev -newer /run/idle-begins -printf '%p\\n'").out
        return Idle(
            ended_s - begun_s,
            {disk: (after[disk] - before[disk]) * SECTOR for disk in after},
            tuple(found.split()),
        )

    def _sectors(self) -> dict[str, int]:
        """Written so far, by disk (Documentation/block/stat)."""
        out = self.check("grep -H . /sys/block/ubd*/stat")
        lines = (line.partition(":") for line in out.splitlines())
        return {path.split("/")[3]: int(words.split()[6]) for path, _, words in lines}

    def _clock_s(self) -> float:
        return float(self.check("cat /proc/uptime").split()[0])


def idle(hours: float, image_file: Path | None = None) -> Idle:
    """Watch one. Raises CannotBuildHere, CannotStartHere, MachineError."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="idle-")))
        card = image_file or image("amd64")
        machine = stack.enter_context(IdleMachine(folder / "machine", card))
        # who waits for a first phone makes three accounts for it, one after the other
        paired(machine, shown(machine, PATIENCE_S), PATIENCE_S)
        return machine.watch(hours * 3600)


def main() -> int:
    """`python -m tests.image.idle`."""
    found = idle(float(os.environ.get("HOURS", "1")))
    sys.stdout.write(json.dumps({"seconds": found.seconds, "bytes": dict(found.written)}) + "\n")
    sys.stdout.write(f"{found.a_day / 1e6:.2f} MB a day\n" + "\n".join(found.changed) + "\n")
    return 0 if found.a_day <= 1e6 else 1


if __name__ == "__main__":
    sys.exit(main())
