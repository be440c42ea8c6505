"""Where the local socket lies: the same rule for the daemon that listens and for who connects."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from appliance.errors import ApplianceError

FILE = "appliance.sock"
SYSTEM_FILE = Path("/run/appliance") / FILE
"""Where the daemon listens that systemd started (`RuntimeDirectory=appliance`)."""


def listening_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where a daemon with this environment listens.

    `$APPLIANCE_SOCKET`, else `appliance.sock` in `$RUNTIME_DIRECTORY`, in `$XDG_RUNTIME_DIR`, or in
    `/tmp/appliance-<uid>`.
    """
    if explicit := environ.get("APPLIANCE_SOCKET"):
        return Path(explicit)
    # systemd separates several runtime directories with colons
    folder = environ.get("RUNTIME_DIRECTORY", "").split(":")[0] or environ.get("XDG_RUNTIME_DIR")
    return Path(folder) / FILE if folder else _private_folder() / FILE


def connecting_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where a client finds the daemon: by the same rule, or else the one that systemd started.

    Raises PermissionError where somebody else made our folder in /tmp, and may listen there.
    """
    path = listening_path(environ)
    if "APPLIANCE_SOCKET" not in environ and not _exists(path) and _exists(SYSTEM_FILE):
        return SYSTEM_FILE
    if path.parent == _private_folder() and os.path.lexists(path.parent):
        _refuse_foreign(path.parent)
    return path


def prepare_folder(path: Path) -> None:
    """Make the folder of a socket; the one in /tmp, where everybody may write, for us alone.

    Raises PermissionError where somebody else made that one before us.
    """
    folder = path.parent
    if folder != _private_folder():
        folder.mkdir(parents=True, exist_ok=True)
        return
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        _refuse_foreign(folder)
        folder.chmod(0o700)


def _private_folder() -> Path:
    return Path(f"/tmp/appliance-{os.getuid()}")  # noqa: S108 - never used when somebody else's


def _refuse_foreign(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return True  # there is something that we may not see: connecting says so


class AlreadyRunning(ApplianceError):
    """Another appliance has the same path."""

    code = "already_running"


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the path for this process; the kernel lets go of it however the process ends.

    Raises AlreadyRunning where another process does.
    """
    prepare_folder(path)
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"another appliance is running already: it has {path}; stop it, or give this one "
                "another path in APPLIANCE_SOCKET"
            ) from None
        yield
    finally:
        os.close(lock)
