"""A test bench: the other ends of a board's wires, in a test's hands.

What a test does to a panel it does through `Wires` alone, so that the same test can run on mock pins,
on the kernel's gpio-sim, and on a Raspberry Pi with jumper wires.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

from gpiozero.pins.mock import MockFactory, MockPWMPin

from tests.panel.inbox import PATIENCE_S


class Wires(Protocol):
    """Pins are numbered as GPIO; a bench has 17, 18, 22, 23, 24, 25 and 27 free."""

    factory: Any
    """The gpiozero factory to give to the board."""

    def to_ground(self, pin: int) -> None:
        """Connect a pin that the board reads to ground, as a contact that closes."""

    def let_go(self, pin: int) -> None:
        """Disconnect it again, so that the board's pull resistor says what it reads."""

    def high(self, pin: int) -> bool | None:
        """Whether a pin that the board drives is high; None while it does not drive it."""

    def level(self, pin: int) -> float:
        """What is measured at it now: 0 or 1, and between where a stand-in has no time of its own."""


class WiredPin(MockPWMPin):  # type: ignore[misc] # gpiozero has no types
    """A mock pin with a wire to its other end: while that is at ground, no pull brings it up."""

    grounded = False

    def drive_high(self) -> None:
        if not self.grounded:
            super().drive_high()


class MockWires:
    """The wires of mock pins."""

    def __init__(self) -> None:
        self.factory = MockFactory(pin_class=WiredPin)

    def to_ground(self, pin: int) -> None:
        mock = self.factory.pin(pin)
        mock.grounded = True
        mock.drive_low()

    def let_go(self, pin: int) -> None:
        mock = self.factory.pin(pin)
        mock.grounded = False
        if mock.pull == "up":
            mock.drive_high()

    def high(self, pin: int) -> bool | None:
        mock = self.factory.pin(pin)
        return bool(mock.state) if mock.function == "output" else None

    def level(self, pin: int) -> float:
        return float(self.factory.pin(pin).state)


LOOKS, LOOK_S = 100, 0.0037
"""So many, and as far apart as no dimming (100 Hz) keeps step with."""


async def lit_share(wires: Wires, pin: int) -> float:
    """For which part of the time an LED is lit."""
    seen = 0.0
    for _ in range(LOOKS):
        seen += wires.level(pin)
        await asyncio.sleep(LOOK_S)
    return seen / LOOKS


async def until(wanted: Callable[[], bool], every_s: float = 0.002) -> None:
    """Wait until something can be seen on a wire; wires do not tell, so they are looked at."""
    async with asyncio.timeout(PATIENCE_S):
        while not wanted():  # noqa: ASYNC110 - a wire has no event to wait for
            await asyncio.sleep(every_s)


Run = tuple[bool, float]
"""Lit or dark, and for how many seconds."""

_LATE_S, _LATE = 0.05, 0.2
"""By how much, and by which part of it, a time may differ that is looked at from outside."""


class Film:
    """What is seen of one LED: how long it is lit and dark, by turns."""

    def __init__(self, wires: Wires, pin: Any) -> None:
        """It is looked at from now on."""
        self._wires, self._pin = wires, pin
        self._shown = False
        self._since: list[tuple[bool, float]] = []

    @property
    def levels(self) -> list[bool]:
        """Lit and dark as they came."""
        return [lit for lit, _ in self._since]

    def look(self) -> None:
        """Look once."""
        lit = bool(self._wires.high(self._pin))
        if not self._since or self._since[-1][0] is not lit:
            self._since.append((lit, time.monotonic()))

    def shows(self, cycle: Sequence[Run]) -> bool:
        """Look once more; whether there was such a cycle in what was seen so far."""
        self.look()
        seen = self._since[-len(cycle) - 1 :]
        if len(seen) > len(cycle):
            lengths_s = [end - begin for (_, begin), (_, end) in pairwise(seen)]
            self._shown |= all(
                lit is wanted and abs(length_s - wanted_s) <= max(_LATE_S, _LATE * wanted_s)
                for (lit, _), length_s, (wanted, wanted_s) in zip(
                    seen, lengths_s, cycle, strict=False
                )
            )
        return self._shown
