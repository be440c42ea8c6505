"""A contact on a pin: its edges are stamped in gpiozero's thread and read on the loop.

This is the one place where an input's thread hands over. What the edges mean is a `Reader`'s to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from gpiozero import DigitalInputDevice

from appliance.config import Pull
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


@dataclass(frozen=True, slots=True)
class Wiring:
    """How a contact is connected: the pull resistor, and the level that means that it is closed."""

    pull: Pull
    active_high: bool

    @classmethod
    def of(cls, pull: Pull, active_high: bool | None) -> Wiring:
        """With the level from which `pull` keeps the pin, unless another is said.

        Raises ValueError where nothing keeps it from any, and none is said.
        """
        if active_high is None and pull == "none":
            raise ValueError('pull = "none" wants active_high: nothing else says what is closed')
        return cls(pull, pull == "down" if active_high is None else active_high)


UP = Wiring("up", active_high=False)
"""The contact connects the pin to ground."""


class Reading(Generic[Told]):
    """A reader on the loop: it is given edges, and woken at its deadlines."""

    def __init__(self, reader: Reader[Told], tell: Callable[[Told], None]) -> None:
        """What the reader finds goes to `tell`."""
        self._loop = asyncio.get_running_loop()
        self._reader, self._tell = reader, tell
        self._alarm: asyncio.TimerHandle | None = None
        self._pass_on(())

    def edge(self, at_s: float, *, closed: bool) -> None:
        """Take an edge."""
        self._pass_on(self._reader.edge(at_s, closed=closed))

    def stop(self) -> None:
        """Tell nothing any more."""
        if self._alarm is not None:
            self._alarm.cancel()

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


class Contact(Generic[Told]):
    """One contact; what its reader makes of it goes to `tell`, on the loop."""

    def __init__(
        self,
        pin: str | int,
        make_reader: Callable[[bool], Reader[Told]],
        tell: Callable[[Told], None],
        *,
        wiring: Wiring,
        factory: PinFactory,
        simulate_closed: bool | None = None,
    ) -> None:
        """Claim `pin`, and read it with what `make_reader` makes of its present level.

        `simulate_closed` closes or opens a mock pin's contact first. Raises what gpiozero or its
        driver raises. Call on the running loop.
        """
        self._loop = asyncio.get_running_loop()
        self._wiring = wiring
        pull_up = {"up": True, "down": False, "none": None}[wiring.pull]
        # no bounce_time: mock pins ignore it, and we want each edge's own time
        self._device = DigitalInputDevice(
            pin,
            pull_up=pull_up,
            active_state=True if pull_up is None else None,
            pin_factory=factory,
        )
        self._inverted = (wiring.pull != "up") != wiring.active_high
        if simulate_closed is not None:
            self.move(closed=simulate_closed)
        self._device.when_activated = self._activated
        self._device.when_deactivated = self._deactivated
        # read after the handlers are in place: an edge in between is then seen, at worst twice
        self._reading = Reading(make_reader(self.closed), tell)

    @property
    def closed(self) -> bool:
        """Whether the contact is closed at this moment, chatter or not."""
        return bool(self._device.is_active) is not self._inverted

    def move(self, *, closed: bool) -> None:
        """Close or open the contact of a mock pin, as a finger would; nothing once given back."""
        if not self._device.closed:
            if closed is self._wiring.active_high:
                self._device.pin.drive_high()
            else:
                self._device.pin.drive_low()

    def release(self) -> None:
        """Give the pin back; nothing is told afterwards."""
        self._reading.stop()
        self._device.close()

    def _activated(self) -> None:
        self._hand_over(closed=not self._inverted)

    def _deactivated(self) -> None:
        self._hand_over(closed=self._inverted)

    def _hand_over(self, *, closed: bool) -> None:
        """Leave gpiozero's thread, with the time that the edge was seen there."""
        self._loop.call_soon_threadsafe(self._edge, self._loop.time(), closed)

    def _edge(self, at_s: float, closed: bool) -> None:
        if not self._device.closed:
            self._reading.edge(at_s, closed=closed)
