"""What the stand-in machine is made of: Debian, the project's package, and the card's image of both.

Each is built once and kept as the lab's parts are (`tests/lab/stock.py`), under a name that says what it
was made of. What is done stands in image-build/vm; here is in which order, and of what.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.lab.archive import SUITE, mirror
from tests.lab.guest import program
from tests.lab.stock import ROOT, CannotBuildHere, Item, digest, folder

VM = ROOT / "image-build" / "vm"
LAYER = ROOT / "image-build" / "layer"
UPDATE = ROOT / "image-build" / "update"
PACKAGING = ROOT / "image-build" / "debian"
AGENT = ROOT / "tests" / "lab" / "rootfs" / "lab" / "agent.py"
BUSY = [
    ROOT / "tests" / f"{name}.py"
    for name in (
        "image/newcomer",
        "parts/pen",
        "parts/promised",
        "parts/busydoor",
        "parts/busytalk",
    )
]
"""What a door does in the machine, as image-build/vm/assemble puts it there."""
ARCHITECTURES = ("amd64", "arm64")
_HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
_BASE_RECIPE = "1"
"""To be raised where `_base` makes another system of the same packages."""


def image_item(architecture: str) -> Item:
    """The card's image: some gigabytes, of which one is written."""
    return Item(
        f"image-{architecture}",
        f"the stand-in machine's card ({architecture})",
        "a minute, and ten where its processor is emulated",
        digest(
            base_item(architecture).path.name,
            deb_item(architecture).path.name,
            *_content(VM / "rootfs", UPDATE, LAYER / "appliance.rootfs-overlay"),
            *((VM / name).read_bytes() for name in ("assemble", "genimage.cfg")),
            (update_keys() / "authority.crt").read_bytes(),
            (LAYER / "settle").read_bytes(),
            AGENT.read_bytes(),
            *(one.read_bytes() for one in BUSY),
        ),
        kept=2,
    )


def update_keys() -> Path:
    """The keys by which updates of this machine are signed: made once, beside what is kept."""
    place = folder() / "update-keys"
    if not (place / "signer.crt").exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as room:
            made = Path(room) / "keys"
            _run([str(UPDATE / "keys"), "new", str(made), "--plain"])
            with contextlib.suppress(OSError):  # somebody else was quicker
                made.rename(place)
    return place


def deb_item(architecture: str) -> Item:
    """The project's package for it. Its documents make no other machine: words in them do not count."""
    sources = ("appliance", "systemd", "config", "image-build/debian")
    return Item(
        f"deb-{architecture}",
        f"the package ({architecture}, {SUITE})",
        "one to four minutes",
        digest(
            *_content(*(ROOT / one for one in sources)),
            (ROOT / "pyproject.toml").read_bytes(),
            (ROOT / ".ci" / "constraints.txt").read_bytes(),
        ),
        kept=2,
    )


def base_item(architecture: str) -> Item:
    """Debian with what the machine has of it, as an archive."""
    return Item(
        f"debian-{architecture}",
        f"Debian {SUITE} for {architecture}",
        "a minute, and five where its processor is emulated",
        digest((VM / "packages").read_bytes(), architecture, _BASE_RECIPE),
        kept=2,
    )


def image(architecture: str) -> Path:
    """The image. Raises CannotBuildHere, and RuntimeError with what failed."""
    item = image_item(architecture)
    if not item.is_there:  # what it is made of may have been forgotten by then
        base(architecture)
        package(architecture)
    return item.get(lambda made, room: _image(architecture, made, room))


def base(architecture: str) -> Path:
    """Debian, as an archive. Raises as `image` does."""
    return base_item(architecture).get(lambda made, room: _base(architecture, made, room))


def package(architecture: str) -> Path:
    """The project's package. Raises as `image` does."""
    return deb_item(architecture).get(lambda made, _: _deb(architecture, made))


def _content(*folders: Path) -> Iterable[str | bytes]:
    """Names and bytes of what lies in folders, but what Python leaves and what is fetched anew."""
    for place in folders:
        for path in sorted(place.rglob("*")):
            if path.is_file() and not {"__pycache__", "vendor"} & set(path.parts):
                yield str(path.relative_to(ROOT))
                yield path.read_bytes()


def _deb(architecture: str, made: Path) -> None:
    environment = {**os.environ, "ARCH": architecture, "SUITE": SUITE, "LEVEL": "1"}
    environment.setdefault("DEB_MIRROR", mirror())
    _run([str(PACKAGING / "build")], environment)
    [package] = (ROOT / "dist").glob(f"appliance_*+deb13_{architecture}.deb")
    shutil.copyfile(package, made)


def _base(architecture: str, made: Path, room: Path) -> None:
    _can_run(architecture)
    lines = (VM / "packages").read_text().splitlines()
    named = [line for line in lines if line and not line.startswith("#")]
    packages = ",".join([*named, f"linux-image-{architecture}"])
    maker = program("mmdebstrap")
    if architecture != _HERE:
        _run([*_alone(), str(VM / "foreign"), architecture, SUITE, mirror(), packages, str(room)])
        return
    _run(
        [
            maker,
            f"--mode={'root' if os.geteuid() == 0 else 'unshare'}",
            "--variant=minbase",
            f"--architectures={architecture}",
            "--format=tar",
            f"--include={packages}",
            "--aptopt=APT::Install-Recommends false",
            "--dpkgopt=force-unsafe-io",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-include=/usr/share/doc/*/copyright",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            SUITE,
            str(made),
            mirror(),
        ]
    )


def _alone() -> list[str]:
    """What a program is begun with that mounts something: it is root there, and the mounts are its own."""
    if os.geteuid() == 0:
        return ["unshare", "--mount", "--"]
    return ["unshare", "--map-root-user", "--map-auto", "--mount", "--"]


def _can_run(architecture: str) -> None:
    """Raises CannotBuildHere where programs of that architecture cannot be run, and not be made to run."""
    if architecture == _HERE:
        return
    try:
        _run(["sh", str(VM / "emulate"), architecture])
    except RuntimeError as error:
        raise CannotBuildHere(f"programs for {architecture} cannot be run here: {error}") from error


def _image(architecture: str, made: Path, room: Path) -> None:
    _can_run(architecture)
    base, deb = base_item(architecture).path, deb_item(architecture).path
    environment = {**os.environ, "KEYRING": str(update_keys() / "authority.crt")}
    words = [*_alone(), str(VM / "assemble"), str(base), str(deb), architecture, str(room)]
    _run(words, environment)
    (room / "disk.img").rename(made)


def _run(words: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        env=environment,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:4])} .. failed:\n{done.stdout[-4000:]}")
    sys.stderr.flush()
