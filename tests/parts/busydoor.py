"""A door that is never idle, in a machine whose power is cut; and what is left of it after the next start.

    python busydoor.py live             # configures and rings until the power goes
    python busydoor.py look 900 UNIT .. # waits so long until units and door are up; tells JSON

It is run by the machine's own Python, of the appliance and the standard library alone. What has been
promised to somebody it tells on the console, which the driver of the machine keeps, and is to hold from
then on: `name 12` is a configuration that was written as the appliance's own programs write one,
`call <id>` a call of which the daemon says that the disk has it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.client import Client
from appliance.errors import ApplianceError
from appliance.updating import slots
from appliance.whole_file import private_folder, write_whole

DROP_IN = Path("/etc/appliance/conf.d/name.toml")
CONSOLE = Path("/dev/console")
STATE = (Path("/var/lib/appliance"), Path("/etc/appliance"))
NAME = re.compile(r"busy door: name (\d+)")
CALL = re.compile(r"busy door: call (\S+)")
PATIENCE_S = 60.0
"""For one thing that a running door does; only a fault waits for it, and an emulated processor."""
LOG = 200
"""As many calls as are kept."""
LOOK_S = 0.02
UP_S = 0.25

Status = Mapping[str, Any]


def live() -> None:
    """Write the configuration, ring, hang up, turn the volume: again and again."""
    private_folder(DROP_IN.parent, 0o755)
    number = named() or 0
    while True:
        number += 1
        name = f'[device]\nname = "Door {number}"\n'
        write_whole(DROP_IN, name.encode(), 0o644)
        tell(f"name {number}")
        try:
            with Client(patience_s=PATIENCE_S) as door:
                ring(door)
                [entry] = door.ask(call_log=1)
                tell(f"call {entry['call_id']}")
                door.ask(command="set_volume", args={"percent": number % 101})
        except (ApplianceError, OSError):  # it is not up yet
            time.sleep(UP_S)


def look(units: Sequence[str], patience_s: float) -> Mapping[str, Any]:
    """Wait until all of it is up, then see what there is. Raises TimeoutError with what is missing."""
    status = until_up(units, time.monotonic() + patience_s)
    with Client(patience_s=PATIENCE_S) as door:
        logged = [entry["call_id"] for entry in door.ask(call_log=LOG)]
        rung = ring(door)
        errors = [one["data"] for one in door.ask(recent=True) if one["type"].endswith(".error")]
        now = [entry["call_id"] for entry in door.ask(call_log=LOG)]
    told = slots.told()
    return {
        "number": named(),
        "name": status["device"]["name"],
        "faults": {**status["faults"], **status["failures"]},
        "errors": errors,
        "calls": logged,
        "all_calls": now,
        "rung": rung,
        "empty": [str(file) for place in STATE for file in place.rglob("*") if is_empty(file)],
        "failed": output("systemctl", "list-units", "--state=failed", "--plain", "--no-legend"),
        "slots": None if told is None else told.status(),
    }


def until_up(units: Sequence[str], until_s: float) -> Status:
    """The status of the door, once systemd has all units active, and it answers and has its broker."""
    missing = ""
    while time.monotonic() < until_s:
        try:
            with Client(patience_s=PATIENCE_S) as door:
                status: Status = door.ask(status=True)
        except (ApplianceError, OSError) as error:
            missing = str(error)
        else:
            states = output("systemctl", "is-active", *units).split()
            if states == ["active"] * len(units) and status["mqtt"] == "connected":
                return status
            missing = f"{dict(zip(units, states, strict=False))}, the broker {status['mqtt']}"
        time.sleep(UP_S)
    raise TimeoutError(f"it does not come up: {missing}")


def ring(door: Client) -> str:
    """Press the bell: a call begins, is taken back, and has ended; its id."""
    door.ask(press="call", gesture="press")
    call = until(door, lambda status: status["call"] and status["call"]["state"] == "outgoing")
    door.ask(command="end_call", args={})
    until(door, lambda status: not status["calls"])
    return str(call["call"]["call_id"])


def until(door: Client, holds: Callable[[Status], Any]) -> Status:
    """The first status of which that holds. Raises TimeoutError."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        status: Status = door.ask(status=True)
        if holds(status):
            return status
        time.sleep(LOOK_S)
    raise TimeoutError(f"it does not ring: {status}")


def named() -> int | None:
    """The number in the configuration, None where there never was one; raises where it is not whole."""
    if not DROP_IN.exists():
        return None
    return int(tomllib.loads(DROP_IN.read_text())["device"]["name"].removeprefix("Door "))


def is_empty(file: Path) -> bool:
    """Whether that is a file of what is kept that has nothing in it."""
    return file.is_file() and ".json" in file.name and not file.stat().st_size


def tell(words: str) -> None:
    """On the console: whoever reads it may rely on it from then on."""
    with CONSOLE.open("w") as console:
        console.write(f"busy door: {words}\r\n")


def output(*words: str) -> str:
    """What a program writes; its exit status says nothing that is not in it."""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


@dataclass(frozen=True, slots=True)
class Promised:
    """What a door has said that it is kept: the number in its configuration, and ids of calls."""

    number: int = 0
    calls: frozenset[str] = frozenset()

    def and_then(self, console: str) -> Promised:
        """With what has been told on a console since."""
        numbers = [int(number) for number in NAME.findall(console)]
        calls = CALL.findall(console)[-LOG // 2 :]
        return Promised(max([self.number, *numbers]), self.calls | frozenset(calls))

    def kept(self, found: Mapping[str, Any]) -> Promised:
        """What is to hold from now on; raises AssertionError with all that is wrong about what is there."""
        number = found["number"] or 0
        gone = self.calls - set(found["calls"])
        wrong = {
            f"a configuration is gone: {number} after {self.number}": number < self.number,
            f"{found['name']!r} is not the name of number {number}": number
            and found["name"] != f"Door {number}",
            f"calls are gone: {gone}": gone,
            "it has rung, and its call log does not say so": found["rung"]
            not in found["all_calls"],
            f"files with nothing in them: {found['empty']}": found["empty"],
            f"units have failed: {found['failed']}": found["failed"],
            f"the door says that something is wrong: {found['faults']}": found["faults"],
            f"the door says that something was lost: {found['errors']}": any(
                map(loses, found["errors"])
            ),
        }
        assert not any(wrong.values()), [sentence for sentence, holds in wrong.items() if holds]
        return Promised(number, frozenset(found["all_calls"][: LOG // 2]))


def loses(error: Mapping[str, Any]) -> bool:
    """Whether an event tells of something that was there; a line of the call log that nobody was told of
    may be torn.
    """
    torn = "torn by a sudden end" in error["message"] and "cannot be read" not in error["message"]
    return error["code"] == "memory_lost" or (error["code"] == "call_log_failed" and not torn)


if __name__ == "__main__":
    if sys.argv[1] == "live":
        live()
    sys.stdout.write(json.dumps(look(sys.argv[3:], float(sys.argv[2]))) + "\n")
