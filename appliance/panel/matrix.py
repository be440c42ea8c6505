"""A matrix of keys: which crossings of rows and columns are closed, looked at in a thread of its own.

While no key is closed the columns are all low, and the first key wakes the thread by the edge of its
row; then each column in turn is low and the others float, so that two keys at once short nothing. Three
keys at the corners of a rectangle close the fourth one too, to look at: while that is so, no key is
believed that was not closed before.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

from gpiozero import GPIODevice

from appliance.panel.pins import PinFactory

Crossing = tuple[int, int]
"""Row and column, each from 0."""

LOOK_S = 0.005
"""How often the keys are looked at while one is closed."""

_RETRY_S = 1.0
"""How soon pins that failed are tried again."""


def believed(before: frozenset[Crossing], seen: frozenset[Crossing]) -> frozenset[Crossing]:
    """Which keys are closed, of what is seen: nothing new where there may be ghosts."""
    return before & seen if is_ambiguous(seen) else seen


def is_ambiguous(seen: Iterable[Crossing]) -> bool:
    """Whether some rectangle has all four corners closed, of which three would be enough."""
    columns: dict[int, set[int]] = {}
    for row, column in seen:
        columns.setdefault(column, set()).add(row)
    return any(len(one & other) > 1 for one, other in combinations(columns.values(), 2))


class Matrix:
    """The pins and the thread; `changed` and `failed` are called in it."""

    def __init__(
        self,
        rows: Sequence[str | int],
        columns: Sequence[str | int],
        *,
        factory: PinFactory,
        changed: Callable[[float, Mapping[Crossing, bool]], None],
        failed: Callable[[Exception | None], None],
    ) -> None:
        """Claim the pins and look. Raises what gpiozero or its driver raises.

        `changed` is told when it was seen (`time.monotonic`, the loop's clock) and which keys are
        closed or open since; `failed` what a driver raised, and None when it works again.
        """
        self._changed, self._failed = changed, failed
        self._devices: list[GPIODevice] = []
        self._held: Crossing | None = None
        self._end = threading.Event()
        self._wake = threading.Event()
        self._began_s: float | None = None
        """When the thread last began to do something; None while it waits for a key."""
        try:
            self._rows = [self._claim(pin, factory) for pin in rows]
            self._columns = [self._claim(pin, factory) for pin in columns]
            for row in self._rows:
                row.pin.input_with_pull("up")
                row.pin.edges = "falling"
                row.pin.when_changed = self._edge
        except BaseException:
            self._give_back()
            raise
        self._thread = threading.Thread(target=self._run, name="keypad", daemon=True)
        self._thread.start()

    def held_up_s(self) -> float:
        """How long its thread has been in the driver; any thread."""
        began_s = self._began_s
        if not self._thread.is_alive() and not self._end.is_set():
            return math.inf
        return 0.0 if began_s is None else time.monotonic() - began_s

    def hold(self, crossing: Crossing | None) -> None:
        """Let a simulated finger hold a key, or none."""
        self._held = crossing
        self._wake.set()

    def release(self) -> None:
        """End the thread and give the pins back."""
        self._end.set()
        self._wake.set()
        self._thread.join()
        self._give_back()

    def _claim(self, pin: str | int, factory: PinFactory) -> GPIODevice:
        device = GPIODevice(pin, pin_factory=factory)
        self._devices.append(device)
        return device

    def _give_back(self) -> None:
        for device in self._devices:
            device.close()

    def _edge(self, _ticks: object, _state: object) -> None:
        """In the driver's thread."""
        self._wake.set()

    def _run(self) -> None:
        closed: frozenset[Crossing] = frozenset()
        failing = False
        while not self._end.is_set():
            self._began_s = time.monotonic()
            try:
                if not closed:
                    self._rest()
                closed = self._look(closed)
                if failing:
                    failing = False
                    self._failed(None)
            except Exception as error:
                # drivers raise what they like
                if not failing:
                    failing = True
                    self._failed(error)
                self._end.wait(_RETRY_S)

    def _rest(self) -> None:
        """Wait until some key is closed."""
        self._wake.clear()
        for column in self._columns:
            column.pin.output_with_state(0)
        # looked at after the clearing: what comes from here on wakes the thread
        closed = self._held is not None or any(row.pin.state == 0 for row in self._rows)
        if not closed and not self._end.is_set():
            self._began_s = None
            self._wake.wait()
            self._began_s = time.monotonic()

    def _look(self, before: frozenset[Crossing]) -> frozenset[Crossing]:
        """Look once, tell what has changed, and wait a little while a key is closed."""
        if self._end.is_set():
            return before
        at_s = time.monotonic()
        closed = believed(before, self._scan())
        if closed != before:
            self._changed(at_s, {one: one in closed for one in closed ^ before})
        if closed:
            time.sleep(LOOK_S)
        return closed

    def _scan(self) -> frozenset[Crossing]:
        seen = set[Crossing]() if self._held is None else {self._held}
        for column in self._columns:
            column.pin.function = "input"
        for number, column in enumerate(self._columns):
            column.pin.output_with_state(0)
            seen |= {(at, number) for at, row in enumerate(self._rows) if row.pin.state == 0}
            column.pin.function = "input"
        return frozenset(seen)
