"""TOML of whoever wrote it: read, or refused with a sentence, whatever it says.

Python's own reader raises more than its error: for a number in thousands of digits, and for what is nested
too deep. And it takes what none can show, a long number in hexadecimal, or follow, a key of thousands of
parts.
"""

from __future__ import annotations

import tomllib
from typing import Any

MAX_DEPTH = 50
"""Tables and lists within one another; the configuration has five."""
LEAST, MOST = -(2**63), 2**63 - 1
"""What TOML asks a reader to take of whole numbers (toml.io, v1.0.0, Integer)."""


class NoToml(ValueError):
    """Its text goes on after the name of the file: `is not TOML: ...`."""


def parsed(text: str) -> dict[str, Any]:
    """What it says. Raises NoToml."""
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise NoToml("is nested too deep") from None
    except tomllib.TOMLDecodeError as error:
        raise NoToml(f"is not TOML: {error}") from None
    except ValueError:  # int()'s own, of more digits than it takes
        raise NoToml("has a number that is too long") from None
    _check(values)
    return values


def _check(values: dict[str, Any]) -> None:
    """Level by level, since what has no end of them is what is looked for. Raises NoToml."""
    level: list[Any] = [values]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner += one.values()
            elif isinstance(one, list):
                inner += one
            elif isinstance(one, int) and not LEAST <= one <= MOST:
                raise NoToml("has a number that is too long")
        level = inner
        if not level:
            return
    raise NoToml("is nested too deep")
