"""The pins: whether they can be reached, and whether each that is configured is free."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.config import GPIO_SIM, Config
from appliance.loading.panel import all_pins
from appliance.loading.pins import gpio
from appliance.service.doctor.findings import Finding, fault, ok, warning
from appliance.service.doctor.machine import Machine

COMPONENT = "pins"
PACKAGES = {"lgpio": "lgpio", "rpigpio": "RPi", "pigpio": "pigpio", GPIO_SIM: "lgpio"}
"""The factories of pins, and the module that each needs."""


def pins(config: Config, machine: Machine) -> Iterator[Finding]:
    """The pin factory, the chip, and the lines in use."""
    wanted = dict(_wanted(config))
    if config.device.board == "simulated" or config.panel.pin_factory == "mock":
        yield ok(COMPONENT, f"simulated: {len(wanted)} mock pins")
        return
    chips = machine.gpio_chips()
    chip = next((one for one in chips if one.label.startswith("pinctrl-")), None)
    if chip is None:
        nodes = [name for name in machine.names("/dev") if name.startswith("gpiochip")]
        if nodes:
            closed = f"/dev/{nodes[0]} may not be opened, or is no Raspberry Pi's"
            yield fault(COMPONENT, closed, "sudo usermod -aG gpio $USER, and log in anew")
        else:
            advice = 'Run it on a Raspberry Pi, or set board = "simulated" under [device].'
            yield fault(COMPONENT, "there are no GPIO pins on this machine", advice)
        return
    yield from _factory(config, machine)
    ours = machine.runs
    taken = {pin: chip.users[pin] for pin in wanted if pin in chip.users}
    if not taken or ours:
        said = "in use by the running appliance" if taken else "free"
        yield ok(COMPONENT, f"{chip.label}: {_count(len(wanted))} configured, {said}")
        return
    for pin, user in taken.items():
        advice = (
            f"Stop the other program, or remove the overlay for GPIO{pin} from"
            " /boot/firmware/config.txt, or choose another pin."
        )
        yield fault(COMPONENT, f"GPIO{pin} of {wanted[pin]} is in use by {user}", advice)


def _factory(config: Config, machine: Machine) -> Iterator[Finding]:
    name = config.panel.pin_factory or machine.environ.get("GPIOZERO_PIN_FACTORY")
    module = PACKAGES.get(name or "lgpio")
    if name is None and not machine.has_module("lgpio"):
        others = [one for one, needed in PACKAGES.items() if machine.has_module(needed)]
        advice = "sudo apt install python3-lgpio; the venv wants --system-site-packages"
        if others:
            yield warning(COMPONENT, f"lgpio is missing, {others[0]} stands in for it", advice)
        else:
            yield fault(COMPONENT, "no pin factory: lgpio is missing", advice)
    elif module is not None and not machine.has_module(module):
        advice = f"Install the Python module {module}, or leave [panel] pin_factory out."
        yield fault(COMPONENT, f"the pin factory {name} is not installed", advice)


def _wanted(config: Config) -> Iterator[tuple[int, str]]:
    """Each GPIO that is configured, and for what."""
    for path, pin in all_pins(config):
        number = gpio(pin)
        if number is not None:
            yield number, f"{path[0]}.{path[1]}"


def _count(pins_: int) -> str:
    return "1 pin" if pins_ == 1 else f"{pins_} pins"
