"""Reaching for pins until there are any: at the start a driver or its node may not be there yet.

udev may still be at work, an expander may be plugged in later. A name that gpiozero does not know is a
fault of the configuration, and stays one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from appliance.aside import aside
from appliance.calls.inputs import FaultCleared, FaultReported, Input
from appliance.panel.pins import PinFactory, PinsUnavailableError, UnknownFactoryError

log = logging.getLogger(__name__)

WHERE = "panel.pin_factory"
RETRY_S = 3.0
"""How soon it is tried again at first: each wait is twice the last one,"""
LONGEST_S = 60.0
"""up to this. An attempt asks several drivers, of which most will never be there."""


class Reaching:
    """The pins of one board, opened by `open_pins`, which blocks and raises PinsUnavailableError."""

    def __init__(self, open_pins: Callable[[], PinFactory], post: Callable[[Input], None]) -> None:
        """Nothing is opened yet."""
        self._open_pins, self._post = open_pins, post
        self._told: str | None = None
        self.hopeless = False
        """Whether trying again is of no use."""

    def try_once(self) -> PinFactory | None:
        """The pins; where they cannot be had that is told, and None."""
        try:
            return self._open_pins()
        except PinsUnavailableError as error:
            self._fail(error)
            return None

    async def keep_trying(self) -> PinFactory:
        """The pins, as soon as they can be had, which is told. In a thread: a driver may hang."""
        for wait_s in waits_s():
            await asyncio.sleep(wait_s)
            try:
                pins = await aside(self._open_pins, "reach for pins")
            except PinsUnavailableError as error:
                self._fail(error)
            except Exception as error:  # drivers raise what they like
                self._fail(PinsUnavailableError(f"No pins can be reached ({error!r})"))
            else:
                log.info("pins are reached at last")
                self._post(FaultCleared(WHERE))
                return pins
        raise AssertionError  # pragma: no cover - the waits have no end

    def _fail(self, error: PinsUnavailableError) -> None:
        self.hopeless = isinstance(error, UnknownFactoryError)
        if str(error) != self._told:
            self._told = str(error)
            self._post(FaultReported(error.code, f"{error}.", where=WHERE))


def waits_s() -> Iterator[float]:
    """How long to wait before each further attempt."""
    wait_s = RETRY_S
    while True:
        yield wait_s
        wait_s = min(2 * wait_s, LONGEST_S)
