"""How hot it is, and whether the supply is strong enough: both slow a Pi down."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.config import Config
from appliance.service import throttling
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.machine import Machine

ZONE = "/sys/class/thermal/thermal_zone0/temp"
MODEL = "/proc/device-tree/model"
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
    else:
        yield from _supply_now(throttling.alarm(machine), machine)
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


def _supply_now(weak: bool | None, machine: Machine) -> Iterator[Finding]:
    """Of the kernel's alarm alone; of no alarm on a Pi, which could tell."""
    if weak:
        yield _supply(throttling.WEAK)
    elif weak is not None:
        yield ok("supply", "strong enough now; the firmware's other flags cannot be read")
    elif "Raspberry Pi" in (machine.text(MODEL) or ""):
        advice = "Install vcgencmd, which reads them: sudo apt install raspi-utils-core."
        said = "the firmware's flags cannot be read: nobody tells whether it is strong enough"
        yield warning("supply", said, advice)


def _flags(machine: Machine) -> int | None:
    """The firmware's, by the kernel and by its own program, which alone knows what was since the start."""
    asked = machine.output("vcgencmd", "get_throttled")
    told = throttling.parsed(asked.partition("=")[2]) if asked else None
    kernel = throttling.firmware(machine)
    if told is None and kernel is None:
        return None
    weak = throttling.WEAK if throttling.alarm(machine) else 0
    return (told or 0) | (kernel or 0) | weak
