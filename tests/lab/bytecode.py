"""Bytecode for the guest's Python, made by that Python on this machine: nothing is compiled at each start.

A service may not write beside its own files, so without this the appliance would be compiled at every start
of it, in every guest.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lab.guest import program

PYTHON = "python3.13"
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_TAKEN = (
    f"usr/bin/{PYTHON}",
    f"usr/lib/{PYTHON}",
    *(f"{_LIBRARIES}/{one}" for one in ("ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6")),
    *(f"{_LIBRARIES}/{one}" for one in ("libz.so*", "libexpat.so*")),
)
"""Of the guest: its interpreter, and what that is linked with."""

Entry = tuple[Path, bytes, int]


def compiled(sources: Sequence[Entry], guest: Path, room: Path) -> Iterator[Entry]:
    """The file of each source's bytecode, which is believed without a look at the source.

    `room` is a folder for what is made on the way. Raises RuntimeError where that Python does not run.
    """
    root, staged = room / "python", room / "staged"
    _run([program("unsquashfs"), "-q", "-n", "-d", str(root), str(guest), *_TAKEN])
    for path, data, _ in sources:
        place = staged / path.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    libraries = root / _LIBRARIES
    loader = [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries)]
    words = [*loader, str(root / "usr/bin" / PYTHON), "-m", "compileall", "-q"]
    words += ["--invalidation-mode", "unchecked-hash", "-s", str(staged), "-p", "/", str(staged)]
    _run(words, {"PYTHONHOME": str(root / "usr"), "PATH": os.defpath})
    for file in sorted(staged.rglob("*.pyc")):
        yield Path("/") / file.relative_to(staged), file.read_bytes(), 0o644


def _run(words: Sequence[str], environ: dict[str, str] | None = None) -> None:
    done = subprocess.run(words, capture_output=True, text=True, env=environ, check=False)
    if done.returncode:
        raise RuntimeError(f"{words[0]} failed:\n{done.stdout}{done.stderr}"[-4000:])
