"""The contract of every board, by lgpio, on lines that the kernel simulates: no daemon has them then."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from appliance.panel.gpio_sim import simulated_chip
from appliance.panel.pins import PinFactory
from tests.lab.within.front import lit, pull
from tests.panel.contract import BoardContract
from tests.panel.wires import Wires

pytestmark = pytest.mark.leaves(
    "thread", "descriptor", reason="lgpio's own, from its import to the end"
)

LINES = (17, 18, 22, 23, 24, 25, 27)
MOVES_S = 0.001
"""What a contact takes. By a clock that jumps all of its chatter would be one instant, and none else."""
LAST = 5
"""Which no bench has: its change is the last."""


class SimulatedWires:
    """The other ends are the simulator's: it pulls a line that is read, and tells of one that is driven."""

    def __init__(self, factory: PinFactory) -> None:
        self.factory = factory
        for line in LINES:
            self.let_go(line)

    def to_ground(self, pin: int) -> None:
        pull(pin, "down")
        time.sleep(MOVES_S)

    def let_go(self, pin: int) -> None:
        pull(pin, "up")
        time.sleep(MOVES_S)

    def high(self, pin: int) -> bool | None:
        return lit(pin) if self.factory.pin(pin).function == "output" else None

    def level(self, pin: int) -> float:
        return float(bool(self.high(pin)))


@pytest.fixture(scope="module")
def chip() -> Iterator[PinFactory]:
    """One for all, as a daemon has one.

    Whoever closes it while a level that changed is on its way ends the only thread in which lgpio tells.
    """
    factory = simulated_chip()
    yield factory
    has_told_all(factory)
    factory.close()


def has_told_all(factory: PinFactory) -> None:
    """Wait until lgpio has: of a change that comes last, one thread tells after all that were before."""
    told = threading.Event()

    def changed(*_: object) -> None:
        told.set()

    pull(LAST, "up")
    pin = factory.pin(LAST)
    pin.function, pin.edges, pin.when_changed = "input", "both", changed
    pull(LAST, "down")
    assert told.wait(30)
    pin.close()


class TestOnGpioSim(BoardContract):
    late_s = 0.05
    """What a processor does takes no time here."""

    @pytest.fixture
    def wires(self, chip: PinFactory) -> Wires:
        return SimulatedWires(chip)
