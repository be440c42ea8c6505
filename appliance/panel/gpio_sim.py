"""Pins that the kernel simulates (gpio-sim) where there is no Pi: lgpio, told a board's revision."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

REVISION = 0xC03111
"""Of a Pi 4 B, with whose header the simulated chip is then addressed (BOARD11 is GPIO17)."""
LABEL = "pinctrl-bcm"
"""What the names of all of a Pi's chips begin with."""


def simulated_chip(devices: Path = Path("/dev")) -> Any:
    """A factory of gpiozero on the chip that has a Pi's name. Raises OSError, or ImportError without lgpio.

    gpiozero's own factory asks the kernel for the board's revision, and refuses where it is no Pi's.
    """
    lgpio = importlib.import_module("lgpio")
    base: Any = importlib.import_module("gpiozero.pins.lgpio").LGPIOFactory

    class Simulated(base):  # type: ignore[misc] # gpiozero has no types
        def _get_revision(self) -> int:
            return REVISION

    for node in sorted(devices.glob("gpiochip*")):
        number = int(node.name.removeprefix("gpiochip"))
        if _label(lgpio, number).startswith(LABEL):
            return Simulated(chip=number)
    raise OSError(f"no chip in {devices} is called as a Pi's ({LABEL}...)")


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
