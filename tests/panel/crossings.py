"""A keypad on mock pins: wires that cross, and keys that connect them, ghosts included."""

from __future__ import annotations

import threading
from typing import Any

from gpiozero.pins.mock import MockFactory, MockPWMPin

from appliance.panel.matrix import Crossing


class CrossedPin(MockPWMPin):  # type: ignore[misc] # gpiozero has no types
    """A pin that tells its bench whenever it is driven otherwise, or not any more."""

    def _set_function(self, value: str) -> None:
        super()._set_function(value)
        self.factory.settle()

    def _set_state(self, value: float) -> None:
        super()._set_state(value)
        self.factory.settle()


class Crossings(MockFactory):  # type: ignore[misc]
    """The factory of such pins: a row is low while some way through closed keys leads to a low column.

    `shorted` is set if ever two columns that are driven to different levels were connected.
    """

    def __init__(self, rows: list[int], columns: list[int]) -> None:
        super().__init__(pin_class=CrossedPin)
        self.rows, self.columns = rows, columns
        self.shorted = False
        self._closed: frozenset[Crossing] = frozenset()
        self._turn = threading.RLock()

    def close_keys(self, *crossings: Crossing) -> None:
        """Let these keys be closed, and no others."""
        with self._turn:
            self._closed = frozenset(crossings)
            self.settle()

    def settle(self) -> None:
        """Let every row be at the level that its wires give it."""
        with self._turn:
            for row, number in enumerate(self.rows):
                levels = {self._level(column) for column in self._reached(row)} - {None}
                self.shorted = self.shorted or len(levels) > 1
                pin = self._known(number)
                if pin is not None and pin.function == "input":
                    pin.drive_low() if False in levels else pin.drive_high()

    def _reached(self, row: int) -> set[int]:
        """The columns that are connected with a row, however far around."""
        rows, columns = {row}, set[int]()
        while True:
            more = {column for at, column in self._closed if at in rows} - columns
            if not more:
                return columns
            columns |= more
            rows |= {at for at, column in self._closed if column in columns}

    def _level(self, column: int) -> bool | None:
        pin = self._known(self.columns[column])
        return bool(pin.state) if pin is not None and pin.function == "output" else None

    def _known(self, number: int) -> Any:
        return next((pin for pin in self.pins.values() if pin.info.name == f"GPIO{number}"), None)
