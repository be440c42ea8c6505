"""The project as the guest has it: what pip makes of its wheel, its units, its tests, the lab's own files.

All of it is one small image that is laid over the guest's root; it is kept until a file of it changes.
"""

from __future__ import annotations

import configparser
import io
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tests.lab.bytecode import compiled
from tests.lab.guest import GUEST, PACKED, guest, program
from tests.lab.stock import PLACE, ROOT, Item, digest

PREFIX = Path("/opt/appliance")
SITE = PREFIX / "lib/python3.13/site-packages"
FILES = PLACE / "rootfs"
SOURCE = Path("/opt/source")
"""Where the guest has tests and documents; the appliance itself is only where it is installed."""

_ENTRY = """#!{python}
import sys
from {module} import {function}
sys.exit({function}())
"""
_STARTED = ("lab-agent", "lab-pins")
_NEEDLESS = (
    *("getty", "gpt-auto", "hibernate-resume", "rc-local", "run"),
    *("ssh", "system-update", "sysv", "tpm2"),
)
"""Generators of units (systemd.generator(7)) that find nothing here, each time when all are read anew."""
_MADE_OF = ("appliance", "tests", "config", "docs", "systemd")
_AND = ("pyproject.toml", "Makefile", "README.md", ".ci/constraints.txt")

Entry = tuple[Path, bytes, int]
"""Where a file lies in the guest, what is in it, and its mode."""


def project() -> Path:
    """The image, of the files as they are now. Raises RuntimeError with what failed."""
    return Item("project", "the project's image", "some seconds", _key()).get(_build)


def _key() -> str:
    """Told by every file that may become a part of it."""
    files = [path for folder in _MADE_OF for path in _files(ROOT / folder)]
    files += [ROOT / name for name in _AND]
    told = ((str(path.relative_to(ROOT)), path.read_bytes()) for path in files)
    return digest(GUEST.path.name, *(part for one in told for part in one))


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _build(image: Path, room: Path) -> None:
    entries = [*_installed(_wheel(room)), *_laid()]
    entries += compiled([one for one in entries if one[0].suffix == ".py"], guest(), room)
    made_s = int(time.time())
    pack = subprocess.Popen(
        [program("sqfstar"), *PACKED, str(image)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with pack:
        assert pack.stdin is not None
        assert pack.stderr is not None
        with tarfile.open(fileobj=pack.stdin, mode="w|") as archive:
            for path, data, mode in entries:
                entry = tarfile.TarInfo(str(path).lstrip("/"))
                entry.size, entry.mode, entry.mtime = len(data), mode, made_s
                archive.addfile(entry, io.BytesIO(data))
            for unit in _STARTED:
                name = f"etc/systemd/system/sysinit.target.wants/{unit}.service"
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, f"../{unit}.service"
                archive.addfile(link)
        pack.stdin.close()
        said = pack.stderr.read().decode()
    if pack.returncode:
        raise RuntimeError(f"the project's image could not be made: {said}")


def _wheel(room: Path) -> Path:
    """As `pip install .` makes it."""
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(room)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the wheel could not be made:\n{done.stdout}{done.stderr}")
    return next(room.glob("*.whl"))


def _installed(wheel: Path) -> Iterator[Entry]:
    """What pip would have written: the wheel's files, and a program for each entry point."""
    with zipfile.ZipFile(wheel) as packed:
        for name in packed.namelist():
            if not name.endswith("/"):
                yield SITE / name, packed.read(name), 0o644
        points = configparser.ConfigParser()
        [listed] = [name for name in packed.namelist() if name.endswith("/entry_points.txt")]
        points.read_string(packed.read(listed).decode())
    for name, target in points["console_scripts"].items():
        module, function = target.split(":")
        text = _ENTRY.format(python=PREFIX / "bin/python", module=module, function=function)
        yield PREFIX / "bin" / name, text.encode(), 0o755


def _laid() -> Iterator[Entry]:
    """The units where an owner puts them, the tests, and the files that make the guest a lab."""
    for path in sorted((ROOT / "systemd").rglob("*.*")):
        if path.is_file() and (place := _place(path.relative_to(ROOT / "systemd"))):
            yield place, path.read_bytes(), 0o644
    for name in ("pyproject.toml", "Makefile", ".ci/constraints.txt"):
        yield SOURCE / name, (ROOT / name).read_bytes(), 0o644
    for folder in ("tests", "config", "docs", "systemd"):
        for path in _files(ROOT / folder):
            yield SOURCE / path.relative_to(ROOT), path.read_bytes(), 0o644
    for name in _NEEDLESS:  # an empty file stands for none
        yield Path(f"/etc/systemd/system-generators/systemd-{name}-generator"), b"", 0o644
    for path in _files(FILES):
        runs = path.read_bytes().startswith(b"#!")
        yield Path("/") / path.relative_to(FILES), path.read_bytes(), 0o755 if runs else 0o644


def _place(path: Path) -> Path | None:
    """Where an owner puts a file of systemd/. What lies beside the units is for who wants it: not here."""
    if path.parts[0].endswith(".conf.d"):
        return Path("/etc/systemd") / path
    if len(path.parts) > 1:
        return Path("/etc") / path
    return Path("/etc/systemd/system") / path if path.suffix != ".conf" else None
