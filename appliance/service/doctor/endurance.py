"""What lets a device live for years: little written to the card, a watchdog behind it all, memory left."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.config import Config
from appliance.service.doctor.findings import Finding, ok, warning
from appliance.service.doctor.machine import Machine

LITTLE_MB = 60
STALLED_PERCENT = 10.0
PROPERTY = "RuntimeWatchdogUSec"
JOURNAL = "/var/log/journal"


def endurance(config: Config, machine: Machine) -> Iterator[Finding]:
    """Memory of any machine; the rest of a Pi, which is what stands behind a wall."""
    del config
    yield _memory(machine)
    if "Raspberry Pi" in (machine.text("/proc/device-tree/model") or ""):
        yield _journal(machine)
        yield _watchdog(machine)


def _memory(machine: Machine) -> Finding:
    free = _number(machine.text("/proc/meminfo"), "MemAvailable:", 0)
    stalled = _number(machine.text("/proc/pressure/memory"), "full", 1)
    if free is None:
        return ok("memory", "this machine does not tell")
    said = f"{free * 1024 / 1e6:,.0f} MB free"
    if stalled is not None and stalled >= STALLED_PERCENT:
        advice = "See what takes it: `ps aux --sort=-rss | head`; a desktop is too much for a door."
        return warning("memory", f"{said}; {stalled:g} % of a minute was waited for it", advice)
    if free * 1024 / 1e6 < LITTLE_MB:
        advice = "See what takes it: `ps aux --sort=-rss | head`; a smaller [media] picture helps."
        return warning("memory", said, advice)
    return ok("memory", said)


def _journal(machine: Machine) -> Finding:
    if machine.exists(JOURNAL) and machine.names(JOURNAL):
        advice = (
            "Install journald.conf.d/appliance.conf and appliance-journal.timer as"
            " docs/operations.md says, then delete it."
        )
        return warning("journal", f"it is written to the card ({JOURNAL})", advice)
    return ok("journal", "it is kept in memory")


def _watchdog(machine: Machine) -> Finding:
    said = machine.output("systemctl", "show", f"--property={PROPERTY}") or ""
    asked = dict(line.split("=", 1) for line in said.splitlines() if "=" in line).get(PROPERTY, "")
    if asked in ("0", "infinity", ""):
        advice = "Install system.conf.d/appliance.conf as docs/operations.md says, and start anew."
        return warning("watchdog", "a system that hangs as a whole is not started anew", advice)
    return ok("watchdog", f"the hardware starts a system anew that hangs for {asked}")


def _number(text: str | None, begin: str, at: int) -> float | None:
    """Of the line that begins so: its word at that place, with or without a name and `=` before it."""
    for line in (text or "").splitlines():
        if line.startswith(begin):
            words = line.removeprefix(begin).split()
            try:
                return float(words[at].rpartition("=")[2])
            except (IndexError, ValueError):
                return None
    return None
