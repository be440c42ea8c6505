"""A machine of the test's own: this one's system, booted once more in a container, with systemd as PID 1.

Nothing is installed for it: its root is this machine's, or that of another system which lies in a folder,
under a layer in which everything is written and which is gone afterwards. The appliance lies in
/opt/appliance, as an owner has it, with the project's own units. The network is this machine's. Wants root,
systemd-nspawn and overlayfs; where the kernel refuses, it is skipped, in CI as well, and where it does not
boot for another reason it is a fault there.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.parts.need import program, skip_where_forbidden

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
PATIENCE_S = 60.0
"""Far longer than anything takes; only a fault waits for it."""
BOOT_S = 300.0
"""Likewise: it boots in a second, and on a busy computer in many."""
NONE_BOOTS = "no machine boots in a container here"

TARGET = """
[Unit]
Requires=sysinit.target
After=sysinit.target
Wants=dbus.socket
AllowIsolate=yes
"""
"""No more than a service needs: none of this machine's own services, sockets and timers."""

FIRST = """#!/bin/sh
# what a container is given to look at only, and this one is to use: its own part of each
for each in {controllers}; do mount -o remount,bind,rw /sys/fs/cgroup/$each; done 2> /dev/null
{nodes}
exec {systemd} --system systemd.unit=test.target systemd.show_status=no
"""

BUILD = """set -eu
place=$1 staged=$2 lower=$3; shift 3
for group in {groups}; do
  mkdir "$group" && echo $$ > "$group/cgroup.procs" || true
done 2> /dev/null
mount -t tmpfs -o mode=755 tmpfs "$place"
mkdir "$place/written" "$place/work" "$place/root"
cp -a "$staged/." "$place/written/"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$place/written,workdir=$place/work" "$place/root"
: > "$place/root/etc/machine-id"
exec "$@" --directory="$place/root" /opt/first
"""
CONTROLLERS = ("devices", "memory", "pids")
"""Of the first kind of control groups (cgroups(7)), which a container has to be given each by itself."""
UNIFIED = "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"
_COUNT = itertools.count()

NODES: Mapping[str, tuple[int, int]] = {
    "memory": (1, 1),
    "loop-control": (10, 237),
    "watchdog": (10, 130),
    "an-input": (13, 250),
    "a-terminal": (4, 60),
}
"""Devices that are there for whoever may: in /dev/test, by major and minor number."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command has done in the machine."""

    code: int
    out: str


class Machine:
    """It runs. Files are written before it is made, or by `put`."""

    patience_s = PATIENCE_S

    def __init__(self, init: int) -> None:
        self._init = init
        self._since = ""

    def run(self, command: str, *, check: bool = True) -> Ran:
        """Let a shell run it as root, beside the services; it has to succeed, unless told otherwise."""
        words = ["nsenter", "--target", str(self._init), "--all", "--", "/bin/sh", "-c", command]
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        ran = subprocess.run(
            words, check=False, text=True, env=environ,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if check and ran.returncode:
            pytest.fail(f"{command}: {ran.returncode}\n{ran.stdout}")
        return Ran(ran.returncode, ran.stdout)

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file in it."""
        words = ["nsenter", "--target", str(self._init), "--all", "--", "/bin/sh", "-c"]
        name = shlex.quote(path)
        write = f'mkdir -p "$(dirname {name})" && cat > {name} && chmod {mode:o} {name}'
        subprocess.run([*words, write], input=text, text=True, check=True)

    def read(self, path: str) -> str:
        """What is in a file."""
        return self.run(f"cat {shlex.quote(path)}").out

    def drop_in(self, text: str, name: str = "test") -> None:
        """Change the unit until `as_shipped`."""
        self.put(f"/run/systemd/system/appliance.service.d/{name}.conf", text)
        self.run("systemctl daemon-reload")

    def as_shipped(self) -> None:
        """The unit as it was, stopped without manners."""
        self.run("systemctl kill --signal=KILL appliance", check=False)
        folders = " ".join(
            f"{each}/systemd/system/appliance.service.d" for each in ("/run", "/etc")
        )
        self.run(f"systemctl stop appliance; rm -rf {folders}")
        self.run("systemctl daemon-reload")

    def shows(self, name: str, unit: str = "appliance") -> str:
        """A property of a unit (systemctl(1), show)."""
        return self.run(f"systemctl show --property={name} --value {unit}").out.strip()

    def until(self, command: str, *, holds: str = "") -> str:
        """Wait until a command succeeds and prints `holds`; what it printed."""
        deadline = time.monotonic() + self.patience_s
        while True:
            ran = self.run(command, check=False)
            if ran.code == 0 and holds in ran.out:
                return ran.out
            if time.monotonic() > deadline:
                pytest.fail(f"{command} never printed {holds!r}: {ran}\n{self.journal()}")
            time.sleep(0.05)

    def ends(self) -> None:
        """Wait until it is off."""
        deadline = time.monotonic() + self.patience_s
        while psutil.pid_exists(self._init):
            if time.monotonic() > deadline:
                pytest.fail("it does not go off")
            time.sleep(0.05)

    def controls(self, controller: str) -> bool:
        """Whether systemd in there limits services by it: the unit's groups are its own."""
        where = (
            f"/sys/fs/cgroup/{controller}/system.slice /sys/fs/cgroup/system.slice/{controller}.max"
        )
        return self.run(f"ls -d {where} 2> /dev/null | grep -q .", check=False).code == 0

    def begin(self) -> None:
        """What is in the journal by now is of no interest any more; nor what has failed."""
        told = self.run("journalctl --sync; journalctl --lines=0 --show-cursor").out
        self._since = f"--after-cursor='{told.split('cursor: ')[1].strip()}'"
        self.run("systemctl reset-failed")

    def journal(self, unit: str = "appliance") -> str:
        """What a unit has logged since `begin`, and systemd about it."""
        self.run("journalctl --sync")
        options = f"--unit={unit} --output=short-monotonic --no-pager {self._since}"
        return self.run(f"journalctl {options}").out


@contextmanager
def booted(
    folder: Path,
    files: Mapping[str, str] | None = None,
    *,
    bare: bool = False,
    root: Path = Path("/"),
    kept: Path | None = None,
) -> Iterator[Machine]:
    """Boot it, with these files beside the units; `folder` is for what it takes.

    A bare one has no appliance, and `folder / "given"` to read. Its system is what lies at `root`. What
    it writes to /persistent is in `kept` when it is off.
    """
    nspawn = program("systemd-nspawn", "systemd-container")
    program("nsenter", "util-linux")
    if os.geteuid() != 0:
        skip_where_forbidden(NONE_BOOTS, "it is a container's")
    staged = folder / "staged"
    binds = _stage_bare(staged, dict(files or {})) if bare else _stage(staged, dict(files or {}))
    if bare:
        (folder / "given").mkdir(exist_ok=True)
        binds.append(f"--bind-ro={folder / 'given'}")
    if kept is not None:
        binds.append(f"--bind={kept}:/persistent")
    (folder / "place").mkdir()
    name = f"appliance-test-{os.getpid()}-{next(_COUNT)}"
    parents = [Path("/sys/fs/cgroup") / one for one in CONTROLLERS]
    groups = [one / name for one in parents if (one / "tasks").exists()]
    command = [
        "unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
        BUILD.format(groups=" ".join(map(str, groups))), "build",
        str(folder / "place"), str(folder / "staged"), str(root), str(nspawn), "--quiet", "--register=no",
        "--keep-unit", "--console=pipe", f"--machine={name}", *binds,
    ]  # fmt: skip
    log = folder / "boot.log"
    # systemd of Debian 13 and newer runs with control groups of the second kind alone
    environ = os.environ if root == Path("/") else {**os.environ, UNIFIED: "1"}
    with log.open("wb") as out:
        spawned = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environ, start_new_session=True
        )  # fmt: skip
    try:
        yield Machine(_up(spawned, log))
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in psutil.Process(spawned.pid).children(recursive=True):
                one.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(spawned.pid, signal.SIGKILL)
        spawned.wait()
        for group in groups:
            _remove(group)


def _stage(folder: Path, files: dict[str, str]) -> list[str]:
    """Lay out what is written over this machine's root; what is looked at where it lies."""
    libraries = next(Path(one) for one in sys.path if one.endswith("site-packages"))
    environ = "PYTHONPATH=/opt/appliance/source:/opt/appliance/libraries:/opt/appliance/plugins"
    python, binds = sys.executable, [f"--bind-ro={libraries}:/opt/appliance/libraries"]
    binds.append(f"--bind-ro={ROOT}:/opt/appliance/source")
    python = f"/usr/bin/{Path(sys.executable).resolve().name}"
    if sys.base_prefix != "/usr":
        binds.append(f"--bind-ro={sys.base_prefix}:/opt/appliance/python")
        python = f"/opt/appliance/python/bin/{Path(sys.executable).resolve().name}"
        environ += " LD_LIBRARY_PATH=/opt/appliance/python/lib"
    written = {
        "opt/appliance/bin/python": f'#!/bin/sh\n{environ} exec {python} "$@"\n',
        "opt/appliance/bin/appliance": (f'#!/bin/sh\n{environ} exec {python} -m appliance "$@"\n'),
    }
    _stage_bare(folder, {**written, **files})
    for name in ("libraries", "source", "python"):
        (folder / "opt/appliance" / name).mkdir()
    installed(folder)
    return binds


def _stage_bare(folder: Path, files: dict[str, str]) -> list[str]:
    """Lay out what any such machine has."""
    nodes = "\n".join(
        f"mkdir -p /dev/test && mknod -m 666 /dev/test/{name} c {major} {minor}"
        for name, (major, minor) in NODES.items()
    )
    systemd = next(
        one for one in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if Path(one).exists()
    )
    first = FIRST.format(controllers=" ".join(CONTROLLERS), nodes=nodes, systemd=systemd)
    written = {"opt/first": first, "etc/systemd/system/test.target": TARGET, **files}
    for name, text in written.items():
        path = folder / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    return []


def installed(root: Path) -> None:
    """Put the units and what belongs to them where they belong below `root`."""
    etc = root / "etc"
    (etc / "systemd/system").mkdir(parents=True, exist_ok=True)
    for unit in UNITS.glob("*.service"):
        shutil.copy(unit, etc / "systemd/system")
    for folder in ("sysusers.d", "tmpfiles.d"):
        shutil.copytree(UNITS / folder, etc / folder, dirs_exist_ok=True)
    for folder in ("journald.conf.d", "system.conf.d"):
        shutil.copytree(UNITS / folder, etc / "systemd" / folder, dirs_exist_ok=True)


def _up(spawned: subprocess.Popen[bytes], log: Path) -> int:
    """The process that is PID 1 in there, once it answers; skips where none can be."""
    deadline = time.monotonic() + BOOT_S
    machine: Machine | None = None
    while spawned.poll() is None and time.monotonic() < deadline:
        init = _first(spawned.pid)
        if init is not None:
            machine = machine or Machine(init)
            if machine.run("systemctl is-active test.target", check=False).code == 0:
                return init
        time.sleep(0.05)
    return skip_where_forbidden(NONE_BOOTS, log.read_text(errors="replace")[-2000:])


def _first(spawned: int) -> int | None:
    with contextlib.suppress(psutil.Error, OSError, StopIteration):
        for one in psutil.Process(spawned).children(recursive=True):
            status = Path(f"/proc/{one.pid}/status").read_text()
            numbers = next(line for line in status.splitlines() if line.startswith("NSpid:"))
            if numbers.split()[-1] == "1" and one.name() == "systemd":
                return int(one.pid)
    return None


def _remove(group: Path) -> None:
    """A control group and those below it, once their processes are gone."""
    deadline = time.monotonic() + PATIENCE_S
    while group.exists() and time.monotonic() < deadline:
        for path, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(path).rmdir()
        time.sleep(0.02)
