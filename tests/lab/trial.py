"""Whether this computer lets a kernel run as a program, and where the memory of one may lie."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

TRIAL_S = 120.0
"""It is over in less than a second, and in more where everything else is busy."""
_LIVES = "Kernel panic - not syncing: VFS: Unable to mount root fs"
"""What a kernel says at last that has come so far, and is given no disk."""
_ASKS = "Checking"
"""How a kernel begins to ask its host for what it needs; what it was refused is told after that."""
_NEVER = "no folder for a kernel's memory is one from which programs may be run"


class CannotStartHere(Exception):
    """This computer does not let the kernel run as a program; the sentence has what that said."""


def starts(kernel: Path) -> None:
    """Start it without a disk, of which it says so. Raises CannotStartHere, and RuntimeError with why."""
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        room = memory((Path(folder),), 64)
        words = [str(kernel), "mem=64M", f"uml_dir={folder}", "umid=trial", "seccomp=auto"]
        words += ["con=null", "con0=null,fd:1", "console=tty0"]
        said, killed = _said(words, {"PATH": os.defpath, "TMPDIR": str(room)})
    if _LIVES in said:
        return
    if killed:
        raise RuntimeError(f"the kernel was killed when it started: {said[-2000:]}")
    if "Linux version" not in said and _ASKS in said:
        raise CannotStartHere(refused(said))
    raise RuntimeError(f"the kernel does not start: {said[-2000:]}")


def refused(said: str) -> str:
    """That a host does not let a kernel run, in a sentence."""
    return (
        "a kernel cannot run as a program (it watches its processes by seccomp(2) or ptrace(2), and maps"
        f" memory to run it; a container may forbid that):\n{said[-1000:]}"
    )


def memory(others: Sequence[Path], size_mb: int) -> Path:
    """Where a kernel's memory lies: in memory, where there is enough of it; else the first of `others`.

    Programs are run from it. Raises CannotStartHere where that is allowed nowhere.
    """
    shared = Path("/dev/shm")
    enough = shared.is_dir() and shutil.disk_usage(shared).free > 2 * size_mb << 20
    for place in ([shared] if enough else []) + [*others, Path.home()]:
        if not os.statvfs(place).f_flag & os.ST_NOEXEC and os.access(place, os.W_OK):
            return place
    raise CannotStartHere(_NEVER)


def _said(words: list[str], environ: dict[str, str]) -> tuple[str, bool]:
    """What it says, and whether somebody ended it (as a computer whose memory is full does)."""
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        start_new_session=True,
        timeout=TRIAL_S,
        check=False,
    )
    return done.stdout.decode(errors="replace"), done.returncode == -signal.SIGKILL
