"""What reading a configuration finds: faults, which stop the daemon, and warnings, which do not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from appliance.config import Config
from appliance.errors import did_you_mean

Path = tuple[str | int, ...]
"""Where a value stands: `("contacts", "alice", "may", 1)`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence about the value at `path`; empty where it is about the file itself."""

    path: Path
    sentence: str
    warning: bool = False


Check = Callable[[Config], Iterable[Finding]]
"""Looks at a configuration as a whole; `config.load` takes those of the edges beside our own."""


def spelled(path: Path) -> str:
    """A path as the file's author would write it: `contacts.alice.may[1]`."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            bare = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"'
            words += f".{bare}" if words else bare
    return words


def one_of(path: Path, name: str, names: Any, noun: str = "") -> Iterator[Finding]:
    """A finding where a name is none of those that there are, with the nearest."""
    if name not in names:
        near = did_you_mean(name, names)
        if noun:
            yield Finding(path, f"{name} is no {noun}{near}")
        else:
            yield Finding(path, f"{name} is not one of {', '.join(names)}{near}")
