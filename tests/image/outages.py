"""Power that is lost at random instants of a door's life: while it starts, is configured, and rings.

    CUTS=200 SEED=1 .venv/bin/python -m tests.image.outages

Each time it has to boot, with a configuration that is whole and not older than what was seen
before, without empty files, and to ring. Those of updates are in `cuts.py`.
"""

from __future__ import annotations

import os
import random
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.image.build import image
from tests.image.door import Door
from tests.lab.machine import MachineError

LONGEST_S = 30.0
"""After it was switched on: a start takes some of it, and what is done then the rest."""
NAME = "/etc/appliance/conf.d/name.toml"
BUSY = """
mkdir -p $(dirname {name})
number=$(sed -n 's/.*"Door \\([0-9]*\\)".*/\\1/p' {name} 2> /dev/null || true); number=${{number:-0}}
while true; do
  number=$((number + 1))
  printf '[device]\\nname = "Door %s"\\n' "$number" > {name}.new && sync {name}.new && mv {name}.new {name}
  appliance press call > /dev/null 2>&1; sleep 0.5; appliance ctl end_call > /dev/null 2>&1
done
"""


class Outages:
    """One machine that is always busy, and loses its power again and again."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._random = random.Random(seed)
        self._door = Door(folder, image("amd64"), user_mode=True, size_mb=4096)

    def run(self, cuts: int) -> Sequence[str]:
        """Do it so often; what was found wrong, and it ends there."""
        with self._door as door:
            door.ready()
            door.configure()
            named = 0
            for number in range(cuts):
                instant_s = self._random.uniform(0, LONGEST_S)
                door.start(BUSY.format(name=NAME), 3600)
                door.lives(instant_s)
                door.cut()
                if self._random.random() < 0.5:  # and once more, in the midst of its start
                    door.power_on(wait=False)
                    door.lives(self._random.uniform(0, LONGEST_S / 3))
                    door.cut()
                try:
                    door.power_on()
                    door.ready()
                    named = self._looked_at(door, named)
                except (MachineError, AssertionError) as error:
                    return [f"cut {number + 1} at {instant_s:.1f} s: {error}\n{door.why()}"]
                _say(f"cut {number + 1} at {instant_s:.1f} s: Door {named}, and it rings")
        return [] if named else ["no configuration was ever written"]

    def _looked_at(self, door: Door, before: int) -> int:
        """Whether everything is as it has to be; the number in its name."""
        text = door.run(f"cat {NAME}").out if door.run(f"test -e {NAME}").ok else ""
        found = re.fullmatch(r'\[device\]\nname = "Door (\d+)"\n', text)
        assert found or not before, f"the configuration is broken: {text!r}"
        number = int(found[1]) if found else 0
        assert number >= before, f"a configuration is gone: {number} after {before}"
        door.check("appliance check-config")
        calls = door.check("find /var/lib/appliance -name '*.json*' -size 0")
        assert not calls, f"empty files: {calls}"
        assert door.rings(), "it does not ring"
        failed = door.check("systemctl list-units --state=failed --plain --no-legend")
        assert not failed.strip(), failed
        return number


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """The program."""
    cuts, seed = int(os.environ.get("CUTS", "200")), int(os.environ.get("SEED", "1"))
    with tempfile.TemporaryDirectory(prefix="outages-") as made:
        faults = Outages(Path(made) / "door", seed).run(cuts)
    for fault in faults:
        _say(fault)
    _say(f"{cuts} cuts, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
