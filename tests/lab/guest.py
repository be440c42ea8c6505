"""The guest's root: Debian with what an owner of a Pi installs, as a compressed image that is only read."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

from tests.lab.archive import PATIENT, PAUSE_S, SUITE, TRIES, mirror
from tests.lab.stock import (
    PLACE,
    ROOT,
    CannotBuildHere,
    Item,
    NotAllowedHere,
    digest,
    end_of,
    enough,
    free,
    leaving,
    say,
)

PACKAGES = PLACE / "guest.packages"
REQUIREMENTS = PLACE / "guest.requirements"
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"
START = PLACE / "rootfs" / "lab" / "start"

PACKED = ("-quiet", "-no-progress", "-comp", "lz4")
"""How images are made: little compressed, and soon read."""

UNPACKED = 2_500_000_000
"""What it is before it is packed, in bytes, at most."""
NUMBERS = (Path("/etc/subuid"), Path("/etc/subgid"))
"""Which numbers of users and groups a user has who is not root (subuid(5)), a line each."""

_EXTRAS = ("pi", "echo")
_TESTS = ("hypothesis", "psutil", "pytest", "pytest-asyncio", "pytest-timeout")
"""Of what only tests want, what those do that run within the guest."""
# Bytecode is believed without a look at its source: mmdebstrap has no file younger than its own start, so
# by their ages none of pip's would be of its source, and all of them be compiled at each start.
_SETTLE = """
set -e
export LC_ALL=C.UTF-8 HOME=/root PIP_ROOT_USER_ACTION=ignore PIP_NO_CACHE_DIR=1
export PIP_DISABLE_PIP_VERSION_CHECK=1
bundle=/etc/ssl/certs/ca-certificates.crt
export PIP_CONSTRAINT=/lab/constraints.txt PYPI=1 {pip}
if [ -e /lab/ca.crt ]; then mv $bundle /lab/own.crt; cp /lab/ca.crt $bundle; fi
groupadd --system gpio
python3 -m pip install -q --break-system-packages --no-deps --no-build-isolation {picamera2} \
  -r /lab/requirements.txt
python3 -m venv --system-site-packages /opt/appliance
/opt/appliance/bin/python -m pip install -q {ours}
/opt/appliance/bin/python -m compileall -q -f --invalidation-mode unchecked-hash -j 0 \
  /usr/local/lib/python3*/dist-packages /opt/appliance || true
: > /etc/machine-id
echo appliance > /etc/hostname
mkdir -p /var/log/journal
systemctl mask -q systemd-networkd-wait-online.service systemd-timesyncd.service apt-daily.timer \
  apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
systemctl disable -q mosquitto.service
if [ -e /lab/own.crt ]; then mv /lab/own.crt $bundle; fi
mkdir -p /lab/top /lab/project /lab/more /lab/root /lab/old /host
rm -rf /lab/*.txt /lab/ca.crt /tmp/* /root/.cache /var/cache/apt /var/lib/apt/lists
"""


def _requirements() -> list[str]:
    """What the appliance depends on, with the extras of a Pi."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = (project["optional-dependencies"][extra] for extra in _EXTRAS)
    return [*project["dependencies"], *(one for extra in extras for one in extra), *_TESTS]


def _picamera2() -> str:
    """The version that the tests on stand-ins have, too."""
    found = re.search(r"(?m)^PICAMERA2 := (\S+)$", (ROOT / "Makefile").read_text())
    assert found is not None, "the Makefile names picamera2's version"
    return found[1]


GUEST = Item(
    "guest",
    f"the guest (Debian {SUITE} with systemd, mosquitto, libcamera)",
    "400 MB to fetch, two to five minutes",
    digest(
        PACKAGES.read_bytes(),
        REQUIREMENTS.read_bytes(),
        CONSTRAINTS.read_bytes(),
        START.read_bytes(),
        json.dumps(_requirements()),
        _picamera2(),
        _SETTLE,
    ),
)


def guest() -> Path:
    """The image. Raises CannotBuildHere, and RuntimeError with what failed."""
    return GUEST.get(_build)


def _build(made: Path, room: Path) -> None:
    """Several times: of what it fetches, from two places, something may be refused for a moment."""
    for number in range(1, TRIES + 1):
        try:
            _build_once(made, room)
        except RuntimeError as error:
            if number == TRIES or leaving.is_set():
                raise
            say(f"{error}\nlab: the guest is tried once more, in {PAUSE_S:.0f} s")
            leaving.wait(PAUSE_S)
            made.unlink(missing_ok=True)
        else:
            return


def _build_once(made: Path, room: Path) -> None:
    mode = "root" if os.geteuid() == 0 else "unshare"
    _can_be_built(mode)
    enough(room)
    place = _unpacked_in(mode, room)
    environment, certificates = _pip_settings()
    script = room / "settle"
    ours = " ".join(f"'{one}'" for one in _requirements())
    script.write_text(_SETTLE.format(pip=environment, picamera2=_picamera2(), ours=ours))
    copies = {
        REQUIREMENTS: "/lab/requirements.txt",
        CONSTRAINTS: "/lab/constraints.txt",
        START: "/lab/start",
        certificates: "/lab/ca.crt",
        script: "/lab/settle.txt",
    }
    hooks = ['mkdir -p "$1/lab"']
    hooks += [f"upload {source} {target}" for source, target in copies.items() if source]
    hooks += ['chmod 755 "$1/lab/start"', 'chroot "$1" sh /lab/settle.txt']
    words = [
        "mmdebstrap",
        f"--mode={mode}",
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(_packages())}",
        "--aptopt=APT::Install-Recommends false",
        *(f"--aptopt={one.replace('=', ' ')}" for one in PATIENT),
        "--dpkgopt=force-unsafe-io",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        *(f"--customize-hook={hook}" for hook in hooks),
        SUITE,
        "-",
        mirror(),
    ]
    environ = {**os.environ, "TMPDIR": str(place)}
    with GUEST.log.open("a") as told:
        debian = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=told, env=environ)
        with debian:
            pack = [program("sqfstar"), *PACKED, str(made)]
            packed = subprocess.run(pack, stdin=debian.stdout, stderr=told, check=False)
    if debian.returncode or packed.returncode:
        raise RuntimeError(f"the guest could not be built:\n{end_of(GUEST.log)}")


def _unpacked_in(mode: str, room: Path) -> Path:
    """Where Debian is unpacked: where programs may be run, and there is room; of memory, plenty.

    Another user's number has to get there where this one is not root. Raises CannotBuildHere.
    """
    places = [room] if mode == "root" else []
    small = []
    for place in (Path("/dev/shm"), *places, Path(tempfile.gettempdir()), Path("/var/tmp")):
        if not place.is_dir() or os.statvfs(place).f_flag & (os.ST_NOEXEC | os.ST_NODEV):
            continue
        if plenty(place, UNPACKED) if in_memory(place) else free(place) > UNPACKED:
            return place
        small.append(f"{free(place) / 1e9:.1f} GB in {place}")
    if not small:
        raise NotAllowedHere("no place for passing files is one from which programs may be run")
    raise CannotBuildHere(
        f"{UNPACKED / 1e9:.1f} GB are needed to unpack Debian, of memory three times as much;"
        f" free are {', '.join(small)} (another place: TMPDIR=...)"
    )


def in_memory(place: Path) -> bool:
    """Whether what is written there is in memory, as on Debian 13 in /tmp."""
    device = place.stat().st_dev
    told = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    which = f"{os.major(device)}:{os.minor(device)}"
    return any(
        words[2] == which and words[words.index("-") + 1].endswith("tmpfs") for words in told
    )


def plenty(memory: Path, size: int) -> bool:
    """Whether so many bytes are free in a place in memory, and in memory, three times over."""
    told = dict(re.findall(r"(?m)^(\w+):\s+(\d+) kB$", Path("/proc/meminfo").read_text()))
    return min(free(memory), int(told.get("MemAvailable", 0)) << 10) > 3 * size


def _packages() -> list[str]:
    lines = PACKAGES.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def program(name: str, packages: str = "mmdebstrap squashfs-tools") -> str:
    """Where it is. Raises CannotBuildHere, which names Debian's packages of it."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        raise CannotBuildHere(f"{name} is missing (apt install {packages})")
    return found


def _can_be_built(mode: str) -> None:
    """Raises CannotBuildHere where something is missing, or this user may not make another root."""
    program("mmdebstrap")
    program("sqfstar")
    if mode != "root":
        _has_numbers()
    kind = ["--mount"] if mode == "root" else ["--user", "--map-root-user", "--mount"]
    trial = ["unshare", *kind, "mount", "-t", "tmpfs", "none", "/mnt"]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotAllowedHere(f"another root may not be made here: {done.stderr.strip()}")


def _has_numbers() -> None:
    """Raises CannotBuildHere where this user has none but their own: Debian's files belong to many."""
    program("newuidmap", "uidmap")
    name = pwd.getpwuid(os.geteuid()).pw_name
    for file in NUMBERS:
        lines = file.read_text().splitlines() if file.exists() else []
        if not any(line.startswith(f"{name}:") for line in lines):
            raise CannotBuildHere(
                f"{file} has no line for {name}, who needs one to make another root (as root:"
                f" usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name})"
            )


def _pip_settings() -> tuple[str, Path | None]:
    """This machine's way to packages, as variables of the guest's, and the certificates that it trusts."""
    told = subprocess.run(
        [ROOT / ".venv" / "bin" / "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=True,
        env={key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"},
    ).stdout
    found = dict(re.findall(r"(?m)^(?:global|:env:)\.([a-z-]+)='(.*)'$", told))
    settings = {
        f"PIP_{key.replace('-', '_').upper()}": f"'{found[key]}'"
        for key in ("index-url", "trusted-host", "default-timeout", "proxy")
        if key in found
    }
    settings["PIP_RETRIES"] = "8"
    certificates = Path(found["cert"]) if "cert" in found else None
    if certificates:
        settings["PIP_CERT"] = "$bundle"
    return " ".join(f"{key}={value}" for key, value in settings.items()), certificates
