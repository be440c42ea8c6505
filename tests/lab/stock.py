"""What is built once and kept: a file for each thing, named after all that it is made of."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from appliance.whole_file import rename

PLACE = Path(__file__).parent
ROOT = PLACE.parents[1]
"""The project's own folder."""

ROOM = 5_000_000_000
"""What has to be free on a disk, in bytes: a kernel's source and what is made of it, a Debian unpacked."""
leaving = threading.Event()
"""Whoever builds is being ended: nothing is tried once more."""
WHO = "lab"
"""Whose program it is that builds, for whoever reads what it says."""

KEPT = 4
"""How many versions of one thing are kept: branches that differ take turns."""


class CannotBuildHere(Exception):
    """This machine has not, or does not allow, what the lab is built with; the sentence says what."""


class NotAllowedHere(CannotBuildHere):
    """It does not allow it, whatever is installed: nobody can mend that from within it."""


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
        self.log = folder() / f"{name}.log"
        """What was told while it was built last; it stays when that failed."""

    @property
    def is_there(self) -> bool:
        """Whether it has been built."""
        return self.path.exists()

    def get(self, make: Callable[[Path, Path], None]) -> Path:
        """The file, built now where it has to be: `make(file, room)`. Raises what `make` does."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.path)
            return self.path  # and who builds another version just now is not waited for
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self.path.parent / f"{self.name}.lock"):
            if not self.path.exists():
                say(f"{self.what}: to be built, once ({self.takes}; log: {self.log})")
                began = time.monotonic()
                self.log.write_text("")
                self._clear()
                with tempfile.TemporaryDirectory(dir=self.path.parent, prefix=self._making) as made:
                    room = Path(made)
                    make(room / "made", room)
                    _keep(room / "made", self.path)
                size = self.path.stat().st_size / 1e6
                say(f"{self.what}: built in {time.monotonic() - began:.0f} s, {size:.0f} MB")
            self.path.touch()
            self._forget_old()
        return self.path

    @property
    def _making(self) -> str:
        return f"making-{self.name}-"

    def _clear(self) -> None:
        """What somebody was making who was killed, or whose power was lost."""
        for left in self.path.parent.glob(f"{self._making}*"):
            shutil.rmtree(left, ignore_errors=True)

    def _forget_old(self) -> None:
        versions = self.path.parent.glob(f"{self.name}-*")
        for old in sorted(versions, key=lambda one: one.stat().st_mtime, reverse=True)[self.kept :]:
            old.unlink()


def _keep(made: Path, path: Path) -> None:
    """Whatever has that name is whole, whenever power is lost."""
    with made.open("rb") as file:
        os.fsync(file.fileno())
    rename(made, path)


def run(words: Sequence[str | Path], log: Path, cwd: Path | None = None) -> None:
    """Run a program that tells `log` what it does. Raises RuntimeError with the end of what it told."""
    with log.open("a") as told:
        told.write(f"$ {' '.join(map(str, words))}\n")
        told.flush()
        done = subprocess.run(words, cwd=cwd, stdout=told, stderr=told, check=False)
    if done.returncode:
        raise RuntimeError(f"{words[0]} failed ({done.returncode}):\n{end_of(log)}")


def end_of(log: Path) -> str:
    """What went wrong is told at the end."""
    return f"{log.read_text(errors='replace')[-4000:].strip()}\n(all of it: {log})"


def enough(place: Path) -> None:
    """Raises CannotBuildHere where there is too little room."""
    if (there := free(place)) < ROOM:
        few, many = there / 1e9, ROOM / 1e9
        raise CannotBuildHere(f"{few:.1f} GB are free in {place}, and {many:.0f} are needed")


def free(place: Path) -> int:
    """How many bytes are free there."""
    return shutil.disk_usage(place).free


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
