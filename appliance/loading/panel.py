"""What must hold between the values of the panel's sections: pins with one use, situations that exist."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

from appliance.config import GPIO_SIM, Config
from appliance.errors import did_you_mean
from appliance.loading.findings import Finding, Path, one_of
from appliance.loading.pins import gpio
from appliance.model import Situation

MOTION = "motion"
"""What a relay may follow besides a situation."""
SITUATIONS = ("ringing", *Situation)
"""For LEDs and relays; `ringing` is both ringing_in and ringing_out."""


def pin_factory(config: Config) -> Iterator[Finding]:
    """A factory that gpiozero knows; which it knows is the machine's, and without pins the rest works."""
    name = config.panel.pin_factory
    known = {*entry_points(group="gpiozero_pin_factories").names, GPIO_SIM}
    if name is not None and not {name, name.lower()} & known:
        near = did_you_mean(name, known) or f": {', '.join(sorted(known))}"
        sentence = f"gpiozero knows no pin factory {name}{near}"
        yield Finding(("panel", "pin_factory"), sentence, warning=True)


def leds(config: Config) -> Iterator[Finding]:
    """An LED that tells of open devices follows no situation."""
    for name, led in config.leds.items():
        if led.privacy and led.patterns:
            sentence = "a privacy LED is lit while a device may be open, and shows no situation"
            yield Finding(("leds", name, "patterns"), sentence)


def inputs(config: Config) -> Iterator[Finding]:
    """What belongs to one kind stands at that kind."""
    for name, pin in config.inputs.items():
        path: Path = ("inputs", name)
        if pin.left_open_s is not None and pin.kind != "door_contact":
            yield Finding((*path, "left_open_s"), "is for a door_contact")
        if pin.relay is not None and pin.kind != "exit":
            yield Finding((*path, "relay"), "is for an exit button")
        elif pin.relay:
            doors = [door for door, relay in config.relays.items() if relay.on is None]
            yield from one_of((*path, "relay"), pin.relay, doors, "relay that opens")


def relays(config: Config) -> Iterator[Finding]:
    """A relay follows a situation that exists."""
    for name, relay in config.relays.items():
        if relay.on is not None:
            yield from one_of(("relays", name, "on"), relay.on, (*SITUATIONS, MOTION))


def pins(config: Config) -> Iterator[Finding]:
    """A pin has one use, however it is spelled."""
    users: dict[int | str, Path] = {}
    for path, pin in all_pins(config):
        number = gpio(pin)
        if number is None:
            yield Finding(path, f"{pin} is no GPIO of the 40-pin header", warning=True)
        used = users.setdefault(str(pin) if number is None else number, path)
        if used is not path:
            yield Finding(path, f"{pin} is the pin of {used[0]}.{used[1]} already")
    for name, led in config.leds.items():
        if isinstance(led.pin, tuple) != (led.kind == "rgb"):
            sentence = "wants three pins for an rgb LED, and one for any other"
            yield Finding(("leds", name, "pin"), sentence)


def all_pins(config: Config) -> Iterator[tuple[Path, str | int]]:
    """Every pin with its use: one object for all pins of a use."""
    sections: dict[str, dict[Any, Any]] = {
        "buttons": config.buttons,
        "leds": config.leds,
        "relays": config.relays,
        "inputs": config.inputs,
    }
    if config.panel.buzzer is not None:
        yield ("panel", "buzzer"), config.panel.buzzer
    for section, entries in sections.items():
        for name, entry in entries.items():
            path: Path = (section, name, "pin")
            for pin in entry.pin if isinstance(entry.pin, tuple) else (entry.pin,):
                yield path, pin
    for name, keypad in config.keypads.items():
        for side, wires in (("rows", keypad.rows), ("columns", keypad.columns)):
            for at, pin in enumerate(wires):
                yield ("keypads", name, side, at), pin
