"""What is built once and kept: a file for each thing, named after all that it is made of."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PLACE = Path(__file__).parent
ROOT = PLACE.parents[1]
"""The project's own folder."""

WHO = "lab"
"""Whose program it is that builds, for whoever reads what it says."""

KEPT = 4
"""How many versions of one thing are kept: branches that differ take turns."""


class CannotBuildHere(Exception):
    """This machine has not, or does not allow, what the lab is built with; the sentence says what."""


def folder() -> Path:
    """Where it is kept: outside of the project, so that a fresh clone finds it."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "appliance-lab"


def digest(*parts: str | bytes) -> str:
    """A name for what has these parts."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()[:16]


class Item:
    """One thing that is kept: `make` writes it into the file that it is given, in a folder of its own."""

    def __init__(self, name: str, what: str, takes: str, key: str, kept: int = KEPT) -> None:
        """`what` it is and how long it `takes` to build, for whoever waits for it; how many are `kept`."""
        self.name, self.what, self.takes, self.kept = name, what, takes, kept
        self.path = folder() / f"{name}-{key}"

    @property
    def is_there(self) -> bool:
        """Whether it has been built."""
        return self.path.exists()

    def get(self, make: Callable[[Path, Path], None]) -> Path:
        """The file, built now where it has to be: `make(file, room)`. Raises what `make` does."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self.path.parent / f"{self.name}.lock"):
            if not self.is_there:
                say(f"{self.what}: to be built, once ({self.takes})")
                began = time.monotonic()
                with tempfile.TemporaryDirectory(dir=self.path.parent, prefix="making-") as made:
                    room = Path(made)
                    make(room / "made", room)
                    (room / "made").rename(self.path)
                size = self.path.stat().st_size / 1e6
                say(f"{self.what}: built in {time.monotonic() - began:.0f} s, {size:.0f} MB")
            self.path.touch()
            self._forget_old()
        return self.path

    def _forget_old(self) -> None:
        versions = self.path.parent.glob(f"{self.name}-*")
        for old in sorted(versions, key=lambda one: one.stat().st_mtime, reverse=True)[self.kept :]:
            old.unlink()


def say(words: str) -> None:
    """Tell whoever waits."""
    sys.stderr.write(f"{WHO}: {words}\n")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While nobody else builds the same."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"somebody else builds it ({path.stem}); waiting for them")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
