"""Debian's archive: where this machine's own apt gets Debian from, and packages of another suite of it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.lab.stock import CannotBuildHere, leaving, say

SUITE = "trixie"
"""What a Pi runs that is set up today."""

PATIENT = ("Acquire::Retries=5", "Acquire::http::Timeout=60", "Acquire::https::Timeout=60")
"""Settings of apt's: a mirror that does not answer is asked again."""
TRIES, PAUSE_S = 3, 10.0
"""How often what is fetched is tried as a whole: a mirror that is just being renewed is of two minds."""


class NotToBeHad(RuntimeError):
    """The archive has not given a package; the sentence has what apt said."""


class NotThere(NotToBeHad):
    """Nor will it soon: it answers, and does not have the package, or the suite."""


_NOT_THERE = re.compile("Unable to locate package|has no candidate|does not have a Release file")
"""How apt says so."""


def mirror() -> str:
    """The address of a mirror of Debian: `$LAB_MIRROR`, or apt's. Raises CannotBuildHere.

    Nothing is fetched for it: whoever fetches apt's indexes keeps everybody else from doing so meanwhile.
    """
    if named := os.environ.get("LAB_MIRROR"):
        return named
    for line in _targets("$(LABEL)|$(ORIGIN)|$(COMPONENT)|$(REPO_URI)"):
        label, origin, component, address = line.split("|", 3)
        if (label, origin, component) == ("Debian", "Debian", "main"):
            return address
    # where no index was ever fetched, as on a fresh machine, who is behind an address is told by its end
    for line in _targets("$(COMPONENT)|$(REPO_URI)", "--no-release-info"):
        component, address = line.split("|", 1)
        if component == "main" and address.rstrip("/").endswith("/debian"):
            return address
    raise CannotBuildHere(
        "apt knows no mirror of Debian here; name one: LAB_MIRROR=http://.../debian make lab"
    )


def _targets(form: str, *options: str) -> list[str]:
    """The indexes that apt goes by, a line each."""
    words = ["apt-get", "indextargets", *options, "--format", form, "Created-By: Packages"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotBuildHere(f"the lab is built of Debian's packages, by apt: {error}") from error


def download(package: str, room: Path, suite: str = SUITE) -> Path:
    """The file of a package of a suite, by an apt of its own in `room`.

    Raises NotToBeHad, NotThere where the archive answers that it has none, and CannotBuildHere.
    """
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
    told = [*(f"{key}={value}" for key, value in settings.items()), *PATIENT]
    options = [word for one in told for word in ("-o", one)]
    for number in range(1, TRIES + 1):
        said = _fetched(package, options, room)
        if not said:
            return next(room.glob(f"{package}_*.deb"))
        if number == TRIES or leaving.is_set():
            break
        say(f"{package} of {suite} is asked for once more, in {PAUSE_S:.0f} s: {said}")
        leaving.wait(PAUSE_S)
    kind = NotThere if _NOT_THERE.search(said) else NotToBeHad
    raise kind(f"{package} of {suite} cannot be had: {said}")


def _fetched(package: str, options: list[str], room: Path) -> str:
    """What apt said where it did not fetch it; nothing where it did."""
    for words in (["update", "-qq", "--error-on=any"], ["download", "-qq", package]):
        done = subprocess.run(
            ["apt-get", *options, *words],
            cwd=room,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
        if done.returncode:
            return done.stderr.strip()[-500:] or f"exit status {done.returncode}"
    return ""
