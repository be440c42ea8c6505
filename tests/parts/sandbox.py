"""What the unit's sandbox grants and denies: a row for each, tried by `tests/parts/probing.py` within it.

On any machine with `run` and `put`: a container of this one, or one with devices of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

UNIT = Path(__file__).parents[2] / "systemd" / "appliance.service"
FOUND = "/var/lib/appliance/probed.json"

GRANTED = "granted"
DEVICES: Mapping[str, str] = {
    "open memory": "EPERM",
    "open the watchdog": "EPERM",
    "open a loop device": "EPERM",
    "open a terminal": "EPERM",
    "open a keyboard": "EPERM",
}
"""What control groups deny; the nodes are there for everybody."""
REAL_DEVICES: Mapping[str, str] = {
    "open a GPIO chip": GRANTED,
    "open a camera": GRANTED,
    "open what a camera is made of": GRANTED,
    "open memory for pictures": GRANTED,
    "open a sound card": GRANTED,
    "open its loudspeaker": GRANTED,
    "open a disk": "EPERM",
    "open the screen": "EPERM",
}
"""Where there are such: the two last are there for everybody as well."""
ROWS: Mapping[str, str] = {
    "keep its state": GRANTED,
    "make its socket": GRANTED,
    "make a pipe where it is started": GRANTED,
    "write a passing file": GRANTED,
    "read its configuration": GRANTED,
    "read which board it is": GRANTED,
    "read how hot it is": GRANTED,
    "read a credential": GRANTED,
    "run an installed program": GRANTED,
    "run a hook": GRANTED,
    "start a thread": GRANTED,
    "speak UDP": GRANTED,
    "speak UDP over IPv6": GRANTED,
    "speak TCP": GRANTED,
    "speak with this machine": GRANTED,
    "ask for names of .local": GRANTED,
    "know its addresses": GRANTED,
    "be called by C": GRANTED,
    "reckon": GRANTED,
    "encode pictures": GRANTED,
    "decode voices": GRANTED,
    "connect with a peer": GRANTED,
    "share memory with a mixer": GRANTED,
    "write configuration": "EACCES",
    "write the system's": "EROFS",
    "write programs": "EROFS",
    "write its own program": "EROFS",
    "write another's state": "EROFS",
    "write the kernel's settings": "EROFS",
    "write control groups": "EROFS",
    "look into root's home": "EACCES",
    "look into homes": "EACCES",
    "look into the boot partition": "EACCES",
    "see another's passing file": "ENOENT",
    "be another user": "EPERM",
    "see other processes": "ENOENT",
    "signal another process": "EPERM",
    "trace another process": "EPERM",
    "call what services do not call": "EPERM",
    "run what it has written": "EACCES",
    "run a passing file": "EACCES",
    "run a file in memory that is shared": "EACCES",
    "write memory that is run": "EPERM",
    "run memory that was written": "EPERM",
    "make a file that is root's when run": "EPERM",
    "become root": "EPERM",
    "give a file away": "EPERM",
    "raise its priority": "EPERM",
    "run in real time": "EPERM",
    "set the clock": "EPERM",
    "rename the machine": "EPERM",
    "make a namespace of users": "EPERM",
    "make a namespace of mounts": "EPERM",
    "make a namespace of the network": "EPERM",
    "mount": "EPERM",
    "change its root": "EPERM",
    "be another kind of machine": "EPERM",
    "load a module": "EPERM",
    "load a program into the kernel": "EPERM",
    "watch the machine's counters": "EPERM",
    "speak raw packets": "EAFNOSUPPORT",
    "speak raw IP": "EPERM",
    "speak Bluetooth": "EAFNOSUPPORT",
    "speak with a hypervisor": "EAFNOSUPPORT",
    "read the kernel's log": "ENOENT",
    "write what is its alone": GRANTED,
    "hold no capability": GRANTED,
    "get none by a program": GRANTED,
    "leave no core": GRANTED,
    **DEVICES,
}


class Machine(Protocol):
    """Where the unit lives."""

    def run(self, command: str) -> object:
        """Let a shell run it, as root; it has to succeed."""

    def put(self, path: str, text: str) -> None:
        """Write a file."""

    def read(self, path: str) -> str:
        """What is in a file."""


def unit_for(command: str, text: str | None = None) -> str:
    """The unit with everything that confines it, and another program that runs once."""
    unit = UNIT.read_text() if text is None else text
    kept = re.sub(r"(?m)^(Restart|Watchdog|ExecStopPost|StartLimit|TimeoutStart)\w*=.*\n", "", unit)
    kept = re.sub(r"(?m)^Type=.*$", "Type=oneshot", kept)
    return re.sub(r"(?m)^ExecStart=.*$", f"ExecStart={command}", kept)


def probed(machine: Machine, text: str | None = None, names: str = "") -> Mapping[str, str]:
    """What becomes of each attempt under the unit, or under another text of it."""
    program = f"/opt/appliance/bin/python -m tests.parts.probing {FOUND} {names}"
    machine.put("/run/systemd/system/probe.service", unit_for(program, text))
    theirs = " ".join(
        f"{folder}/theirs" for folder in ("/etc", "/usr", "/opt/appliance", "/var/lib")
    )
    machine.run(f"install -d -o appliance {theirs}")  # only the sandbox keeps it from writing there
    machine.put("/tmp/theirs", "of somebody else")
    machine.run("systemctl daemon-reload && systemctl start probe")
    found: Mapping[str, str] = json.loads(machine.read(FOUND))
    return found
