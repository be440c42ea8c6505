"""Updates for the stand-in machine: bundles made of its own card's slot, and a disk that has them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.image.build import UPDATE, image, update_keys
from tests.image.card import Card
from tests.parts.need import program
from tests.updating import bundles

DEVICE = "vm-amd64"
MARK = "/usr/share/appliance/of-this-version"
"""A file by which a system tells which bundle it came with."""
VERSION = "/usr/lib/appliance-image/version"
NEWER, NEXT = "9.0", "9.1"
"""Of what is newer than a card, and of what comes after that."""

SITE = "/opt/appliance/lib/python3.13/site-packages/appliance"
GOOD: Mapping[str, str | None] = {}
SOON = {
    "/usr/lib/systemd/system/appliance-update-trial.service.d/soon.conf": (
        "[Service]\nEnvironment=APPLIANCE_TRIAL_S=20\nTimeoutStartSec=60\n"
    ),
    # the stand-in machine has a longer patience, by a drop-in of its own
    "/usr/lib/systemd/system/appliance.service.d/z-soon.conf": "[Service]\nTimeoutStartSec=30\n",
}
"""What is waited for in a trial, in seconds in place of minutes."""
NEVER_READY: Mapping[str, str | None] = {
    f"{SITE}/daemon.py": "raise SystemExit('this version is never ready')\n",
    **SOON,
}
HANGS: Mapping[str, str | None] = {
    f"{SITE}/daemon.py": "import time\ntime.sleep(1e9)\n",
    f"{SITE}/updating/trial.py": "import time\ntime.sleep(1e9)\n",
    **SOON,
}
"""The daemon and its judge: neither ends, and neither ever says anything."""
WITHOUT_PYTHON: Mapping[str, str | None] = {"/opt/appliance/bin/python3": None}


def bundle(
    folder: Path, name: str, changes: Mapping[str, str | None], version: str = NEWER
) -> Path:
    """`name`.raucb, of that version, with these files put in or (None) taken away."""
    card = Card(image("amd64"))
    boot, system = folder / f"{name}.boot", folder / f"{name}.system"
    for which, to in (("boot_a", boot), ("system_a", system)):
        one = card.partition(which)
        words = ["dd", f"if={card.image}", f"of={to}", "bs=1M", "conv=sparse", "status=none"]
        places = [f"skip={one.begins}", f"count={one.length}", "iflag=skip_bytes,count_bytes"]
        subprocess.run([*words, *places], check=True)
    change(system, {**changes, MARK: f"{name}\n", VERSION: f"{version}\n"})
    file = folder / f"{name}.raucb"
    environ = {
        **os.environ,
        "DEVICE": DEVICE,
        "KEYS": str(update_keys()),
        "BOOT": str(boot),
        "SYSTEM": str(system),
        "TMPDIR": str(folder),
        "COMPRESSION": "zstd -Xcompression-level 1",
    }
    program("rauc")
    done = subprocess.run(
        [str(UPDATE / "bundle"), str(file)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    boot.unlink()
    system.unlink()
    if done.returncode:
        raise RuntimeError(done.stderr)
    return file


def foreign(folder: Path) -> Path:
    """One that is right but for who has signed it."""
    keys = folder / "foreign-keys"
    subprocess.run([str(UPDATE / "keys"), "new", str(keys), "--plain"], check=True)
    return bundles.bundle(folder / "foreign.raucb", keys, NEWER, DEVICE)


def spoilt(good: Path) -> Path:
    """The same with one bit of its middle the other way round."""
    file = good.with_name("spoilt.raucb")
    words = ["cp", "--reflink=auto", "--sparse=always", str(good), str(file)]
    subprocess.run(words, check=True)
    with file.open("r+b") as bundle:
        middle = file.stat().st_size // 2
        bundle.seek(middle)
        byte = bundle.read(1)[0]
        bundle.seek(middle)
        bundle.write(bytes([byte ^ 0x10]))
    return file


def change(system: Path, changes: Mapping[str, str | None]) -> None:
    """Put files into an ext4 file system, or take them away; nothing is mounted."""
    script: list[str] = []
    for number, (path, text) in enumerate(changes.items()):
        folders = path.split("/")[1:-1]
        script += [f"mkdir /{'/'.join(folders[: depth + 1])}" for depth in range(len(folders))]
        script.append(f"rm {path}")
        if text is not None:
            source = system.with_suffix(f".{number}")
            source.write_text(text)
            script.append(f"write {source} {path}")
    commands = system.with_suffix(".debugfs")
    commands.write_text("\n".join(script) + "\n")
    # what is there already, or is not, it says and goes on
    subprocess.run(
        [str(program("debugfs", "e2fsprogs")), "-w", "-f", str(commands), str(system)],
        check=True,
        capture_output=True,
    )


def disk(folder: Path, *files: Path) -> Path:
    """A disk with these files, for the machine to read."""
    room = folder / "beside"
    room.mkdir()
    for file in files:
        file.rename(room / file.name)
    made = folder / "beside.ext4"
    size = sum(file.stat().st_size for file in room.iterdir()) // (1 << 20)
    words = [str(program("mke2fs", "e2fsprogs")), "-q", "-t", "ext4", "-m", "0", "-d", str(room)]
    subprocess.run([*words, str(made), f"{size + size // 10 + 64}M"], check=True)
    return made
