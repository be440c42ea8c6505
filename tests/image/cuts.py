"""Power cuts at random instants of updates, in the stand-in machine: it boots and rings afterwards.

Each time:

    CUTS=200 SEED=1 .venv/bin/python -m tests.image.cuts

An update is begun, and power is taken away at an instant that is drawn from the whole of it: while the
bundle is checked, while it is written, while the machine goes down, comes up on trial and is judged, and a
while after. Then it is switched on. It has to boot, from a slot that is whole, with a default that is good,
to ring, with each call in its log that was there before (`tests/parts/promised.py`), and to take the next
update.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.image import updated
from tests.image.build import image
from tests.image.door import Door
from tests.lab.machine import MachineError
from tests.parts.promised import Promised

AFTER = 1.15
"""How much longer than a whole update the instants reach."""


@dataclass
class Done:
    """How many cuts there were, what was found afterwards, and what was wrong."""

    cuts: int = 0
    found: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def beside(folder: Path) -> Path:
    """A disk with one bundle that is good."""
    return updated.disk(folder, updated.bundle(folder, "good", updated.GOOD))


class Cuts:
    """One machine that is updated, and loses its power, again and again."""

    def __init__(self, folder: Path, disk: Path, seed: int) -> None:
        """`disk` has the bundle; instants are drawn by `seed`."""
        self._random = random.Random(seed)
        self._door = Door(folder, image("amd64"), user_mode=True, size_mb=4096, beside=disk)
        self._whole_s = 0.0
        self._promised = Promised()

    def run(self, cuts: int) -> Done:
        """Do it so often."""
        done = Done()
        with self._door as door:
            door.ready()
            door.configure()
            self._whole_s = self._measured(door)
            for number in range(cuts):
                instant_s = self._random.uniform(0, self._whole_s * AFTER)
                try:
                    found = self._cut(door, instant_s)
                except (MachineError, AssertionError) as error:
                    done.faults.append(
                        f"cut {number + 1} at {instant_s:.1f} s: {error}\n{door.why()}"
                    )
                    break
                done.cuts += 1
                done.found[found] += 1
                say(f"cut {number + 1} at {instant_s:.1f} of {self._whole_s:.0f} s: {found}")
        return done

    def _measured(self, door: Door) -> float:
        """How long a whole one takes, from the request to being found good."""
        began = time.monotonic()
        door.install("good.raucb")
        door.followed(1)
        door.until('appliance update status | grep \'"default_slot": "B"\'', 1200)
        return time.monotonic() - began

    def _cut(self, door: Door, instant_s: float) -> str:
        """Begin one, cut it, and look; what was found."""
        door.install("good.raucb", older=True)
        restarts = door.lives(instant_s)
        door.cut()
        door.power_on()
        found = door.look()
        slots = found["slots"]
        assert slots["slot"] == slots["default_slot"], slots
        assert slots["other_slot"] in ("good", "bad", "new", "failed"), slots
        self._promised = self._promised.kept(found)
        return f"{slots['other_slot']} after {restarts} restarts"


def say(text: str) -> None:
    """At once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """The program."""
    cuts, seed = int(os.environ.get("CUTS", "200")), int(os.environ.get("SEED", "1"))
    with tempfile.TemporaryDirectory(prefix="cuts-") as made:
        folder = Path(made)
        done = Cuts(folder / "door", beside(folder), seed).run(cuts)
    for fault in done.faults:
        say(fault)
    found = ", ".join(f"{name}: {number}" for name, number in sorted(done.found.items()))
    say(f"{done.cuts} of {cuts} cuts, {len(done.faults)} faults ({found})")
    return 1 if done.faults else 0


if __name__ == "__main__":
    sys.exit(main())
