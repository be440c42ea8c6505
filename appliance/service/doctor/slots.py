"""Which of the two slots runs, whether the other one can be fallen back to, and can be written again."""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.config import Config
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.machine import Machine
from appliance.updating.slots import TOLD, NoSlots, understand

COMPONENT = "update"
KERNEL, RAUC = (6, 19), (1, 15, 1)
"""From this Linux on dm-verity tells more of a device than RAUC understood before this version of it.

It installs nothing there. (Linux: ae97648e14f7; RAUC: a45cdb14df26.) As a fault it ends the trial of an
update that would be the last one.
"""

_NOT_GOOD = {
    "bad": (
        "nothing whole is in the other one",
        "An update was cut off, or is being written; appliance update install makes it anew.",
    ),
    "tried": (
        "the other one is about to be tried",
        "The device restarts when no call is on; appliance update status says more.",
    ),
    "new": (
        "the other one is written, and not yet tried",
        "Power was lost before it was: appliance update resume",
    ),
    "failed": (
        "the last update was tried, and left again",
        "What it warned of is in /var/lib/appliance-journal; appliance update install tries it anew.",
    ),
}


def slots(config: Config, machine: Machine) -> Iterator[Finding]:
    """One line, and one more where no further update could be installed."""
    del config
    text = machine.text(str(TOLD))
    try:
        found = None if text is None else understand(text)
    except NoSlots as error:
        yield warning(COMPONENT, str(error), "sudo systemctl restart appliance-update-settle")
        return
    if found is None:
        yield ok(COMPONENT, "one system, which is updated as it was installed")
        return
    if said := dead_end(machine):
        yield fault(COMPONENT, said, "The image is to have a newer RAUC, or an older kernel.")
    if found.trial:
        said = f"slot {found.current} runs, and is being tried"
        yield warning(COMPONENT, said, "It is found good, or left, within twenty minutes.")
    elif found.other in _NOT_GOOD:
        said, advice = _NOT_GOOD[found.other]
        why = f": {found.why}" if found.why else ""
        yield warning(COMPONENT, f"slot {found.current} runs; {said}{why}", advice)
    else:
        yield ok(COMPONENT, f"slot {found.current} runs, and the other one is good as well")


def dead_end(machine: Machine) -> str | None:
    """Why nothing can be installed from here on: this kernel and this RAUC do not understand each other."""
    kernel, rauc = machine.text("/proc/sys/kernel/osrelease"), machine.output("rauc", "--version")
    if kernel and rauc and _numbers(kernel) >= KERNEL and () < _numbers(rauc) < RAUC:
        release = kernel.partition("-")[0]
        return f"no update can be installed: {rauc.strip()} does not understand Linux {release}"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """`rauc 1.13` as (1, 13); nothing where there is none."""
    found = re.search(r"\d+(?:\.\d+)+", version)
    return tuple(map(int, found[0].split("."))) if found else ()
