"""The order of starts, also where the kernel begins to count anew."""

from __future__ import annotations

from tests.parts.processes import PID_MAX, in_order_of_start


def test_numbers_rise_until_they_begin_anew() -> None:
    last = int(PID_MAX.read_text())
    assert in_order_of_start([(12, "b"), (10, "a"), (400, "c")]) == ["a", "b", "c"]
    assert in_order_of_start([(302, "d"), (last - 1, "b"), (300, "c"), (last - 9, "a")]) == [
        *"abcd"
    ]
    assert in_order_of_start([]) == []
