"""Debian's archive: where this machine's own apt gets Debian from, and packages of another suite of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.lab.stock import CannotBuildHere

SUITE = "trixie"
"""What a Pi runs that is set up today."""

_TARGETS = "$(LABEL)|$(ORIGIN)|$(COMPONENT)|$(REPO_URI)"


def mirror() -> str:
    """The address of a mirror of Debian: `$LAB_MIRROR`, or apt's. Raises CannotBuildHere."""
    if named := os.environ.get("LAB_MIRROR"):
        return named
    for line in (_targets() or _fetched_targets()).splitlines():
        label, origin, component, address = line.split("|", 3)
        if (label, origin, component) == ("Debian", "Debian", "main"):
            return address
    raise CannotBuildHere(
        "apt knows no mirror of Debian here; name one: LAB_MIRROR=http://.../debian make lab"
    )


def _targets() -> str:
    """What apt has an index of; nothing where none was ever fetched, as on a fresh machine."""
    words = ["apt-get", "indextargets", "--format", _TARGETS, "Created-By: Packages"]
    return _told(words)


def _fetched_targets() -> str:
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    _told([*as_root, "apt-get", "-q", "update"])
    return _targets()


def _told(words: list[str]) -> str:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotBuildHere(f"the lab is built of Debian's packages, by apt: {error}") from error


def download(package: str, room: Path, suite: str = SUITE) -> Path:
    """The file of a package of a suite, by an apt of its own in `room`. Raises CannotBuildHere."""
    for place in ("lists/partial", "archives/partial", "apt/preferences.d", "apt/trusted.gpg.d"):
        (room / place).mkdir(parents=True)
    (room / "status").touch()
    keys = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    if not keys.exists():
        raise CannotBuildHere("Debian's keys are missing (apt install debian-archive-keyring)")
    source = room / "sources.list"
    source.write_text(f"deb [signed-by={keys}] {mirror()} {suite} main\n")
    settings = {
        "Dir::Etc::sourcelist": source,
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferencesparts": room / "apt/preferences.d",
        "Dir::State::lists": room / "lists",
        "Dir::State::status": room / "status",
        "Dir::Cache": room,
        "APT::Sandbox::User": "",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    for words in (["update", "-qq"], ["download", "-qq", package]):
        done = subprocess.run(
            ["apt-get", *options, *words], cwd=room, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise CannotBuildHere(f"{package} cannot be had: {done.stderr.strip()[-500:]}")
    return next(room.glob(f"{package}_*.deb"))
