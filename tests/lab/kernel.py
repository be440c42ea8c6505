"""The kernel: Debian's source, built as a program (User Mode Linux), with simulated devices in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab.archive import download
from tests.lab.stock import PLACE, Item, digest

CONFIG = PLACE / "kernel.config"
SOURCE = "linux-source-6.12"
_RECIPE = "1"
"""To be raised where what is below makes another kernel of the same configuration."""

KERNEL = Item(
    "kernel",
    f"the kernel ({SOURCE})",
    "150 MB to fetch, three to ten minutes",
    digest(CONFIG.read_bytes(), SOURCE, _RECIPE),
)


def kernel() -> Path:
    """The program. Raises CannotBuildHere, and CalledProcessError with what the compiler said."""
    return KERNEL.get(build)


def build(made: Path, room: Path, config: Path = CONFIG) -> None:
    """Build one with what `config` adds to Linux's own configuration for user mode."""
    package = download(SOURCE, room)
    tree = room / SOURCE
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE
    ) as unpacked:
        archive = f"./usr/src/{SOURCE}.tar.xz"
        words = ["tar", "-xO", archive]
        with subprocess.Popen(words, stdin=unpacked.stdout, stdout=subprocess.PIPE) as inner:
            subprocess.run(["tar", "-xJ", "-C", room], stdin=inner.stdout, check=True)
    out = room / "out"
    make = ["make", "-s", "-C", str(tree), "ARCH=um", f"O={out}"]
    _run([*make, "defconfig"])
    merge = [str(tree / "scripts/kconfig/merge_config.sh"), "-m", "-O", str(out)]
    _run([*merge, str(out / ".config"), str(config)], cwd=tree)
    _run([*make, "olddefconfig"])
    _check((out / ".config").read_text(), config)
    _run([*make, f"-j{os.cpu_count() or 1}", "linux"])
    _run(["strip", "-o", str(made), str(out / "linux")])
    shutil.rmtree(tree)


def _check(got: str, config: Path) -> None:
    """What was asked for is in it: a symbol that the source no longer has is dropped without a word."""
    lines = set(got.splitlines())
    wanted = [line for line in config.read_text().splitlines() if line.startswith("CONFIG_")]
    missing = [line for line in wanted if line not in lines]
    if missing:
        raise ValueError(f"{SOURCE} does not have {', '.join(missing)}")


def _run(words: Sequence[str], cwd: Path | None = None) -> None:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        said = f"{done.stdout}\n{done.stderr}".strip()[-4000:]
        raise RuntimeError(f"{' '.join(words)} failed:\n{said}")
