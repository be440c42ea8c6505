"""Versions of an image with two slots, as small as can be, and a card that begins with one of them.

Nothing of a slot is run: a machine of the lab starts from its own root, whatever its firmware has chosen,
and has over that (`layer`) what `image-build/update/install` puts into the system of that version.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.image.card import Card
from tests.lab.guest import PACKED
from tests.lab.stock import ROOT
from tests.parts.need import program
from tests.updating.bundles import UPDATE, signed

DEVICE = "vm-amd64"
NAMES = re.findall(
    r"(?m)^\tpartition (\w+) {", (ROOT / "image-build" / "vm" / "genimage.cfg").read_text()
)
"""Of the partitions, in the order of the image's."""
SIZES_MB = {"bootconfig": 1, "boot": 2, "system": 12, "persistent": 16}
"""Of what a partition is for. A system is large enough to be caught half written."""
AUTOBOOT = "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n"
"""As the image is made."""
[_LINE] = re.findall(r"(?m)^line='(.*)'$", (UPDATE / "hook").read_text())
CONFIG = f"kernel=vmlinuz\n{_LINE}\n"
ADDED = "dtparam=audio=off\n"
"""What its owner has added to config.txt."""

_FSTAB = """
none /host hostfs defaults 0 0
/dev/disk/by-partlabel/bootconfig /bootfs vfat rw,noatime,nofail 0 2
/dev/disk/by-partlabel/persistent /persistent ext4 noatime,lazytime,commit=60,errors=remount-ro 0 2
/persistent/state /var/lib/appliance none bind 0 0
"""
_FILES = {
    "etc/fstab": _FSTAB,
    "etc/appliance/appliance.toml": (ROOT / "config" / "simulated.toml").read_text(),
    # as where a system does not fit into the memory: what is written to a slot goes to the card meanwhile
    "etc/sysctl.d/small.conf": "vm.dirty_background_bytes = 262144\nvm.dirty_bytes = 1048576\n",
}
_WANTED = {"appliance": "/etc/systemd/system", "mosquitto": "/usr/lib/systemd/system"}


@dataclass(frozen=True, slots=True)
class Release:
    """One version: what is in its two partitions, its bundle, and what a machine has that runs it."""

    version: str
    kernel: bytes = field(repr=False)
    boot: Path
    system: Path
    bundle: Path
    layer: Path


def release(folder: Path, keys: Path, version: str) -> Release:
    """Make one, in a folder that is made, signed by these keys."""
    folder.mkdir()
    kernel = os.urandom(1_000_000)
    boot = _boot(folder / "boot.vfat", {"config.txt": CONFIG.encode(), "vmlinuz": kernel})
    system = _system(folder / "system.ext4", version)
    bundle = signed(folder / f"{version}.raucb", keys, boot, system, DEVICE, COMPRESSION="lz4")
    return Release(version, kernel, boot, system, bundle, _layer(folder, keys, version))


def card(disk: Path, first: Release) -> Path:
    """A card whose slots both have that, and what its owner has added; its data partition is empty."""
    sizes = {name: SIZES_MB[name.partition("_")[0]] for name in NAMES}
    with disk.open("wb") as file:
        file.truncate(sum(sizes.values()) + 2 << 20)
    lines = [f"size={size}MiB, name={name}\n" for name, size in sizes.items()]
    _run(program("sfdisk", "fdisk"), "-q", disk, data="".join(["label: gpt\n", *lines]).encode())
    with disk.open("r+b") as file:
        for place in Card(disk).partitions():
            file.seek(place.begins)
            file.write(_content(disk, place.name, first).read_bytes())
    return disk


def _content(disk: Path, name: str, first: Release) -> Path:
    kind = name.partition("_")[0]
    made = disk.with_name(name)
    if kind == "system":
        return first.system
    if kind == "boot":
        return _boot(made, {"config.txt": (CONFIG + ADDED).encode(), "vmlinuz": first.kernel})
    if kind == "bootconfig":
        return _boot(made, {"autoboot.txt": AUTOBOOT.encode()}, SIZES_MB[kind])
    root = disk.with_name("data")
    (root / "state").mkdir(parents=True)
    return _ext4(made, root, SIZES_MB[kind])


def _boot(made: Path, files: Mapping[str, bytes], size_mb: int = SIZES_MB["boot"]) -> Path:
    sectors, serial = str((size_mb << 20) // 512), os.urandom(4).hex()
    _run(program("mformat", "mtools"), "-C", "-i", made, "-T", sectors, "-N", serial, "::")
    for name, data in files.items():
        _run(program("mcopy", "mtools"), "-i", made, "-", f"::{name}", data=data)
    return made


def _system(made: Path, version: str) -> Path:
    root = made.with_suffix(".root")
    says = root / "usr/lib/appliance-image"
    says.mkdir(parents=True)
    (says / "version").write_text(f"{version}\n")
    (root / "noise").write_bytes(os.urandom((SIZES_MB["system"] - 4) << 20))
    _ext4(made, root, SIZES_MB["system"])
    shutil.rmtree(root)
    return made


def _ext4(made: Path, root: Path, size_mb: int) -> Path:
    _run(program("mke2fs", "e2fsprogs"), "-q", "-t", "ext4", "-d", root, made, f"{size_mb}M")
    return made


def _layer(folder: Path, keys: Path, version: str) -> Path:
    root = folder / "layer"
    root.mkdir()
    _run(UPDATE / "install", root, DEVICE, keys / "authority.crt", version)
    for name, text in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name in ("bootfs", "persistent", "boot/firmware"):
        (root / name).mkdir(parents=True)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    for unit, place in _WANTED.items():
        (wants / f"{unit}.service").symlink_to(f"{place}/{unit}.service")
    made = folder / "layer.squashfs"
    _run(program("mksquashfs", "squashfs-tools"), root, made, "-all-root", *PACKED)
    return made


def _run(*words: str | Path, data: bytes = b"") -> None:
    subprocess.run(words, input=data, stdout=subprocess.DEVNULL, check=True)
