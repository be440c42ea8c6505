"""Pins that the kernel simulates (gpio-sim) where there is no Pi: lgpio, told a board's revision."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

REVISION = 0xC03111
"""Of a Pi 4 B, with whose header the simulated chip is then addressed (BOARD11 is GPIO17)."""
LABEL = "pinctrl-bcm"
"""What the names of all of a Pi's chips begin with."""
DRIVER = "gpio-sim"
"""The kernel's, of whose chips one may have such a name as well. A Pi's own are of others."""


def simulated_chip(devices: Path = Path("/sys/bus/gpio/devices")) -> Any:
    """A factory of gpiozero on a simulated chip that has a Pi's name; no other chip is opened.

    gpiozero's own factory asks the kernel for the board's revision, and refuses where it is no Pi's.
    Raises OSError, or ImportError without lgpio.
    """
    lgpio = importlib.import_module("lgpio")
    base: Any = importlib.import_module("gpiozero.pins.lgpio").LGPIOFactory

    class Simulated(base):  # type: ignore[misc] # gpiozero has no types
        def _get_revision(self) -> int:
            return REVISION

    for node in sorted(devices.glob("gpiochip*")):
        number = int(node.name.removeprefix("gpiochip"))
        if _driver(node) == DRIVER and _label(lgpio, number).startswith(LABEL):
            return Simulated(chip=number)
    raise OSError(f"no chip in {devices} is {DRIVER}'s and called as a Pi's ({LABEL}...)")


def _driver(chip: Path) -> str:
    """Which simulates it, or drives the hardware that it is a part of."""
    return (chip.resolve().parent / "driver").resolve().name


def _label(lgpio: Any, number: int) -> str:
    """What the chip of this number is called; nothing where it may not be opened."""
    try:
        chip = lgpio.gpiochip_open(number)
    except lgpio.error:
        return ""
    try:
        return str(lgpio.gpio_get_chip_info(chip)[3])
    finally:
        lgpio.gpiochip_close(chip)
