"""Claiming pins: each part by itself, so that one whose pin cannot be had is reported and left out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Protocol, TypeVar

from appliance import config
from appliance.calls.inputs import FaultReported, Input
from appliance.panel.pins import PinFactory

log = logging.getLogger(__name__)


class _Releasable(Protocol):
    def release(self) -> None:
        """Give the pins back."""


Part = TypeVar("Part", bound=_Releasable)
Section = TypeVar("Section")


class Claims:
    """What is claimed of some pins (None: there are none) is given back with `stack`."""

    def __init__(
        self, pins: PinFactory | None, stack: AsyncExitStack, post: Callable[[Input], None]
    ) -> None:
        """Nothing is claimed yet."""
        self._pins, self._stack, self._post = pins, stack, post

    def all(
        self,
        kind: str,
        sections: Mapping[str, Section],
        make: Callable[[str, Section, PinFactory], Part],
    ) -> dict[str, Part | None]:
        """Make the parts of a kind; None for those whose pin cannot be had, which are reported."""
        parts: dict[str, Part | None] = dict.fromkeys(sections)
        if self._pins is None:
            return parts
        for name, section in sections.items():
            where = f"{kind}.{name}"
            try:
                part = parts[name] = make(name, section, self._pins)
            except Exception as error:
                # gpiozero and each driver have errors of their own, plain Exceptions among them
                failed(self._post, where, _pins_of(section), error)
            else:
                self._stack.callback(give_back, where, part.release)
        return parts


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
