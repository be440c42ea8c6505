"""A machine of the lab with a card of two slots, which starts as its firmware says, and loses its power.

The driver is the Pi's firmware (`tests/image/firmware.py`): autoboot.txt decides which slot the machine is
told it runs from, and what it asks for by `reboot "0 tryboot"` is for one start. How far an update has come
is told by its power and by what is on the card, which the driver looks at while the machine runs.
"""

from __future__ import annotations

import fcntl
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.image import firmware
from tests.image.card import Card, NoSuchFile
from tests.lab.machine import IS_UP, PATIENCE_S, Machine, MachineError
from tests.lab.release import ADDED, AUTOBOOT, CONFIG, Release

SLOTS = {2: "A", 3: "B"}
"""By the partition that boots."""
OTHER = {"A": "B", "B": "A"}
UPDATE_S = 600
"""Only a fault, and a computer that is very busy, waits so long for an update's end."""
LONG_S = 1e6
"""By a clock that jumps."""
LOOK_S = 0.01
"""A look at the card; the shortest phase takes tenths of a second."""
FIRST = 4096
"""As many bytes tell one system, or boot partition, from another."""


class Phase(Enum):
    """What an update goes through; each but the first begins with what is on the card or with a start."""

    CHECKED = "it is checked"
    WRITTEN = "it is written"
    WHOLE = "it is whole"
    LEFT = "it goes down"
    TRIED = "it is tried"
    KEPT = "it has been found good"
    UP = "it is up"


Began = Mapping[Phase, float]


@dataclass(frozen=True, slots=True)
class Autoboot:
    """What autoboot.txt says: which slot is the default, and how the other one is."""

    slot: str
    other: str

    @classmethod
    def read(cls, text: str) -> Autoboot:
        """As the firmware reads it, and `image-build/update/slots` its part of it."""
        number, _ = firmware.chosen(text)
        said = re.search(r"(?m)^\[none\]\nother=(\w+)", text)
        return cls(SLOTS[number], said[1] if said else "good")


class TwoSlots(Machine):
    """One machine with a card. Whatever is written to a slot is one of its releases."""

    def __init__(self, folder: Path, disk: Path, releases: Sequence[Release]) -> None:
        """`disk` is the card, whose slots have the first of the releases."""
        super().__init__(folder, virtual=True, shares=True)
        self._disk, self._card, self._releases = disk, Card(disk), releases
        self._places = {one.name: one for one in self._card.partitions()}
        self._autoboot_at = disk.read_bytes().index(AUTOBOOT.encode())
        self._reset = firmware.POWERED_ON
        """What its next start begins with."""
        self._default = self.slot = "A"
        """Which it runs from."""
        self.runs = releases[0]
        self.good = {self.runs}
        """What has been found good while it ran."""
        self._step = 0
        """What is waited for: that it answers at all, the update that is made, or that it is up."""

    # -------------------- what is on its card

    def autoboot(self) -> Autoboot:
        """What the file says, which is written in its place: also while the machine runs.

        No slot becomes the default but the one that runs.
        """
        told = Autoboot.read(self._read(self._autoboot_at, 256).rstrip(b"\0").decode("ascii"))
        if told.slot != self._default:
            assert told.slot == self.slot, f"{told.slot} is the default, while {self.slot} runs"
            self._default = told.slot
            self.good.add(self.runs)
        return told

    def whole(self, slot: str) -> Release | None:
        """Which release a slot has: each byte of its system, and each file of its boot partition."""
        place = self._places[f"system_{slot.lower()}"]
        system = self._read(place.begins, place.length)
        names = ("config.txt", "vmlinuz")
        try:
            boot = [self._card.read(f"boot_{slot.lower()}", name) for name in names]
        except NoSuchFile:
            return None
        for one in self._releases:
            if boot == [(CONFIG + ADDED).encode(), one.kernel]:
                return one if system == one.system.read_bytes() else None
        return None

    def _has_some(self, release: Release, slot: str) -> bool:
        """Whether the first of its system or boot partition has come to that slot."""
        parts = {"boot": release.boot, "system": release.system}
        return any(
            self._read(self._places[f"{kind}_{slot.lower()}"].begins, FIRST) == _first(partition)
            for kind, partition in parts.items()
        )

    def _read(self, begin: int, length: int) -> bytes:
        with self._disk.open("rb") as file:
            file.seek(begin)
            return file.read(length)

    # -------------------- power

    def _switch_on(self) -> None:
        """From the slot that the firmware chooses. That is whole, and was found good or is to be tried."""
        said = self._card.read("bootconfig", "autoboot.txt").decode("ascii")
        told, self._reset = self._reset, firmware.POWERED_ON
        number, _ = firmware.chosen(said, told)
        self.slot = SLOTS[number]
        runs = self.whole(self.slot)
        assert runs is not None, f"it starts from {self.slot}, which is not whole:\n{said}"
        assert runs in self.good or told.tryboot, f"{self.slot} was never found good:\n{said}"
        self.runs = runs
        boot = (
            f"/dev/disk/by-partlabel/boot_{self.slot.lower()}:/boot/firmware:vfat:ro,noatime,nofail"
        )
        self.words = (
            *("noreboot", f"rauc.slot={self.slot}", f"systemd.mount-extra={boot}"),
            *(f"ubd2={self._disk}", f"ubd3r={runs.layer}"),
        )
        super()._switch_on()

    def _end(self) -> None:
        super()._end()
        with self._disk.open("r+b") as disk:  # what of it still ends holds that
            fcntl.lockf(disk, fcntl.LOCK_EX)

    def cut(self) -> Autoboot:
        """Take its power away; what its card says then."""
        self._end()
        return self.autoboot()

    def comes_back(self) -> None:
        """Switch it on, and wait until it is up."""
        self._boot()

    # -------------------- an update

    def undergoes(self, release: Release, over: Callable[[Began], bool]) -> Began:
        """Have it updated as an owner does, until that is `over`; when which phase has begun (monotonic).

        Raises MachineError where it comes to another end.
        """
        passing = self.shared / release.bundle.name
        passing.write_bytes(release.bundle.read_bytes())
        target = OTHER[self.slot]
        begins: Mapping[Phase, Callable[[], bool]] = {
            Phase.WRITTEN: lambda: self._has_some(release, target),
            Phase.WHOLE: lambda: self.autoboot().other == "new",
            Phase.LEFT: lambda: self.autoboot().other == "tried",
            Phase.TRIED: lambda: self.slot == target,
            Phase.KEPT: lambda: self.autoboot().slot == target,
            Phase.UP: lambda: self._step in self._answers,
        }
        # time passes while it sleeps, too
        ask = f"appliance update install /host/{passing.name} > /host/told 2>&1 && sleep infinity"
        self._step = self._ask(command=ask, timeout=LONG_S)
        began = {Phase.CHECKED: time.monotonic()}
        coming = iter(begins)
        phase = next(coming)
        until_s = time.monotonic() + UPDATE_S
        while not over(began):
            self._goes_on()
            if begins[phase]():
                began[phase] = time.monotonic()
                phase = next(coming, phase)
            elif time.monotonic() > until_s or (
                self._step in self._answers and self.slot != target
            ):
                told = (self.shared / "told").read_text()
                raise MachineError(f"it does not come so far: {phase.value}\n{told}")
        passing.unlink()
        return began

    def _goes_on(self) -> None:
        """A moment. Where it restarts the firmware does as it was asked. Raises MachineError."""
        try:
            self._listen(LOOK_S)
        except MachineError:
            self._process.wait(PATIENCE_S)
            told = firmware.reset(self.console())
            if told is None or not told.tryboot:
                raise
            self._end()
            self._reset, self._step = told, 0
            self._switch_on()
        if 0 in self._answers:
            del self._answers[0]
            self._step = self._ask(command=IS_UP, timeout=LONG_S)


def _first(partition: Path) -> bytes:
    with partition.open("rb") as file:
        return file.read(FIRST)
