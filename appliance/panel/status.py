"""What a panel shows and senses, read from its pins."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal, Protocol, TypedDict, TypeVar

from appliance.panel.door import RelayState
from appliance.panel.inputs import InputState

log = logging.getLogger(__name__)


class LedStatus(TypedDict):
    """An LED: the pattern it shows, and whether there is light; None where it has failed."""

    pattern: str | None
    lit: bool | None


class PanelStatus(TypedDict):
    """The whole panel, read from its pins; what has failed, or is closed, is None."""

    leds: dict[str, LedStatus]
    relays: dict[str, RelayState | None]
    inputs: dict[str, InputState | None]
    chime: Literal["playing", "silent"]
    sounds: list[str]
    """What plays, by name."""
    notice: str | None
    """What the visitor is told."""


class Lamp(Protocol):
    """What there is to be told of any LED."""

    @property
    def pattern(self) -> str:
        """What it shows."""

    @property
    def lit(self) -> bool:
        """Whether there is light."""


Part = TypeVar("Part")
Read = TypeVar("Read")


def led_status(led: Lamp | None) -> LedStatus:
    """An LED, as its pin is."""
    return {
        "pattern": read_part(led, lambda it: it.pattern),
        "lit": read_part(led, lambda it: it.lit),
    }


def read_part(part: Part | None, read: Callable[[Part], Read]) -> Read | None:
    """What a part's pin says; None where it has none, or its driver has lost it."""
    if part is None:
        return None
    try:
        return read(part)
    except Exception:
        log.exception("A pin of the panel cannot be read")
        return None
