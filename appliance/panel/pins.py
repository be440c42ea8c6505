"""Which pins: gpiozero's factories by gpiozero's names, and the simulated one."""

from __future__ import annotations

import logging
import os
from collections import deque
from importlib.metadata import entry_points
from typing import Any, Literal

from gpiozero.pins.mock import MockFactory, MockPWMPin, PinState

from appliance.config import GPIO_SIM
from appliance.errors import ApplianceError, did_you_mean
from appliance.panel.gpio_sim import simulated_chip

log = logging.getLogger(__name__)

PinFactory = Any
"""A `gpiozero.Factory`; gpiozero has no types."""

_PREFERRED = ("lgpio", "rpigpio", "pigpio", "native")
"""gpiozero's own order; only the first knows every Pi, and the last has no PWM."""
KEPT_STATES = 64


class SimulatedPin(MockPWMPin):  # type: ignore[misc] # gpiozero has no types
    """A mock pin for a board that runs for months: gpiozero's remembers whatever it ever was."""

    def clear_states(self) -> None:
        """Forget what it was, and from now on what it was long ago."""
        super().clear_states()
        self.states: deque[PinState] = deque([PinState(0.0, self.state)], maxlen=KEPT_STATES)


class PinsUnavailableError(ApplianceError):
    """There is no GPIO here, or not the one that was asked for."""

    code = "gpio_unavailable"


class UnknownFactoryError(PinsUnavailableError):
    """gpiozero knows no factory of the name that was asked for."""


def open_factory(board: Literal["pi", "simulated"], name: str | None) -> PinFactory:
    """The pins of a board: mock pins that are nobody else's, or real ones.

    `name` is a factory in gpiozero's spelling (`[panel] pin_factory`), any that an installed package
    registers with gpiozero included, or `gpio-sim`, lines that the kernel simulates. None:
    `$GPIOZERO_PIN_FACTORY`, else the first of gpiozero's that works here. gpiozero's global factory
    is never set, so that two boards can live in one process. Raises PinsUnavailableError, and
    UnknownFactoryError where `name` is none.
    """
    if board == "simulated" or name == "mock":
        return MockFactory(revision="a02082", pin_class=SimulatedPin)
    wanted = name or os.environ.get("GPIOZERO_PIN_FACTORY")
    faults: list[str] = []
    kind: type[PinsUnavailableError] = PinsUnavailableError
    for candidate in (wanted,) if wanted else _PREFERRED:
        try:
            factory = _load(candidate)
        except Exception as error:
            # each driver fails in its own way, an import error and a plain Exception among them
            faults.append(f"{candidate}: {str(error) or type(error).__name__}")
            kind = type(error) if isinstance(error, UnknownFactoryError) else PinsUnavailableError
        else:
            for fault in faults:
                log.warning("Pins are reached by %s, since %s", candidate, fault)
            return factory
    raise kind(f"No pins can be reached ({'; '.join(faults)})")


def _load(name: str) -> PinFactory:
    if name == GPIO_SIM:
        return simulated_chip()
    known = entry_points(group="gpiozero_pin_factories")
    for spelling in (name, name.lower()):
        for entry in known.select(name=spelling):
            return entry.load()()
    names = {*known.names, GPIO_SIM}
    near = did_you_mean(name, names) or f": {', '.join(sorted(names))}"
    raise UnknownFactoryError(f"gpiozero knows no such pin factory{near}")
