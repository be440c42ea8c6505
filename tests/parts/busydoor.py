"""A door that is never idle, in a machine whose power is cut; and what is left of it after the next start.

    python -m tests.parts.busydoor live             # configures and rings until the power goes
    python -m tests.parts.busydoor look 900 UNIT .. # waits so long until units and door are up; tells JSON

It is run by the machine's own Python, of the appliance and what it needs alone. What has been promised to
somebody it tells on the console, which the driver of the machine keeps, and is to hold from then on
(`promised.py`). Its calls ring, and nobody answers: those that are answered are `busytalk.py`'s.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from appliance.client import Client
from appliance.errors import ApplianceError
from appliance.media.boxes import boxes
from appliance.panel import safe
from appliance.reporting.ledger import Ledger
from appliance.updating import slots
from appliance.whole_file import private_folder, write_whole
from tests.parts.promised import LOG

DROP_IN = Path("/etc/appliance/conf.d/name.toml")
CONSOLE = Path("/dev/console")
APPLIANCE = Path("/var/lib/appliance")
HALL = Path("/var/lib/hall")
"""The state of the station that answers."""
STATE = (APPLIANCE, Path("/etc/appliance"), HALL)
PATIENCE_S = 60.0
"""For one thing that a running door does; only a fault waits for it, and an emulated processor."""
FILMS = 3
"""So many recordings, the latest, are played."""
LOOK_S = 0.02
UP_S = 0.25

Status = Mapping[str, Any]


def live() -> None:
    """Write the configuration, ring, hang up, turn the volume: again and again."""
    for number in configured():
        try:
            with Client(patience_s=PATIENCE_S) as door:
                ring(door)
                [entry] = door.ask(call_log=1)
                tell(f"call {entry['call_id']}")
                door.ask(command="set_volume", args={"percent": number % 101})
        except (ApplianceError, OSError):  # it is not up yet
            time.sleep(UP_S)


def configured() -> Iterator[int]:
    """Write the configuration, each time with the next number, which is told."""
    private_folder(DROP_IN.parent, 0o755)
    for number in count((named() or 0) + 1):
        name = f'[device]\nname = "Door {number}"\n'
        write_whole(DROP_IN, name.encode(), 0o644)
        tell(f"name {number}")
        yield number


def look(units: Sequence[str], patience_s: float) -> Mapping[str, Any]:
    """Wait until all of it is up, then see what there is. Raises TimeoutError with what is missing."""
    status = until_up(units, time.monotonic() + patience_s)
    with Client(patience_s=PATIENCE_S) as door:
        logged = door.ask(call_log=LOG)
        paired = {
            one["uid"]: [key["kid"] for key in one["keys"]] for one in door.ask(contacts=True)
        }
        rung = ring(door)
        errors = [one["data"] for one in door.ask(recent=True) if one["type"].endswith(".error")]
        now = [entry["call_id"] for entry in door.ask(call_log=LOG)]
    told = slots.told()
    recordings = sorted((APPLIANCE / "recordings").glob("*.mp4"))
    return {
        "number": named(),
        "name": status["device"]["name"],
        "faults": {**status["faults"], **status["failures"]},
        "at_rest": what_goes_on(status),
        "errors": errors,
        "calls": logged,
        "all_calls": now,
        "rung": rung,
        "paired": paired,
        "recordings": [str(path) for path in recordings],
        "films": {str(path): played(path) for path in recordings[-FILMS:]},
        "hall": station(),
        "empty": [str(file) for place in STATE for file in place.rglob("*") if is_empty(file)],
        "failed": output("systemctl", "list-units", "--state=failed", "--plain", "--no-legend"),
        "slots": None if told is None else told.status(),
    }


def what_goes_on(status: Status) -> dict[str, Any]:
    """Of all that can, which is nothing where nobody has begun anything."""
    media, panel = status["media"], status["panel"]
    doing = {name: media[name] for name in ("audio_muted", "video_paused", "recording", "on_hold")}
    relays = [name for name, state in panel["relays"].items() if state != "released"]
    return {**doing, "calls": status["calls"], "energized": relays}


def played(path: Path) -> dict[str, Any]:
    """A recording as a player has it: why it cannot be played, and its `pieces`."""
    import av  # half a second on a small board

    fault = None
    try:
        with av.open(str(path)) as film:
            pictures = sum(1 for frame in film.decode() if isinstance(frame, av.VideoFrame))
        if not pictures:
            fault = "there is no picture in it"
    except av.FFmpegError as error:
        fault = f"{path.stat().st_size} bytes: {error}"
    return {"fault": fault, "pieces": pieces(path)}


def pieces(path: Path) -> int | None:
    """How many of its half seconds are there as a whole; None of a file that was closed."""
    with path.open("rb") as file:
        there = [kind for kind, whole in boxes(file) if whole]
    before, index, _ = "".join(kind.decode("latin1") for kind in there).partition("moov")
    return None if index and "mdat" in before else there.count(b"mdat")


def station() -> dict[str, Any] | None:
    """What the other station's disk has of its calls, while it does not run; the latest first."""
    if not (HALL / "calls").is_dir():
        return None
    entries, faults = Ledger(HALL / "calls").load()
    return {"calls": [to_builtins(entry) for entry in reversed(entries)], "faults": faults}


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
    """Whether that is a file of what is kept with nothing in it; the note of what is driven need not be."""
    return (
        file.is_file()
        and ".json" in file.name
        and not file.name.startswith(safe.NOTED)
        and not file.stat().st_size
    )


def tell(words: str) -> None:
    """On the console: whoever reads it may rely on it from then on."""
    with CONSOLE.open("w") as console:
        console.write(f"busy door: {words}\r\n")


def output(*words: str) -> str:
    """What a program writes; its exit status says nothing that is not in it."""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    if sys.argv[1] == "live":
        live()
    sys.stdout.write(json.dumps(look(sys.argv[3:], float(sys.argv[2]))) + "\n")
