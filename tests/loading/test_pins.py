"""Our reading of pin names is gpiozero's own, for every name of the 40-pin header."""

from __future__ import annotations

import pytest
from gpiozero.pins.pi import PiBoardInfo

from appliance.loading.pins import gpio

BOARDS = {"3B": 0xA02082, "4B": 0xC03111, "5B": 0xC04170}


@pytest.mark.parametrize("board", BOARDS)
def test_every_name_of_every_pin_means_the_same(board: str) -> None:
    header = PiBoardInfo.from_revision(BOARDS[board]).headers["J8"]
    seen = 0
    for pin in header.pins.values():
        expected = int(pin.name.removeprefix("GPIO")) if "gpio" in pin.interfaces else None
        for name in pin.names:
            assert gpio(name) == expected, name
            seen += expected is not None
    assert seen == 28 * 7


@pytest.mark.parametrize(
    "name", ["", "GPIO28", "GPIO", "J8:1", "BOARD41", "WPI17", "x17", -1, 28, "LED"]
)
def test_what_is_no_pin_is_none(name: str | int) -> None:
    assert gpio(name) is None
