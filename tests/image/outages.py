"""Power that is lost at random instants of a door's life: while it starts, is configured, rings and talks.

    CUTS=200 SEED=1 .venv/bin/python -m tests.image.outages
    ARCH=arm64 CUTS=5 .venv/bin/python -m tests.image.outages

Each time it has to boot and to ring, with all that it has promised to anybody
(`tests/parts/promised.py`): the configuration that was written last, each call of which it said that the
disk has it, how far it came and how it ended, each piece of a recording, who was paired; and nothing may
have failed, be empty or still go on. Those of updates are in `cuts.py`.

In a third of its lives it rings and nobody answers (`tests/parts/busydoor.py`). In the others a second
station does, which runs beside it, and all of a call goes on (`busytalk.py`): in a third from when that one
is started, in a third from the first answer.

Instants are drawn from as long as a start of this machine takes, which is measured, those of talks from as
long as such a call lasts; and half of the times once more of the start itself. What the kernel would write
by itself after half a minute it writes after as long as is drawn, for nobody waits half a minute here.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.image.build import ARCHITECTURES, image
from tests.image.door import Door
from tests.lab.machine import MachineError
from tests.parts.promised import Promised

BUSY = """
# nobody presses as often as this does
[panel]
max_presses = 0

# nor makes so many calls, none of which is to make room for another
[call_log]
max_entries = 2000

[contacts.hall]
name = "Hall"
may = ["call", "answer", "unlock"]

[groups.residents]
members = ["alice", "bob", "carol", "hall"]

[call]
start_recording_on_call_start = true
ring_timeout_s = 300

# what an emulated processor can do
[media]
encoder = "software"
width = 160
height = 96
framerate = 5
bitrate_kbps = 100
"""
BUSY_FILE = "/etc/appliance/conf.d/30-busy.toml"
TALK_S = 12.0
"""Of the life after somebody has answered: such a call is over in less, and another follows."""
EXPIRES = "for each in expire writeback; do echo {} > /proc/sys/vm/dirty_${{each}}_centisecs; done"
EXPIRES_S = (0.05, 0.5, 5, 30)


class Outages:
    """One machine that is always busy, and loses its power again and again."""

    def __init__(self, folder: Path, seed: int, architecture: str = ARCHITECTURES[0]) -> None:
        """Instants are drawn by `seed`."""
        self._random = random.Random(seed)
        self._door = Door(
            folder,
            image(architecture),
            architecture=architecture,
            user_mode=architecture == ARCHITECTURES[0],
            size_mb=4096,
        )
        self._start_s = 0.0
        self._promised = Promised()

    def run(self, cuts: int) -> Sequence[str]:
        """Do it so often; what was found wrong, and it ends there."""
        with self._door as door:
            door.ready()
            door.put(BUSY_FILE, BUSY)
            door.configure()
            door.check("sync")
            door.cut()
            self._restart()
            for number in range(1, cuts + 1):
                what = ""
                try:
                    what = self._cut()
                except (MachineError, AssertionError) as error:
                    return [f"cut {number}, {what or 'while it lived'}: {error}\n{door.why()}"]
                _say(f"cut {number}, {what}")
        return [] if self._promised.number else ["no configuration was ever written"]

    def _cut(self) -> str:
        """Have it live, cut it, once more in the midst of its start perhaps, and look; what was done."""
        door = self._door
        expires_s = self._random.choice(EXPIRES_S)
        door.check(EXPIRES.format(round(expires_s * 100)))
        what = self._random.choice((self._rings, self._is_about_to_talk, self._talks))()
        door.cut()
        self._promised = self._promised.and_then(door.console())
        if self._random.random() < 0.5:
            start_s = self._random.uniform(0, self._start_s)
            door.power_on(wait=False)
            door.lives(start_s)
            door.cut()
            what += f", {start_s:.1f} s after it was switched on"
        began = time.monotonic()
        self._restart()
        told = f"Door {self._promised.number}, and it rings"
        return f"{what}: {told} after {time.monotonic() - began:.0f} s"

    def _rings(self) -> str:
        self._door.lives_busily()
        return f"{self._lives(self._start_s):.1f} s after the last look, ringing"

    def _is_about_to_talk(self) -> str:
        """The other one starts, or they have just begun."""
        self._door.talks_busily()
        return f"{self._lives(self._start_s):.1f} s after the last look, about to talk"

    def _talks(self) -> str:
        self._door.talks_busily()
        self._door.until_told("talk")
        return f"{self._lives(TALK_S):.1f} s after somebody answered"

    def _lives(self, longest_s: float) -> float:
        alive_s = self._random.uniform(0, longest_s)
        self._door.lives(alive_s)
        return alive_s

    def _restart(self) -> None:
        began = time.monotonic()
        self._door.power_on()
        found = self._door.look()
        self._start_s = self._start_s or time.monotonic() - began
        self._promised = self._promised.kept(found)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """The program."""
    cuts, seed = int(os.environ.get("CUTS", "200")), int(os.environ.get("SEED", "1"))
    architecture = os.environ.get("ARCH", ARCHITECTURES[0])
    with tempfile.TemporaryDirectory(prefix="outages-") as made:
        faults = Outages(Path(made) / "door", seed, architecture).run(cuts)
    for fault in faults:
        _say(fault)
    _say(f"{cuts} cuts, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
