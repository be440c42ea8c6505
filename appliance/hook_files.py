"""The files of a hooks folder: which is started for which event, and which may be started at all.

The same answer for the daemon, which starts them, and for `check-config`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from appliance.errors import did_you_mean
from appliance.events import EVENTS

ALL = "all"
"""The name of what is started for every event."""

LEFT_BEHIND = (
    "~",
    ".bak",
    ".swp",
    ".dpkg-old",
    ".dpkg-new",
    ".dpkg-dist",
    ".ucf-old",
    ".md",
    ".txt",
)
"""Endings of what editors and package managers leave, and of what people write: never started."""


class HookFile(Struct, frozen=True):
    """A file for an event; `fault` says why it cannot be started."""

    path: Path
    fault: str | None


def hooks_for(folder: Path, event: str) -> list[HookFile]:
    """What is started for an event: its own files, then those for all, each by name; raises OSError."""
    names = _names(folder)
    own = [name for name in names if _event_of(name) == event]
    everyones = [name for name in names if _event_of(name) == ALL]
    if not own and not everyones:
        return []
    fault = why_not_trusted(folder)
    return [HookFile(folder / name, fault or _why_not(folder / name)) for name in own + everyones]


def findings(folder: Path) -> Iterator[str]:
    """A sentence for everything in the folder that will not be started; raises OSError."""
    if fault := why_not_trusted(folder):
        yield fault
    for name in _names(folder):
        event = _event_of(name)
        if event != ALL and event not in EVENTS:
            yield f"{name} is started for no event{did_you_mean(event, [ALL, *EVENTS])}"
        elif fault := _why_not(folder / name):
            yield fault


def why_not_trusted(path: Path) -> str | None:
    """A sentence if others than root and this user can change it; raises OSError."""
    found = path.stat()
    if found.st_uid not in (0, os.geteuid()):
        return f"{path} belongs to somebody else (user {found.st_uid}), who could change it"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{path} can be changed by others: chmod go-w {path}"
    return None


def _why_not(path: Path) -> str | None:
    try:
        if not path.is_file():
            return f"{path} is no file"
        if fault := why_not_trusted(path):
            return fault
    except OSError as error:
        return f"{path} cannot be looked at: {error.strerror}"
    if not os.access(path, os.X_OK):
        return f"{path} is not executable: chmod +x {path}"
    return None


def _names(folder: Path) -> list[str]:
    return sorted(
        path.name
        for path in folder.iterdir()
        if not path.name.startswith(".") and not path.name.endswith(LEFT_BEHIND)
    )


def _event_of(name: str) -> str:
    return name.partition(".")[0]
