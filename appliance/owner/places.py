"""Where the device of this machine keeps what is its own: for who works on it from a terminal.

A daemon that systemd starts has its folders in its environment, who types a command has not.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.addressbook import SYSTEM_FOLDER
from appliance.client import Client, NotAllowed, Unreachable
from appliance.loading.layers import DEFAULT_FILE
from appliance.socket_path import AlreadyRunning, listening_path, only_one
from appliance.state_directory import state_directory

CREDSTORE = Path("/etc/credstore")
"""Where systemd finds the secrets of units; ours begin with `appliance.`"""
IMAGE = "usr/lib/appliance-image"
"""What an image has, and nobody else."""
RUNNING_CREDENTIALS = Path("/run/credentials/appliance.service")
"""Where the running unit is given them."""


@dataclass(frozen=True, slots=True)
class Places:
    """The configuration, the state folder, and where secrets are; `environ` as the daemon has it."""

    file: Path
    state: Path
    environ: Mapping[str, str]
    credstore: Path = CREDSTORE
    root: Path = Path("/")
    """What is the system's lies below it: units, programs."""

    @property
    def drop_ins(self) -> Path:
        """`conf.d` beside the configuration."""
        return self.file.parent / "conf.d"

    @property
    def units(self) -> Path:
        """Where an owner has units, and drop-ins of those that are installed."""
        return self.root / "etc" / "systemd" / "system"

    @property
    def is_image(self) -> bool:
        """Whether the system is one that is only read, and only its data are the owner's."""
        return (self.root / IMAGE).is_dir()

    def stored(self) -> list[Path]:
        """This device's files in systemd's store of secrets, as far as this user may look."""
        try:
            return sorted(self.credstore.glob("appliance.*"))
        except OSError:
            return []


@contextlib.contextmanager
def stopped(here: Places) -> Iterator[None]:
    """No appliance runs, and none begins to meanwhile; raises AlreadyRunning.

    The one that systemd starts has another socket than who types a command would have.
    """
    if _runs(here.environ):
        raise AlreadyRunning("an appliance is running: sudo systemctl stop appliance first")
    with only_one(listening_path(here.environ)):
        yield


def _runs(environ: Mapping[str, str]) -> bool:
    try:
        with Client(environ, 1.0):
            return True
    except NotAllowed:
        return True
    except Unreachable:
        return False


def places(
    file: Path | None,
    environ: Mapping[str, str] = os.environ,
    *,
    system: Path | None = None,
    credentials: Path | None = None,
    credstore: Path = CREDSTORE,
    root: Path = Path("/"),
) -> Places:
    """Those of the daemon with this environment, else of the one that systemd starts."""
    system, credentials = system or SYSTEM_FOLDER, credentials or RUNNING_CREDENTIALS
    state = state_directory(environ)
    said = "STATE_DIRECTORY" in environ or "XDG_STATE_HOME" in environ
    if not said and not state.exists() and _exists(system):
        state = system
    known = {**environ, "STATE_DIRECTORY": str(state)}
    if "CREDENTIALS_DIRECTORY" not in known and _exists(credentials):
        known["CREDENTIALS_DIRECTORY"] = str(credentials)
    return Places(file or DEFAULT_FILE, state, known, credstore, root)


def beside_the_daemon(file: Path | None, environ: Mapping[str, str]) -> Mapping[str, str]:
    """In which environment the configuration in `file` is looked at by who types a command.

    That of the daemon which systemd starts, where it is about that one's configuration (None, or its
    path) and this user may look into its folder; else the user's own.
    """
    if file not in (None, DEFAULT_FILE):
        return environ
    found = places(None, environ)
    return found.environ if os.access(found.state, os.R_OK | os.X_OK) else environ


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
