"""Keys at crossings: what is seen, what is believed, and wires that are never shorted."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.panel.matrix import Crossing, Matrix, believed, is_ambiguous
from tests.panel.crossings import Crossings

ROWS, COLUMNS = [5, 6, 13, 19], [12, 16, 20]
PATIENCE_S = 20.0
keys = st.frozensets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8)


def seen_of(closed: frozenset[Crossing]) -> frozenset[Crossing]:
    """What a matrix without diodes looks like: every way round counts."""
    seen = set(closed)
    while True:
        ghosts = {
            (row, column)
            for (row, other), (middle, over), (below, column) in product(seen, repeat=3)
            if other == over and middle == below
        } - seen
        if not ghosts:
            return frozenset(seen)
        seen |= ghosts


@given(keys, keys)
def test_no_ghost_is_ever_believed(
    before: frozenset[Crossing], closed: frozenset[Crossing]
) -> None:
    """Of keys that were believed rightly, and any that are closed now."""
    found = believed(before & closed, seen_of(closed))
    assert found <= closed
    if not is_ambiguous(seen_of(closed)):
        assert found == closed


def test_two_keys_are_never_ambiguous_and_three_corners_are() -> None:
    assert not is_ambiguous({(0, 0), (0, 1)})
    assert not is_ambiguous({(0, 0), (1, 1)})
    assert not is_ambiguous({(0, 0), (0, 1), (0, 2)})
    assert is_ambiguous(seen_of(frozenset({(0, 0), (0, 1), (1, 0)})))


class Bench:
    """A matrix with its wires, and what it told."""

    def __init__(self) -> None:
        self.pins = Crossings(ROWS, COLUMNS)
        self.told: queue.Queue[Mapping[Crossing, bool]] = queue.Queue()
        self.faults: queue.Queue[Exception | None] = queue.Queue()
        self.matrix = Matrix(
            ROWS,
            COLUMNS,
            factory=self.pins,
            changed=lambda _, changes: self.told.put(changes),
            failed=self.faults.put,
        )

    def next(self) -> Mapping[Crossing, bool]:
        return self.told.get(timeout=PATIENCE_S)


@pytest.fixture
def bench() -> Iterator[Bench]:
    one = Bench()
    yield one
    one.matrix.release()
    assert not one.pins.shorted
    assert {pin.function for pin in one.pins.pins.values()} == {"input"}


@pytest.mark.parametrize("crossing", list(product(range(4), range(3))))
def test_each_key_is_found_where_it_is(crossing: Crossing, bench: Bench) -> None:
    for _ in range(2):
        bench.pins.close_keys(crossing)
        assert bench.next() == {crossing: True}
        bench.pins.close_keys()
        assert bench.next() == {crossing: False}


def test_two_keys_at_once_are_both_found_and_short_nothing(bench: Bench) -> None:
    bench.pins.close_keys((1, 0))
    assert bench.next() == {(1, 0): True}
    bench.pins.close_keys((1, 0), (1, 2))
    assert bench.next() == {(1, 2): True}
    bench.pins.close_keys((1, 2))
    assert bench.next() == {(1, 0): False}


def test_a_ghost_is_not_told_nor_what_made_it(bench: Bench) -> None:
    bench.pins.close_keys((0, 0), (0, 1))
    assert dict(bench.next()) == {(0, 0): True, (0, 1): True}
    bench.pins.close_keys((0, 0), (0, 1), (1, 0))
    bench.pins.close_keys((1, 0))
    told: dict[Crossing, bool] = {}
    while told != {(0, 0): False, (0, 1): False, (1, 0): True}:
        told |= bench.next()
        assert told.get((1, 1)) is None


def test_a_driver_that_fails_is_told_once_and_read_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = threading.Event()
    scan = bench.matrix._scan

    def failing() -> Any:
        if broken.is_set():
            raise OSError("gone")
        return scan()

    monkeypatch.setattr(bench.matrix, "_scan", failing)
    monkeypatch.setattr("appliance.panel.matrix._RETRY_S", 0.01)
    broken.set()
    bench.pins.close_keys((0, 0))
    assert str(bench.faults.get(timeout=PATIENCE_S)) == "gone"
    broken.clear()
    assert bench.faults.get(timeout=PATIENCE_S) is None
    assert bench.next() == {(0, 0): True}
    assert bench.faults.empty()


def test_pins_that_cannot_be_had_are_given_back() -> None:
    pins = Crossings(ROWS, COLUMNS)
    for _ in range(2):
        with pytest.raises(Exception, match="GPIO99"):
            Matrix(ROWS, ["GPIO99"], factory=pins, changed=lambda *_: None, failed=lambda _: None)
