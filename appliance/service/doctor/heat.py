"""How hot it is, and whether the supply is strong enough: both slow a Pi down."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.config import Config
from appliance.service import throttling
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.machine import Machine

ZONE = "/sys/class/thermal/thermal_zone0/temp"
FLAGS = "/sys/devices/platform/soc/soc:firmware/get_throttled"
HOT_C, TOO_HOT_C = 75.0, 80.0


def heat(config: Config, machine: Machine) -> Iterator[Finding]:
    """Temperature, supply."""
    del config
    said = machine.text(ZONE)
    degrees = int(said) / 1000 if said and said.removeprefix("-").isdecimal() else None
    flags = _flags(machine)
    if degrees is not None or (flags or 0) & throttling.HEAT:
        yield _temperature(degrees, (flags or 0) & throttling.HEAT)
    if flags is not None:
        yield _supply(flags)
    if degrees is None and flags is None:
        yield ok("temperature", "this machine does not tell")


def _temperature(degrees: float | None, flags: int) -> Finding:
    said = "how hot, nobody tells" if degrees is None else f"{degrees:.0f} °C"
    why = throttling.words(flags)
    too_hot, hot = (degrees is not None and degrees >= limit for limit in (TOO_HOT_C, HOT_C))
    if too_hot or flags & (throttling.LIMITED | throttling.THROTTLED):
        advice = "Give it a heat sink and air; a lower [media] framerate makes less heat."
        return fault("temperature", f"{said}: {why or 'the processor is slowed down'}", advice)
    if hot or flags:
        advice = "Give it a heat sink and air: at 80 °C it slows down."
        return warning("temperature", f"{said}: {why}" if why else said, advice)
    return ok("temperature", said)


def _supply(flags: int) -> Finding:
    if flags & throttling.WEAK:
        advice = "Use the Pi's own supply and a short, thick cable."
        return fault("supply", "the voltage is too low now", advice)
    was = flags >> throttling.SINCE_START
    if was & throttling.WEAK:
        advice = "Use the Pi's own supply; it is forgotten with the next start."
        return warning("supply", "too weak, or too hot, at some time since the start", advice)
    if was & throttling.HEAT:
        advice = "Give it a heat sink and air; it is forgotten with the next start."
        return warning("supply", "strong enough; too hot at some time since the start", advice)
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
