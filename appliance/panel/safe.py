"""Everything that a dead daemon may have left energized or lit, driven to rest: `appliance release`.

It needs no daemon and no whole configuration: it takes what the last run has noted about its outputs, or
where there is no such note, what can be read of the configuration, whatever is wrong with the rest of it.
A pin that is held by somebody else is tried again for a moment, and the others are driven all the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from gpiozero import OutputDevice
from msgspec import Struct

from appliance import config
from appliance.loading.layers import read_layers
from appliance.panel.pins import PinFactory
from appliance.whole_file import private_folder

NOTED = "outputs.json"
"""The file in the state directory in which a run notes its outputs."""

TRIES = 5
PAUSE_S = 0.1


class Output(Struct, frozen=True):
    """One pin that is driven, what for (`relays.door`), and which level is at rest."""

    where: str
    pin: str | int
    active_high: bool = True


class Driven(Struct, frozen=True):
    """What a run drives, and by which of gpiozero's pin factories."""

    factory: str | None = None
    outputs: tuple[Output, ...] = ()


def driven_by(settings: config.Config) -> Driven:
    """All that a run with this configuration drives, relays first."""
    if settings.device.board == "simulated":
        return Driven()
    found = [
        Output(f"relays.{name}", relay.pin, relay.active_high)
        for name, relay in settings.relays.items()
    ]
    for name, led in settings.leds.items():
        pins = led.pin if isinstance(led.pin, tuple) else (led.pin,)
        found += [Output(f"leds.{name}", pin, led.active_high) for pin in pins]
    if settings.panel.buzzer is not None:
        found.append(Output("panel.buzzer", settings.panel.buzzer))
    return Driven(settings.panel.pin_factory, tuple(found))


def note(driven: Driven, folder: Path) -> None:
    """Keep it for when this run is over, in whatever way. Raises OSError."""
    private_folder(folder)
    fresh = folder / f"{NOTED}.new"
    fresh.write_bytes(msgspec.json.encode(driven))
    fresh.replace(folder / NOTED)  # not synced: a power cut releases every relay


def noted(folder: Path) -> Driven | None:
    """What the last run has kept; None where there is nothing, or nothing that can be read."""
    try:
        return msgspec.json.decode((folder / NOTED).read_bytes(), type=Driven)
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def configured(file: Path | None, environ: Mapping[str, str]) -> Driven:
    """What a configuration names, of which much may be wrong."""
    values = read_layers(file, environ).values
    if _table(values, "device").get("board") == "simulated":
        return Driven()
    panel = _table(values, "panel")
    found: list[Output] = []
    for kind in ("relays", "leds"):
        for name, section in _table(values, kind).items():
            if isinstance(section, dict):
                found += _outputs(f"{kind}.{name}", section.get("pin"), section)
    found += _outputs("panel.buzzer", panel.get("buzzer"), {})
    factory = panel.get("pin_factory")
    return Driven(factory if isinstance(factory, str) else None, tuple(found))


def _outputs(where: str, pins: Any, section: Mapping[str, Any]) -> list[Output]:
    active_high = section.get("active_high") is not False
    several = pins if isinstance(pins, list) else [pins]
    return [
        Output(where, pin, active_high)
        for pin in several
        if isinstance(pin, str | int) and not isinstance(pin, bool)
    ]


def _table(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = values.get(name)
    return table if isinstance(table, dict) else {}


def rest(
    outputs: Iterable[Output], factory: PinFactory, *, tries: int = TRIES, pause_s: float = PAUSE_S
) -> list[str]:
    """Drive each to rest and give it back; a sentence for each that could not be.

    Of two that name the same pin the first one says which level is at rest.
    """
    left = list(outputs)
    faults: dict[str, str] = {}
    done: set[Any] = set()
    for attempt in range(tries):
        faults = {}
        for one in left:
            _rest(one, factory, done, faults)
        left = [one for one in left if one.where in faults]
        if not left:
            break
        if attempt < tries - 1:
            time.sleep(pause_s)
    return [f"{where}: {why}" for where, why in faults.items()]


def _rest(one: Output, factory: PinFactory, done: set[Any], faults: dict[str, str]) -> None:
    try:
        key = factory.pin(one.pin).info.name
        if key not in done:
            device = OutputDevice(
                one.pin, active_high=one.active_high, initial_value=False, pin_factory=factory
            )
            rests = not device.is_active
            device.close()
            if not rests:
                faults[one.where] = f"the pin {one.pin} stays where it was"
                return
            done.add(key)
    except Exception as error:
        # gpiozero and each driver have errors of their own, plain Exceptions among them
        faults[one.where] = (
            f"the pin {one.pin} cannot be driven: {str(error) or type(error).__name__}"
        )
