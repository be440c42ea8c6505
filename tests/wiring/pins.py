"""Which pins the documented configuration has wired, the examples that are commented out in it too."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

from gpiozero import PiBoardInfo

from appliance.reference.documented import parts

CONFIGURATION = Path(__file__).parents[2] / "config" / "appliance.toml"
PI_4 = 0xC03111
"""A revision code; every Pi with 40 pins has the same ones."""


@cache
def documented() -> dict[str, tuple[str, ...]]:
    """By `buttons.call`, `panel.buzzer`, `keypads.front.rows`: `GPIO17` for each pin, in order."""
    found: dict[str, tuple[str, ...]] = {}
    table = ""
    for part in parts(CONFIGURATION.read_text(encoding="utf-8").splitlines()):
        if part.kind == "table":
            table = part.title.strip("[]")
        elif part.kind == "key" and (key := part.title.split(" = ")[0]) in (
            "pin",
            "rows",
            "columns",
            "buzzer",
        ):
            value = tomllib.loads(part.title)[key]
            name = table if key == "pin" else f"{table}.{key}"
            found.setdefault(name, tuple(value) if isinstance(value, list) else (value,))
    return found


def pin(name: str) -> tuple[str, int]:
    """The one pin of a part, and its number on the board."""
    [only] = documented()[name]
    return only, number(only)


def pins(name: str) -> list[tuple[str, int]]:
    """The pins of a keypad's rows or columns, likewise."""
    return [(each, number(each)) for each in documented()[name]]


def number(name: str) -> int:
    """Which of the 40 pins a name is. Raises ValueError for one that a Pi does not have once."""
    board = PiBoardInfo.from_revision(PI_4)
    [(_, found)] = board.find_pin(name)
    return int(found.number)
