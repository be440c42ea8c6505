"""The contract of every board on lines that the kernel simulates; the guest's pytest is given this file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lgpio  # a thread begins with its import, and never ends: before any test looks for one
import pytest

from appliance.panel.pins import PinFactory, open_factory
from tests.panel.contract import BoardContract
from tests.panel.wires import Wires

assert lgpio
CHIP = Path("/run/lab-pins")


class SimulatedWires:
    """The other ends of a simulated chip's lines are files."""

    def __init__(self, factory: PinFactory) -> None:
        self.factory = factory

    def to_ground(self, pin: int) -> None:
        (CHIP / f"sim_gpio{pin}" / "pull").write_text("pull-down")

    def let_go(self, pin: int) -> None:
        pull = "up" if self.factory.pin(pin).pull == "up" else "down"
        (CHIP / f"sim_gpio{pin}" / "pull").write_text(f"pull-{pull}")

    def high(self, pin: int) -> bool | None:
        if self.factory.pin(pin).function != "output":
            return None
        return (CHIP / f"sim_gpio{pin}" / "value").read_text().strip() == "1"


@pytest.fixture(scope="module")
def chip() -> Iterator[PinFactory]:
    """Opened once, as by a daemon: lgpio tells of no edge of a chip that is opened anew."""
    factory = open_factory("pi", "gpio-sim")
    yield factory
    factory.close()


@pytest.mark.leaves(
    "descriptor", reason="lgpio has a line until its chip is closed, or it is used again"
)
class TestSimulatedLines(BoardContract):
    @pytest.fixture
    def wires(self, chip: PinFactory) -> Wires:
        return SimulatedWires(chip)
