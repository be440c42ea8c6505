"""Watched lines: which was pressed, which was at ground all the time, and which nobody may watch."""

from __future__ import annotations

import select
from collections.abc import Sequence

from gpiozero import LED
from gpiozero.pins.mock import MockFactory, MockPin

from appliance.config import Button, Config, Keypad
from appliance.owner.learning import free_lines, users, watched
from appliance.service.doctor.device_files import Chip


class Board:
    """A machine of which only the lines are known."""

    def __init__(self, *chips: Chip) -> None:
        self._chips = chips

    def gpio_chips(self) -> Sequence[Chip]:
        return self._chips


def test_watched_are_buttons_and_what_neither_the_configuration_nor_the_kernel_has() -> None:
    config = Config(
        buttons={
            "call": Button(pin="BOARD11"),
            "to_plus": Button(pin=23, pull="down"),
            "opening": Button(pin=24, active_high=True),
            "handset": Button(pin=25, kind="hook"),
        },
        keypads={"front": Keypad(rows=(5,), columns=("GPIO6",), keys=("1",))},
    )
    board = Board(
        Chip("/dev/gpiochip0", "pinctrl-bcm2711", 58, {2: "i2c", 3: "i2c"}),
        Chip("x", "other", 8, {22: "x"}),
    )
    free = free_lines(config, board)  # type: ignore[arg-type]
    assert not {0, 1, 2, 3, 5, 6, 23, 24, 25} & set(free)
    assert {4, 17, 22, 27} < set(free)
    assert users(config, board) | {5: "-", 6: "-"} == {  # type: ignore[arg-type]
        2: "i2c", 3: "i2c", 5: "-", 6: "-", 17: "buttons.call", 23: "buttons.to_plus",
        24: "buttons.opening", 25: "buttons.handset",
    }  # fmt: skip


def test_a_line_that_is_drawn_to_ground_is_known_and_one_that_only_sparks_is_not() -> None:
    factory = MockFactory()
    with watched(factory, [17, 22, 23]) as lines:
        assert lines.numbers == [17, 22, 23]
        assert lines.pressed() is None
        factory.pin(22).drive_low()
        assert select.select([lines.waker], [], [], 30)[0]
        assert lines.pressed() == [22]
        assert lines.pressed() is None, "it is told once"
        factory.pin(22).drive_high()
        factory.pin(17).drive_low()
        factory.pin(17).drive_high()
        assert lines.pressed() is None
    factory.close()


def test_what_is_at_ground_already_is_told_and_not_taken_for_a_press() -> None:
    class Grounded(MockPin):  # type: ignore[misc] # gpiozero has no types
        def _set_pull(self, value: str) -> None:
            """Nothing pulls it up: it is connected to ground."""
            self._pull = value

    factory = MockFactory(pin_class=Grounded)
    with watched(factory, [17, 22]) as lines:
        assert lines.stuck == {17, 22}
        factory.pin(17).drive_high()
        factory.pin(17).drive_low()
        assert lines.pressed() is None
    factory.close()


def test_a_line_that_somebody_has_is_left_out_and_all_are_given_back() -> None:
    factory = MockFactory()
    taken = LED(17, pin_factory=factory)
    with watched(factory, [17, 22]) as lines:
        assert lines.numbers == [22]
    taken.close()
    with watched(factory, [17, 22]) as lines:
        assert lines.numbers == [17, 22]
    factory.close()
