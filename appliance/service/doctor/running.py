"""What a running appliance says of itself: devices that it has lost, and its connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from appliance.config import Config
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.machine import Machine


def running(config: Config, machine: Machine) -> Iterator[Finding]:
    """One line, or one for each of its troubles."""
    del config
    status = machine.status
    if machine.silence is not None:
        yield _silent(machine.silence)
        return
    if status is None:
        yield ok("appliance", "none runs here: every device was looked at")
        return
    advice = "The lines about that device say more; `appliance events` says since when."
    troubles = [f"its {name} fails: {why}" for name, why in _of(status, "failures").items()]
    troubles += [f"{where}: {why}" for where, why in _of(status, "faults").items()]
    for trouble in troubles:
        yield warning("appliance", f"one runs here; {trouble}", advice)
    if status.get("mqtt") != "connected":
        said = f"one runs here; its broker is {status.get('mqtt')}"
        yield warning("appliance", said, "The line about the broker says more.")
    elif not troubles:
        device = _of(status, "device")
        yield ok("appliance", f"{device.get('id')} runs here, {device.get('version')}, connected")


def _silent(why: str) -> Finding:
    if "answer" in why:
        advice = "sudo systemctl restart appliance; journalctl -u appliance -n 50 says why"
        return fault("appliance", "one runs here, and does not answer", advice)
    advice = "sudo usermod -aG appliance $USER, and log in anew; or sudo appliance doctor"
    return warning("appliance", "one runs here, and does not talk with this user", advice)


def _of(status: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = status.get(key)
    return found if isinstance(found, Mapping) else {}
