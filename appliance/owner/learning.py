"""Which line a button is on: all free inputs are watched, and the one that is drawn to ground is it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from gpiozero import DigitalInputDevice, GPIOZeroError

from appliance.config import Config
from appliance.loading.panel import all_pins
from appliance.loading.pins import HEADER, gpio
from appliance.panel.pins import PinFactory
from appliance.service.doctor.machine import Machine

RESERVED = (0, 1)
"""Where a board on top is asked what it is, at every start."""
SETTLES_S = 0.03
"""A press is one when the line is still drawn down so much later: no spark and no crosstalk is."""


def learnable(config: Config) -> dict[str, int]:
    """The buttons that connect a pin to ground when they are pressed, and the GPIO that each is at."""
    return {
        name: number
        for name, button in config.buttons.items()
        if (button.kind, button.pull) == ("button", "up") and not button.active_high
        if (number := gpio(button.pin)) is not None
    }


def users(config: Config, machine: Machine) -> dict[int, str]:
    """Who has which GPIO: the kernel, in its own word, or a part of this configuration (`buttons.call`)."""
    chips = (chip for chip in machine.gpio_chips() if chip.label.startswith("pinctrl-"))
    return {number: user for chip in chips for number, user in chip.users.items()} | {
        number: f"{path[0]}.{path[1]}"
        for path, pin in all_pins(config)
        if (number := gpio(pin)) is not None
    }


def free_lines(config: Config, machine: Machine) -> list[int]:
    """GPIOs of the header that may be a button's: nobody else has them, here or in the kernel."""
    used = {*users(config, machine)} - {*learnable(config).values()}
    return sorted(set(HEADER.values()) - used - set(RESERVED))


class Lines:
    """Watched lines, each pulled up; `waker` can be read whenever something has moved."""

    def __init__(self, waker: int, devices: dict[int, Any]) -> None:
        """Made by `watched`."""
        self.waker = waker
        self._devices = devices
        self.stuck = frozenset(number for number, one in devices.items() if one.is_active)
        """Lines that are at ground already: of no button that one can press."""
        self._moved: set[int] = set()
        self._lock = threading.Lock()

    @property
    def numbers(self) -> list[int]:
        """What is watched."""
        return sorted(self._devices)

    def note(self, number: int) -> None:
        """A line was drawn down; on gpiozero's thread."""
        with self._lock:
            self._moved.add(number)

    def pressed(self) -> list[int] | None:
        """The lines that were drawn down and still are; None where that was nothing. All is forgotten."""
        time.sleep(SETTLES_S)
        with self._lock:
            moved, self._moved = self._moved, set()
        down = sorted(one for one in moved - self.stuck if self._devices[one].is_active)
        return down or None


@contextmanager
def watched(factory: PinFactory, numbers: Iterable[int]) -> Iterator[Lines]:
    """Watch these; those that cannot be claimed are left out."""
    with ExitStack() as stack:
        ours, theirs = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        stack.callback(os.close, ours)
        devices: dict[int, Any] = {}
        for number in numbers:
            try:
                device = DigitalInputDevice(number, pull_up=True, pin_factory=factory)
            except (GPIOZeroError, OSError):
                continue  # another program has it, or it can do no such thing
            except Exception as error:
                if type(error).__module__ != "lgpio":  # it has an error of its own, below no other
                    raise
                continue
            devices[number] = device
            stack.callback(device.close)
        lines = Lines(ours, devices)
        stack.callback(os.close, theirs)  # after what may write to it
        for number, device in devices.items():
            device.when_activated = _telling(lines, number, theirs)
        # closed before the pipe is: gpiozero calls no more when this returns
        stack.callback(lambda: [one.close() for one in devices.values()])
        yield lines


def _telling(lines: Lines, number: int, pipe: int) -> Callable[[], None]:
    """What gpiozero calls; it looks into it, and takes plain functions alone."""

    def moved() -> None:
        lines.note(number)
        with suppress(BlockingIOError):  # somebody who does not look has enough to look at
            os.write(pipe, b".")

    return moved
