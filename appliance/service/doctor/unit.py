"""The unit: installed, started at boot, watched by systemd, and not starting again and again."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.config import Config
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.machine import Machine

UNIT = "appliance.service"
PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "WatchdogUSec", "NRestarts")
MANY = 3


def unit(config: Config, machine: Machine) -> Iterator[Finding]:
    """One line."""
    asked = machine.output("systemctl", "show", UNIT, *(f"--property={one}" for one in PROPERTIES))
    said = dict(line.split("=", 1) for line in (asked or "").splitlines() if "=" in line)
    runs = "an appliance runs here" if machine.runs else "no appliance runs here"
    if said.get("LoadState", "not-found") == "not-found":
        if config.device.board == "simulated":
            yield ok("service", f"{runs}; no unit, which a simulated board does not need")
        else:
            advice = "Install systemd/appliance.service as docs/operations.md says, then enable it."
            yield warning("service", f"{runs}; {UNIT} is not installed", advice)
        return
    state, restarts = said.get("ActiveState", ""), said.get("NRestarts", "0")
    if state == "failed":
        advice = "journalctl -u appliance -n 50 says why; then systemctl restart appliance"
        yield fault("service", f"{UNIT} has failed", advice)
    elif said.get("UnitFileState") not in ("enabled", "enabled-runtime", "static"):
        advice = "sudo systemctl enable --now appliance"
        yield warning("service", f"{UNIT} is not started at boot", advice)
    elif said.get("WatchdogUSec", "0") in ("0", "infinity"):
        advice = "Put WatchdogSec=30 into the unit, as systemd/appliance.service has it."
        yield warning("service", f"{UNIT} has no watchdog: nobody ends it where it hangs", advice)
    elif restarts.isdecimal() and int(restarts) > MANY:
        advice = "journalctl -u appliance -p warning says why."
        yield warning("service", f"{UNIT} was started again {restarts} times", advice)
    else:
        yield ok("service", f"{UNIT} is {state}, watchdog {said.get('WatchdogUSec')}")
