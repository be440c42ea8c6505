"""Power that is lost while the lab's door is configured and rings: it rings again, and all is kept.

Of the long form, `python -m tests.image.outages`, what the lab plays in continuous integration: three cuts
of a machine whose system is in memory, and whose state and configuration lie on a disk with a card's file
system.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import begun
from tests.lab.fates import dice
from tests.lab.inside import BUSY, UP_S, found
from tests.lab.machine import Machine, MachineError
from tests.lab.trial import memory
from tests.parts.need import program
from tests.parts.promised import CALL, Found, Promised

CUTS = 3
LONGEST_S = 3.0
DISK_MB = 64
UP = """
set -e
mount -o noatime,lazytime,commit=60,errors=remount-ro /dev/ubdc /mnt
mkdir -p /mnt/etc /mnt/state
if [ ! -s /mnt/etc/appliance.toml ]; then
  cat /opt/source/config/simulated.toml - > /mnt/etc/appliance.toml << more
[panel]
max_presses = 0
[call_log]
max_entries = 2000
more
  sync
fi
mount --bind /mnt/etc /etc/appliance
mount --bind /mnt/state /var/lib/appliance
systemctl start --no-block mosquitto appliance
"""
"""The disk is mounted as an image's data partition is (image-build/vm/rootfs)."""


class Blackout(Machine):
    """A machine with a disk that outlives its power."""

    def __init__(self, folder: Path, disk: Path) -> None:
        """`disk` is made: a file."""
        words = (f"ubd2={disk}", "systemd.unit=basic.target")
        super().__init__(folder, virtual=True, shares=True, words=words)
        maker = str(program("mke2fs", "e2fsprogs"))
        subprocess.run([maker, "-q", "-t", "ext4", str(disk), f"{DISK_MB}M"], check=True)

    def lives(self, promised: Promised, longer_s: float) -> Promised:
        """Have it do all that a door does until it has kept something more, and so much longer."""
        self.start(f"{BUSY} live", UP_S)
        until_s = time.monotonic() + UP_S
        while not CALL.search(self.console()):
            if time.monotonic() > until_s:
                raise MachineError(f"nothing is kept\n{self.journal('appliance')}")
            time.sleep(0.05)
        time.sleep(longer_s)  # the instant that was drawn
        self._end()
        return promised.and_then(self.console())

    def comes_back(self) -> Found:
        """Switch it on; what there is when the door is up."""
        self._boot()
        self.check(UP)
        return found(self, "appliance")


@pytest.fixture
def door() -> Iterator[Blackout]:
    with (
        tempfile.TemporaryDirectory(prefix="lab-") as made,
        tempfile.TemporaryDirectory(dir=memory([Path(made)], DISK_MB)) as place,
        begun(Blackout(Path(made) / "machine", Path(place) / "disk")) as machine,
    ):
        machine.check(UP)
        yield machine


@pytest.mark.thorough
def test_what_a_door_has_promised_outlives_its_power(door: Blackout) -> None:
    fate = dice()
    promised = Promised()
    for _ in range(CUTS):
        promised = door.lives(promised, fate.uniform(0, LONGEST_S))
        assert promised.number
        assert promised.calls
        promised = promised.kept(door.comes_back())
