"""A contact on a pin: its edges are stamped in gpiozero's thread and read on the loop.

This is the one place where an input's thread hands over. What the edges mean is a `Reader`'s to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from gpiozero import DigitalInputDevice

from appliance.panel.pins import PinFactory

Told = TypeVar("Told")
Told_co = TypeVar("Told_co", covariant=True)


class Reader(Protocol[Told_co]):
    """Makes something of edges: pure, in seconds of the loop's clock."""

    @property
    def deadline_s(self) -> float | None:
        """When `tick` is next to be called; None: not before another edge."""

    def edge(self, at_s: float, *, closed: bool) -> Sequence[Told_co]:
        """Take an edge to the level `closed`; what it brought about."""

    def tick(self, now_s: float) -> Sequence[Told_co]:
        """What the time that has passed brought about."""


class Contact(Generic[Told]):
    """One contact, closed while the pin is at the level that `pull` keeps it from.

    What its reader makes of it goes to `tell`, on the loop.
    """

    def __init__(
        self,
        pin: str | int,
        make_reader: Callable[[bool], Reader[Told]],
        tell: Callable[[Told], None],
        *,
        pull_up: bool,
        factory: PinFactory,
        simulate_closed: bool = False,
    ) -> None:
        """Claim `pin`, and read it with what `make_reader` makes of its present level.

        `simulate_closed` closes a mock pin's contact first. Raises what gpiozero or its driver
        raises. Call on the running loop.
        """
        self._loop = asyncio.get_running_loop()
        self._tell = tell
        self._alarm: asyncio.TimerHandle | None = None
        # no bounce_time: mock pins ignore it, and we want each edge's own time
        self._device = DigitalInputDevice(pin, pull_up=pull_up, pin_factory=factory)
        if simulate_closed:
            move(self._device.pin, pull_up=pull_up, closed=True)
        self._device.when_activated = self._closed
        self._device.when_deactivated = self._opened
        # read after the handlers are in place: an edge in between is then seen, at worst twice
        self._reader = make_reader(self._device.is_active)

    @property
    def closed(self) -> bool:
        """Whether the contact is closed at this moment, chatter or not."""
        return bool(self._device.is_active)

    def move(self, *, closed: bool) -> None:
        """Close or open the contact of a mock pin, as a finger would; nothing once given back."""
        if not self._device.closed:
            move(self._device.pin, pull_up=bool(self._device.pull_up), closed=closed)

    def release(self) -> None:
        """Give the pin back; nothing is told afterwards."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._device.close()

    def _closed(self) -> None:
        self._hand_over(closed=True)

    def _opened(self) -> None:
        self._hand_over(closed=False)

    def _hand_over(self, *, closed: bool) -> None:
        """Leave gpiozero's thread, with the time that the edge was seen there."""
        self._loop.call_soon_threadsafe(self._edge, self._loop.time(), closed)

    def _edge(self, at_s: float, closed: bool) -> None:
        if not self._device.closed:
            self._pass_on(self._reader.edge(at_s, closed=closed))

    def _tick(self, due_s: float) -> None:
        # a timer may be early by the clock's resolution
        self._pass_on(self._reader.tick(max(due_s, self._loop.time())))

    def _pass_on(self, told: Sequence[Told]) -> None:
        """Tell what was read, after setting the alarm for what comes next."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if (due_s := self._reader.deadline_s) is not None:
            self._alarm = self._loop.call_at(due_s, self._tick, due_s)
        for it in told:
            self._tell(it)


def move(pin: PinFactory, *, pull_up: bool, closed: bool) -> None:
    """Drive a mock pin to the level of its contact."""
    if closed == pull_up:
        pin.drive_low()
    else:
        pin.drive_high()
