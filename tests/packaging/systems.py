"""The systems that the package is for: the root of a Debian, for a machine in a container.

What this machine itself runs is taken as it is. Another is bootstrapped once, by mmdebstrap from where this
machine's apt has Debian, and kept as the lab's parts are (`tests/lab/stock.py`).
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.archive import PATIENT, mirror
from tests.lab.stock import ROOT, CannotBuildHere, Item, digest, run
from tests.parts.need import program, skip_or_fail

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
HERE = Path("/")
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "udev", "kmod", "mount", "procps", "passwd", "iproute2"),
    *("apt", "ca-certificates", "python3", "libopus0", "libsdl2-2.0-0"),
)
"""What a machine is made of, with what the package depends on, and SDL, which it recommends."""


@dataclass(frozen=True, slots=True)
class System:
    """A release of Debian: its code name, its number, its Python, and its name of ALSA's library."""

    suite: str
    release: str
    python: str
    sound: str

    @property
    def packages(self) -> tuple[str, ...]:
        """What is installed in it before the package is."""
        return (*PACKAGES, self.sound)

    def item(self) -> Item:
        """It as an archive of files."""
        return Item(
            f"system-{self.suite}",
            f"Debian {self.release}, to install the package in",
            "a minute or two",
            digest(*self.packages, self.suite, _architecture(), "1"),
            kept=1,
        )


BOOKWORM = System("bookworm", "12", "3.11", "libasound2")
TRIXIE = System("trixie", "13", "3.13", "libasound2t64")
SYSTEMS = (BOOKWORM, TRIXIE)


def built(system: System) -> Path:
    """The package for this machine's processor and a system, as `make deb` leaves it; the latest."""
    name = f"appliance_*+deb{system.release}_{_architecture()}.deb"
    found = sorted((ROOT / "dist").glob(name), key=lambda one: one.stat().st_mtime)
    if not found:
        skip_or_fail(f"there is no dist/{name} (make deb SUITE={system.suite})")
    return found[-1]


def own(system: System) -> bool:
    """Whether it is what this machine runs."""
    release = platform.freedesktop_os_release()
    return (release.get("ID"), release.get("VERSION_ID")) == ("debian", system.release)


@contextlib.contextmanager
def root(system: System, folder: Path, *, bootstrapped: bool = False) -> Iterator[Path]:
    """Its root folder, to be read alone: this machine's own where it runs that, unless told otherwise."""
    if own(system) and not bootstrapped:
        yield HERE
        return
    if os.geteuid() != 0:
        skip_or_fail(f"only root makes a {system.suite} here")
    try:
        archive = system.item().get(lambda made, _: _bootstrap(system, made))
    except CannotBuildHere as error:
        skip_or_fail(str(error))
    place = folder / f"root-{system.suite}"
    place.mkdir()
    try:
        words = ["tar", "-x", "--numeric-owner", "--xattrs", "-C", str(place), "-f", str(archive)]
        subprocess.run(words, check=True)
        yield place
    finally:
        subprocess.run(["rm", "-rf", str(place)], check=True)


def _architecture() -> str:
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def _bootstrap(system: System, made: Path) -> None:
    words: list[str | Path] = [
        program("mmdebstrap"),
        "--mode=root",
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(system.packages)}",
        "--aptopt=APT::Install-Recommends false",
        *(f"--aptopt={one.replace('=', ' ')}" for one in PATIENT),
        "--dpkgopt=force-unsafe-io",
        # an owner's dpkg is as Debian leaves it: it writes man pages, and flushes nothing out of haste
        '--customize-hook=rm -f "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"',
        system.suite,
        made,
        mirror(),
    ]
    run(words, system.item().log)
