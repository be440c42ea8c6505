"""The folders in which the appliance keeps what is to survive a restart: writable, and with room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from appliance.config import Config
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.machine import Machine
from appliance.state_directory import state_directory

LEAST_MB = 50
"""Below it nothing is recorded."""
LITTLE_MB = 200


def storage(config: Config, machine: Machine) -> Iterator[Finding]:
    """The state directory, and those that were told to lie elsewhere."""
    named = {"recordings": config.recording.directory, "call log": config.call_log.directory}
    folders = {"state": str(state_directory(machine.environ))}
    folders |= {
        name: folder for name, folder in named.items() if folder and not folder.startswith("$")
    }
    for name, folder in folders.items():
        yield _folder(name, folder, machine)


def _folder(component: str, folder: str, machine: Machine) -> Finding:
    near = Path(folder)
    while not machine.exists(str(near)) and near != near.parent:
        near = near.parent
    if not machine.may(str(near), write=True):
        advice = f"sudo chown -R $USER {near}; as a service systemd makes it (StateDirectory)"
        return fault(component, f"{near} cannot be written", advice)
    free = machine.free_mb(str(near))
    said = f"{folder}: {free:,.0f} MB free"
    if free < LEAST_MB:
        return fault(component, said, "Delete something: below 50 MB nothing is recorded.")
    if free < LITTLE_MB:
        return warning(component, said, "Make room, or let [recording] max_mb be less.")
    return ok(component, said)
