"""Whether a card's list of parts (`image-build/sbom`) has what a machine of it says is installed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

from tests.image.machine import CardMachine
from tests.lab.stock import ROOT

ASKED = """
from importlib.metadata import distributions
for one in distributions(path=["{place}"]):
    print(one.name, one.version)
"""


def unlisted(machine: CardMachine, card: Path, made: Path) -> set[tuple[str, str, str]]:
    """What is installed and not in the list, which is written to `made`: kind, name and version of each.

    Debian's packages, and the libraries of the appliance's own.
    """
    done = subprocess.run(
        [ROOT / "image-build" / "sbom", card, made], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    listed = {
        (unquote(kind), unquote(name), unquote(version))
        for kind, name, version in re.findall(
            r'"purl": "pkg:(deb/debian|pypi)/([^@"]+)@([^?"]+)', made.read_text()
        )
    }
    debian = machine.check("dpkg-query -W -f '${Package} ${Version}\\n'").splitlines()
    assert len(debian) > 100
    place = machine.check("echo /opt/appliance/lib/python3.*/site-packages").strip()
    machine.put("/tmp/asked.py", ASKED.format(place=place))
    python = machine.check("/opt/appliance/bin/python /tmp/asked.py").splitlines()
    assert len(python) > 20
    installed = {("deb/debian", *_two(line)) for line in debian}
    for name, version in map(_two, python):
        installed.add(("pypi", re.sub(r"[-_.]+", "-", name).lower(), version))
    return installed - listed


def _two(line: str) -> tuple[str, str]:
    name, version = line.split()
    return name, version
