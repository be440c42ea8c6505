"""How hot it is, and whether the supply is strong enough: both slow a Pi down."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.config import Config
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.machine import Machine

ZONE = "/sys/class/thermal/thermal_zone0/temp"
FLAGS = "/sys/devices/platform/soc/soc:firmware/get_throttled"
HOT_C, TOO_HOT_C = 75.0, 80.0
WEAK, THROTTLED, WAS_WEAK, WAS_THROTTLED = 1 << 0, 1 << 2, 1 << 16, 1 << 18
"""Of the firmware's flags: now, and at some time since the start."""


def heat(config: Config, machine: Machine) -> Iterator[Finding]:
    """Temperature, supply."""
    del config
    said = machine.text(ZONE)
    degrees = int(said) / 1000 if said and said.removeprefix("-").isdecimal() else None
    flags = _flags(machine)
    if degrees is not None:
        yield _temperature(degrees, throttled=bool(flags and flags & THROTTLED))
    if flags is not None:
        yield _supply(flags)
    if degrees is None and flags is None:
        yield ok("temperature", "this machine does not tell")


def _temperature(degrees: float, *, throttled: bool) -> Finding:
    said = f"{degrees:.0f} °C"
    if degrees >= TOO_HOT_C or throttled:
        advice = "Give it a heat sink and air; a lower [media] framerate makes less heat."
        return fault("temperature", f"{said}: the processor is slowed down", advice)
    if degrees >= HOT_C:
        return warning("temperature", said, "Give it a heat sink and air: at 80 °C it slows down.")
    return ok("temperature", said)


def _supply(flags: int) -> Finding:
    if flags & WEAK:
        advice = "Use the Pi's own supply and a short, thick cable."
        return fault("supply", "the voltage is too low now", advice)
    if flags & (WAS_WEAK | WAS_THROTTLED):
        advice = "Use the Pi's own supply; it is forgotten with the next start."
        return warning("supply", "too weak, or too hot, at some time since the start", advice)
    return ok("supply", "strong enough since the start")


def _flags(machine: Machine) -> int | None:
    said = machine.text(FLAGS)
    if said is None:
        asked = machine.output("vcgencmd", "get_throttled")
        said = asked.partition("=")[2] if asked else None
    try:
        return int(said, 16) if said else None
    except ValueError:
        return None
