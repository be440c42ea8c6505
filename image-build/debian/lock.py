"""Writes `wheels-<suite>.txt` and `sources.txt`: what the package is made of, each file by its hash.

`make deb-lock` runs it: `python lock.py UV CONSTRAINTS`. The versions are those of the constraints, so that
a package has what the tests have; uv says which of them a suite's Python needs, and pip which files that
are for a machine. numpy is another one on bookworm: see .ci/pins.py.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parents[1] / "pyproject.toml"
EXTRAS = ("echo", "screen")
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
C_LIBRARIES = {"bookworm": 36, "trixie": 41}
MACHINES = ("aarch64", "x86_64")
SOURCES = ("pyalsaaudio",)


def main(uv: str, constraints: Path) -> None:
    """Write all of them anew."""
    for suite in PYTHONS:
        pinned = constraints.read_text()
        if suite == "bookworm":
            pinned = re.sub(r"(?m)^numpy==.*$", "numpy<2", pinned)
        hashes: dict[str, set[str]] = {}
        for machine in MACHINES:
            for name, digest in files(needed(uv, pinned, suite, machine), suite, machine):
                hashes.setdefault(name, set()).add(digest)
        write(HERE / f"wheels-{suite}.txt", hashes)
    found: dict[str, set[str]] = {}
    for line in constraints.read_text().split():
        if line.partition("==")[0] in SOURCES:
            for name, digest in reported(["--no-binary", ":all:", line]):
                found.setdefault(name, set()).add(digest)
    write(HERE / "sources.txt", found)


def needed(uv: str, pinned: str, suite: str, machine: str) -> str:
    """What the project needs there: lines of `name==version`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "constraints.txt"
        file.write_text(pinned)
        command = [
            uv,
            "pip",
            "compile",
            "--quiet",
            "--no-header",
            "--no-annotate",
            "--constraint",
            file,
        ]
        command += [word for extra in EXTRAS for word in ("--extra", extra)]
        command += [
            "--python-version",
            PYTHONS[suite],
            "--python-platform",
            f"{machine}-unknown-linux-gnu",
        ]
        done = subprocess.run([*command, PROJECT], check=True, text=True, stdout=subprocess.PIPE)
    return done.stdout


def files(needed: str, suite: str, machine: str) -> list[tuple[str, str]]:
    """The wheels of these for a machine: `name==version` and the hash of each."""
    tags = [f"manylinux_2_{minor}" for minor in range(17, C_LIBRARIES[suite] + 1)]
    options = [
        word for tag in ("manylinux2014", *tags) for word in ("--platform", f"{tag}_{machine}")
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "needed.txt"
        file.write_text(needed)
        options += [
            "--implementation",
            "cp",
            "--python-version",
            PYTHONS[suite],
            "--target",
            folder,
        ]
        return reported([*options, "--only-binary", ":all:", "-r", str(file)])


def reported(words: list[str]) -> list[tuple[str, str]]:
    """What pip would install, without installing it."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = [
            "--quiet",
            "--dry-run",
            "--ignore-installed",
            "--no-deps",
            "--report",
            str(report),
        ]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *words], check=True)
        told = json.loads(report.read_text())["install"]
    return [
        (
            re.sub(r"[-_.]+", "-", one["metadata"]["name"]).lower()
            + "=="
            + one["metadata"]["version"],
            one["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for one in told
    ]


def write(file: Path, hashes: dict[str, set[str]]) -> None:
    """One line for each, as `pip install --require-hashes` reads it."""
    file.write_text(
        "".join(
            name + "".join(f" --hash=sha256:{each}" for each in sorted(hashes[name])) + "\n"
            for name in sorted(hashes)
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
