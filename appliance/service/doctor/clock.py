"""The clock: certificates, quiet hours and the call log rest on it."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.config import Config
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.machine import Machine

SYNCED = "/run/systemd/timesync/synchronized"
"""Touched by systemd-timesyncd when it has set the clock since the start."""
BUILT = 2025
"""No clock that is right shows an earlier year."""
BUILT_FOR = 2050
"""Nor, as long as this program is of use, a later one."""


def clock(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether somebody has set it."""
    del config
    now = machine.now()
    said = f"{now:%Y-%m-%d %H:%M} UTC"
    if now.year < BUILT:
        advice = "Connect to the internet, and `sudo timedatectl set-ntp true`."
        yield fault("clock", f"it says {said}: it was never set", advice)
        return
    if now.year > BUILT_FOR:
        advice = "sudo timedatectl set-ntp true; else sudo date -s '2026-11-28 12:00'"
        yield fault("clock", f"it says {said}: that is far ahead", advice)
        return
    said += f", here {now.astimezone():%H:%M %Z}"  # by which a door is quiet: zones go wrong too
    asked = machine.output("timedatectl", "show", "--property", "NTPSynchronized", "--value")
    if machine.exists(SYNCED) or asked == "yes":
        yield ok("clock", f"synchronized, {said}")
    else:
        advice = "sudo timedatectl set-ntp true; a Pi has no clock of its own while it is off"
        yield warning("clock", f"nobody says that it is right: {said}", advice)
