"""The contract of every board on a Raspberry Pi's own pins: `pytest -m hardware tests/panel`.

Each pin that the board uses is connected by a jumper wire to one at which the test stands; see WIRES.
Nothing else may be connected to these twelve. The first two wires are enough to begin: what needs one that
is not there is skipped, and says so.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from appliance.panel.pins import PinFactory, PinsUnavailableError, open_factory
from tests.panel.contract import BoardContract
from tests.panel.wires import Wires
from tests.parts.need import skip_or_fail

pytestmark = [
    pytest.mark.hardware,
    pytest.mark.leaves("thread", "descriptor", reason="lgpio's own, from its import to the end"),
]

WIRES = {17: 5, 27: 6, 22: 13, 23: 19, 24: 26, 25: 16}
"""From the board's pin to the test's, by their GPIO numbers."""


class JumperWires:
    """The wires of a Raspberry Pi: the other ends are pins of the same chip."""

    def __init__(self, factory: PinFactory) -> None:
        self.factory = factory
        self._there = {pin for pin in WIRES if self._leads_on(pin)}

    def to_ground(self, pin: int) -> None:
        self._needs(pin)
        self.factory.pin(WIRES[pin]).output_with_state(0)

    def let_go(self, pin: int) -> None:
        self.factory.pin(WIRES[pin]).function = "input"

    def high(self, pin: int) -> bool | None:
        self._needs(pin)
        if self.factory.pin(pin).function != "output":
            return None
        other = self.factory.pin(WIRES[pin])
        other.input_with_pull("floating")
        return bool(other.state)

    def level(self, pin: int) -> float:
        return float(bool(self.high(pin)))

    def have_told_all(self) -> None:
        """Wait until lgpio has: one thread tells of all changes, of the last one last."""
        for pin in sorted(self._there)[:1]:  # without a wire nothing has changed
            told = threading.Event()

            def changed(*_: object, told: threading.Event = told) -> None:
                told.set()

            board, other = self.factory.pin(pin), self.factory.pin(WIRES[pin])
            other.output_with_state(1)
            board.function, board.edges, board.when_changed = "input", "both", changed
            other.output_with_state(0)
            assert told.wait(30)
            board.close()
            other.function = "input"

    def _needs(self, pin: int) -> None:
        if pin not in self._there:
            pytest.skip(f"no wire leads from GPIO{pin} to GPIO{WIRES[pin]}")

    def _leads_on(self, pin: int) -> bool:
        """Whether what is done at the test's end is read at the board's."""
        board, other = self.factory.pin(pin), self.factory.pin(WIRES[pin])
        board.input_with_pull("up")
        other.output_with_state(0)
        grounded = not board.state
        other.input_with_pull("floating")
        return grounded and bool(board.state)


@pytest.fixture(scope="module")
def chip() -> Iterator[PinFactory]:
    """One for all, as a daemon has one.

    Whoever closes it while a level that changed is on its way ends the only thread in which lgpio tells.
    """
    try:
        factory = open_factory("pi", None)
    except PinsUnavailableError as error:
        skip_or_fail(str(error))
    yield factory
    JumperWires(factory).have_told_all()
    factory.close()


class TestOnAPi(BoardContract):
    late_s = 1.0

    @pytest.fixture
    def wires(self, chip: PinFactory) -> Wires:
        return JumperWires(chip)
