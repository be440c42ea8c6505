"""The first phone of a machine, played within it: it has nothing but what the machine shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.image import newcomer
from tests.lab.machine import Machine
from tests.parts import pen

PROGRAMS = (Path(newcomer.__file__), Path(pen.__file__))
LOG = "journalctl -b -o cat -u appliance-welcome --no-pager"
LINK, FINGERPRINT = r"https://\S+#pair=\S+", r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}"


def shown(machine: Machine, patience_s: float = 600.0) -> str:
    """What it says to whoever looks, once there is an invitation."""
    return machine.until(f"{LOG} | grep -q '#pair=' && {LOG}", patience_s)


def words_of(said: str) -> tuple[str, str]:
    """The link of the last invitation, and the fingerprint of what a phone is to trust."""
    return re.findall(LINK, said)[-1], re.findall(FINGERPRINT, said)[-1]


def paired(machine: Machine, said: str, patience_s: float = 600.0) -> dict[str, Any]:
    """Have a phone come by that; what it was told. Then nobody is invited any more."""
    link, fingerprint = words_of(said)
    for file in PROGRAMS:
        machine.put(f"/tmp/newcomer/{file.name}", file.read_text())
    words = f"/opt/appliance/bin/python /tmp/newcomer/newcomer.py '{link}' {fingerprint}"
    told: dict[str, Any] = json.loads(machine.check(words, patience_s))
    machine.until("systemctl show -P ActiveState appliance-welcome | grep -x inactive", patience_s)
    return told
