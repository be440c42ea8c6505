"""What a support bundle tells of this machine: each part as it is, before anything is taken out of it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from appliance import __version__
from appliance.checkup import MODEL, check_up
from appliance.client import Client
from appliance.loading.findings import Check
from appliance.loading.reading import read
from appliance.owner.places import Places
from appliance.owner.settings import told
from appliance.reporting.ledger import Ledger
from appliance.service import throttling
from appliance.service.doctor.findings import table
from appliance.updating.versions import SYSTEM

Part = str | Mapping[str, Any] | Sequence[Any]
"""A text, or what becomes JSON."""

COMMAND_S = 20.0
LINES = 5000
KEPT_JOURNAL = Path("/var/lib/appliance-journal")
UNITS = ("appliance", "appliance-*", "rauc")
LIBRARIES = ("aiortc", "aioice", "av", "cryptography", "gpiozero", "lgpio", "livekit", "msgspec", "numpy",
             "paho-mqtt", "picamera2", "pyalsaaudio", "pysdl2", "aiohttp")  # fmt: skip
PROGRAMS = (("mosquitto", "-h"), ("systemctl", "--version"), ("dpkg-query", "-W", "appliance"))
PROPERTIES = ("Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "Result", "NRestarts",
              "ExecMainStatus", "ActiveEnterTimestamp", "WatchdogUSec", "StatusText", "MemoryCurrent",
              "MemoryPeak", "DropInPaths")  # fmt: skip
SYSTEM_FILES = ("/proc/uptime", "/proc/loadavg", "/proc/meminfo", "/proc/pressure/cpu",
                "/proc/pressure/memory", "/proc/pressure/io", "/proc/diskstats")  # fmt: skip


def parts(places: Places, checks: Sequence[Check]) -> dict[str, Callable[[], Part]]:
    """Each part by its file's name; what raises is told in its place."""
    return {
        "doctor.txt": lambda: table(check_up(places.file, places.environ, checks)),
        "status.json": lambda: _status(places),
        "configuration.json": lambda: told(places, checks),
        "calls.json": lambda: _calls(places),
        "versions.txt": _versions,
        "units.txt": _units,
        "journal.txt": _journal,
        "journal-kept.txt": _kept_journal,
        "kernel.txt": _kernel,
        "machine.txt": _machine,
        "storage.txt": lambda: _storage(places),
    }


def output(*command: str) -> str:
    """What a program says; why it says nothing, where it does not. Never raises."""
    if shutil.which(command[0]) is None:
        return f"({command[0]} is not installed)"
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            command, capture_output=True, timeout=COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"({command[0]} took too long)"
    except OSError as error:
        return f"({command[0]}: {error.strerror})"
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def _status(places: Places) -> Part:
    with Client(places.environ, 5.0) as client:
        found: Mapping[str, Any] = client.ask(status=True)
    return found


def _calls(places: Places) -> Part:
    """How many there were of each kind; nobody's name, nobody's hour."""
    config = read(places.file, places.environ).config
    folder = config.call_log.directory
    ledger = Ledger(Path(folder) if folder else places.state / "calls")
    if not ledger.file.exists():
        return {"entries": 0}
    entries, broken = (
        Ledger(ledger.file.parent).load() if os.access(ledger.file, os.R_OK) else ([], [])
    )
    kinds = Counter(
        f"{one.direction} {one.type}: {one.reason or 'not ended'}"
        + (f" ({one.error})" if one.error else "")
        for one in entries
    )
    days = sorted(one.started_at[:10] for one in entries if one.started_at)
    return {
        "entries": len(entries),
        "unreadable": len(broken),
        "first_day": days[0] if days else None,
        "last_day": days[-1] if days else None,
        "kinds": dict(kinds.most_common()),
        "unlocked": sum(one.unlocked for one in entries),
        "with_picture": sum(one.picture is not None for one in entries),
        "with_recording": sum(one.recording is not None for one in entries),
    }


def _versions() -> str:
    lines = [
        f"appliance {__version__}",
        f"Python {sys.version}",
        f"kernel {platform.release()} {platform.machine()}",
    ]
    for name, file in (("model", MODEL), ("system", Path("/etc/os-release")), ("image", SYSTEM)):
        lines.append(f"{name}: {_read(file)}")
    for library in LIBRARIES:
        try:
            lines.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            lines.append(f"{library}: not installed")
    lines += [next(iter(output(*command).splitlines()), "") for command in PROGRAMS]
    return "\n".join(lines)


def _units() -> str:
    names = [f"{unit}.service" for unit in UNITS] + ["appliance-journal.timer", "mosquitto.service"]
    return "\n".join(
        [
            output("systemctl", "show", "--property", ",".join(PROPERTIES), *names),
            output("systemctl", "--no-pager", "--failed"),
            output("systemctl", "--no-pager", "list-timers", "appliance*"),
            output("systemctl", "show", "--property", "RuntimeWatchdogUSec,WatchdogDevice"),
        ]
    )


def _journal() -> str:
    units = [word for unit in UNITS for word in ("--unit", unit)]
    return output("journalctl", "--no-pager", "--output=short-iso-precise", "--no-hostname", "--lines",
                  str(LINES), *units)  # fmt: skip


def _kept_journal() -> str:
    """The warnings of former starts, which outlive a journal in memory."""
    found = sorted(KEPT_JOURNAL.glob("*.log")) if KEPT_JOURNAL.is_dir() else []
    return "\n".join(f"== {file.name}\n{_read(file)}" for file in found) or "(none is kept)"


def _kernel() -> str:
    said = output("journalctl", "--no-pager", "--output=short-iso-precise", "--no-hostname", "--dmesg",
                  "--lines", str(LINES))  # fmt: skip
    return said if len(said.splitlines()) > 2 else f"{said}\n{output('dmesg')}"


def _machine() -> str:
    texts = [f"== {name}\n{_read(Path(name))}" for name in SYSTEM_FILES]
    zones = sorted(Path("/sys/class/thermal").glob("thermal_zone*"))
    texts += [f"== {zone}\n{_read(zone / 'type')} {_read(zone / 'temp')}" for zone in zones]
    texts.append(f"== throttled\n{output('vcgencmd', 'get_throttled')}")
    texts += [f"== {one}\n{_read(one)}" for one in _flag_files()]
    return "\n".join(texts)


def _flag_files() -> list[Path]:
    """Where this kernel tells what the firmware says of heat and supply."""
    sys_root = Path("/sys")
    found = sorted((sys_root / throttling.FIRMWARE).glob(f"*/{throttling.FLAGS}"))
    return found + sorted((sys_root / throttling.MONITORS).glob(f"*/{throttling.ALARM}"))


def _storage(places: Places) -> str:
    """How full the disks are, and what of it is the device's own: sizes and numbers, no names."""
    lines = [output("df", "-B1", "-T")]
    config = read(places.file, places.environ).config
    folders = [places.state]
    folders += [Path(one) for one in (config.call_log.directory, config.recording.directory) if one]
    for folder in folders:
        lines += [
            f"{count:6} files {size:12} bytes  {place}"
            for place, (count, size) in _sizes(folder).items()
        ]
    return "\n".join(lines)


def _sizes(folder: Path) -> dict[Path, tuple[int, int]]:
    """Number and bytes of the files in a folder, and in each below it."""
    found = {}
    for place, _, files in os.walk(folder):
        sizes = list(_file_sizes(Path(place), files))
        found[Path(place)] = (len(sizes), sum(sizes))
    return found


def _file_sizes(place: Path, files: Sequence[str]) -> Iterator[int]:
    for name in files:
        try:
            yield (place / name).lstat().st_size
        except OSError:
            continue


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace").strip("\0\n ")
    except OSError as error:
        return f"({error.strerror})"
