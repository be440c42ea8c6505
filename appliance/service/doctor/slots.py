"""Which of the two slots runs, where there are two, and whether the other one can be fallen back to."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.config import Config
from appliance.service.doctor.findings import Finding, ok, warning
from appliance.service.doctor.machine import Machine
from appliance.updating.slots import TOLD, NoSlots, understand

COMPONENT = "update"

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
        "journalctl -u appliance-update-trial -b -1 says why; appliance update install tries anew.",
    ),
}


def slots(config: Config, machine: Machine) -> Iterator[Finding]:
    """One line."""
    del config
    text = machine.text(str(TOLD))
    try:
        found = None if text is None else understand(text)
    except NoSlots as error:
        yield warning(COMPONENT, str(error), "sudo systemctl restart appliance-update-settle")
        return
    if found is None:
        yield ok(COMPONENT, "one system, which is updated as it was installed")
    elif found.trial:
        said = f"slot {found.current} runs, and is being tried"
        yield warning(COMPONENT, said, "It is found good, or left, within a quarter of an hour.")
    elif found.other in _NOT_GOOD:
        said, advice = _NOT_GOOD[found.other]
        yield warning(COMPONENT, f"slot {found.current} runs; {said}", advice)
    else:
        yield ok(COMPONENT, f"slot {found.current} runs, and the other one is good as well")
