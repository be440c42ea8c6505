"""Claiming pins: each part by itself, so that one whose pin cannot be had is reported and left out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Protocol, TypeVar

from gpiozero import GPIOZeroError

from appliance import config
from appliance.calls.inputs import FaultCleared, FaultReported, Input
from appliance.panel.pins import PinFactory

log = logging.getLogger(__name__)

RETRY_S = 3.0
"""How soon a pin that could not be had is claimed again."""


class _Releasable(Protocol):
    def release(self) -> None:
        """Give the pins back."""


Part = TypeVar("Part", bound=_Releasable)
Section = TypeVar("Section")


class Claims:
    """What is claimed is given back with `stack`. While there are no pins the parts wait for them."""

    def __init__(
        self,
        stack: AsyncExitStack,
        post: Callable[[Input], None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """Nothing is claimed yet. To be made on the loop. `changed`: a part has come late."""
        self._stack, self._post, self._changed = stack, post, changed
        self._pins: PinFactory | None = None
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Callable[[PinFactory], None]] = []
        """What is claimed as soon as there are pins, in this order."""
        self._again: dict[str, asyncio.TimerHandle] = {}
        """Parts whose pin could not be had, and when they are tried again."""
        stack.callback(self._give_up)

    def _give_up(self) -> None:
        for alarm in self._again.values():
            alarm.cancel()

    def use(self, pins: PinFactory) -> None:
        """These there are from now on; what waits for them is claimed."""
        self._pins = pins
        waiting, self._waiting = self._waiting, []
        for claim in waiting:
            claim(pins)
        if waiting:
            self._changed()

    def all(
        self,
        kind: str,
        sections: Mapping[str, Section],
        make: Callable[[str, Section, PinFactory], Part],
    ) -> dict[str, Part | None]:
        """Make the parts of a kind; None for those whose pin cannot be had, which are reported, and
        for all until there are pins. What comes later is put into what is returned.
        """
        parts: dict[str, Part | None] = dict.fromkeys(sections)

        def claim_all(pins: PinFactory) -> None:
            for name, section in sections.items():

                def claim(name: str = name, section: Section = section) -> Part:
                    part = parts[name] = make(name, section, pins)
                    return part

                self._take(f"{kind}.{name}", _pins_of(section), claim)

        if self._pins is None:
            self._waiting.append(claim_all)
        else:
            claim_all(self._pins)
        return parts

    def _take(self, where: str, pin: object, claim: Callable[[], Part], told: str = "") -> None:
        """Claim one part; what another program has, or a chip that does not answer, is tried again.

        `told` is the fault that has been reported so far.
        """
        try:
            part = claim()
        except Exception as error:
            # gpiozero and each driver have errors of their own, plain Exceptions among them
            if str(error) != told:
                failed(self._post, where, pin, error)
            if not isinstance(error, ValueError | GPIOZeroError):  # those are of the configuration
                self._again[where] = self._loop.call_later(
                    RETRY_S, self._take, where, pin, claim, str(error)
                )
            return
        self._stack.callback(give_back, where, part.release)
        if told:
            self._post(FaultCleared(where))
            self._changed()


def failed(post: Callable[[Input], None], where: str, pin: object, error: Exception) -> None:
    """Report a part that cannot use its pin, or its pins."""
    why = str(error).rstrip(".") or type(error).__name__
    sentence = f"{where}: pin {pin} cannot be used: {why}."
    post(FaultReported("pin_unavailable", sentence, where=where))


def give_back(where: str, release: Callable[[], None]) -> None:
    """Let one part go; its driver's fault must not keep the others from being let go."""
    try:
        release()
    except Exception:
        log.exception("%s was not given back cleanly", where)


def _pins_of(section: object) -> object:
    """The pins of a section, for a sentence."""
    match section:
        case config.Keypad(rows=rows, columns=columns):
            return ", ".join(str(pin) for pin in (*rows, *columns))
        case str() | int():
            return section
        case _:
            return getattr(section, "pin", None)
