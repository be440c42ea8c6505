"""The jumper wires of the contract on a Pi, played on mock pins of which each two are joined."""

from __future__ import annotations

from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from tests.panel.test_on_a_pi import WIRES, JumperWires

TWO = (17, 27)
"""The first of them, which are enough to begin."""


class JoinedPin(MockPin):  # type: ignore[misc]
    """Whatever is done at one end of a wire, both are at one level then."""

    def _set_function(self, value: str) -> None:
        super()._set_function(value)
        self.factory.settle(self)

    def _set_pull(self, value: str) -> None:
        super()._set_pull(value)
        self.factory.settle(self)

    def _set_state(self, value: float) -> None:
        super()._set_state(value)
        self.factory.settle(self)


class Joined(MockFactory):  # type: ignore[misc]
    """Pins of which some are joined; what nobody drives or pulls is high, as what was pulled up before."""

    def __init__(self, *wires: int) -> None:
        super().__init__(pin_class=JoinedPin)
        self._ends = {f"GPIO{pin}": f"GPIO{WIRES[pin]}" for pin in wires}
        self._ends |= {there: here for here, there in self._ends.items()}

    def settle(self, pin: Any) -> None:
        names = {pin.info.name, self._ends.get(pin.info.name)}
        ends = [one for one in self.pins.values() if one.info.name in names]
        driving = [one for one in ends if one.function == "output"]
        assert len(driving) < 2, f"{driving} are short-circuited"
        pulls = {one.pull for one in ends}
        high = driving[0].state if driving else "up" in pulls or "down" not in pulls
        for one in ends:
            if one.function == "input" and len(ends) > 1:
                one.drive_high() if high else one.drive_low()


def test_which_wires_are_there_is_found_and_the_others_are_not_needed() -> None:
    wires = JumperWires(Joined(*TWO))
    for pin in WIRES:
        if pin in TWO:
            wires.to_ground(pin)
            wires.let_go(pin)
        else:
            with pytest.raises(pytest.skip.Exception, match=f"no wire leads from GPIO{pin} to"):
                wires.to_ground(pin)


def test_a_finger_grounds_a_button_and_lets_it_go() -> None:
    wires = JumperWires(factory := Joined(*TWO))
    button = factory.pin(17)
    button.input_with_pull("up")
    wires.to_ground(17)
    assert not button.state
    wires.let_go(17)
    assert button.state


@pytest.mark.parametrize("level", [True, False])
def test_what_the_board_drives_is_seen_at_the_other_end(level: bool) -> None:
    wires = JumperWires(factory := Joined(*TWO))
    assert wires.high(27) is None, "nothing drives it"
    wires.let_go(27)
    factory.pin(27).output_with_state(level)
    assert wires.high(27) is level


@pytest.mark.parametrize("there", [TWO, TWO[1:], ()])
def test_the_last_change_is_waited_for_where_there_is_a_wire(there: tuple[int, ...]) -> None:
    wires = JumperWires(factory := Joined(*there))
    wires.have_told_all()
    assert {pin.function for pin in factory.pins.values()} <= {"input"}
