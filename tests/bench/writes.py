"""What an idle daemon writes in a day: bytes to its files and lines of its log, and who has written them.

A real process on a simulated board, by a clock that is so many times faster (libfaketime), so that what is
done each minute, hour and night is done; counted are the bytes of the files that have changed, the bytes
of the log, and what the kernel says that it has handed to a disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from appliance.client import Client, Unreachable
from tests.bench.startup import CONFIG
from tests.bench.table import Row
from tests.parts.mosquitto import Mosquitto, free_port
from tests.parts.need import program, skip_or_fail

LIBRARY = "libfaketimeMT.so.1"
TIMES = 60
LOOKS_EVERY_S = 0.05
SETTLES_S = 10.0
DAY_S = 86_400.0
MEGABYTE = 1_000_000


def run() -> list[Row]:
    """`HOURS=1` of the daemon's time, of which each takes a minute."""
    hours = float(os.environ.get("HOURS", "1"))
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        written, log, blocks, seconds = watched(Path(name), hours)
    a_day = DAY_S / seconds
    total = (sum(written.values()) + log) * a_day
    rows = [
        Row("written in a day, idle: files and log", total / MEGABYTE, "MB", most=1.0),
        Row("of it the log", log * a_day / 1000, "kB"),
        Row("blocks for a disk, as the kernel counts them", blocks * a_day / 1000, "kB"),
    ]
    rows += [
        Row(f"of it {file}", count * a_day / 1000, "kB") for file, count in written.most_common(8)
    ]
    note = f"{seconds / 3600:.1f} h by the daemon's clock"
    return [replace(rows[0], note=note), *rows[1:]]


def watched(folder: Path, hours: float) -> tuple[Counter[str], int, int, float]:
    """Bytes by file, bytes of the log, bytes of blocks, and for how long by the daemon's clock."""
    broker = Mosquitto(program("mosquitto"), folder)
    broker.start()
    (folder / "bench.toml").write_text(CONFIG.format(port=broker.port, http_port=free_port()))
    log = folder / "log"
    environ = os.environ | {
        "LD_PRELOAD": str(_library()),
        "FAKETIME": f"+0 x{TIMES}",
        "STATE_DIRECTORY": str(folder / "state"),
        "APPLIANCE_SOCKET": str(folder / "s.sock"),
    }
    with log.open("wb") as stderr:
        command = [sys.executable, "-m", "appliance", "run", "--config", str(folder / "bench.toml")]
        daemon = subprocess.Popen(command, env=environ, stdout=stderr, stderr=stderr)
        try:
            _until_connected(environ, daemon)
            begun, begun_s = _its_time(environ), time.monotonic()
            time.sleep(SETTLES_S)
            found = _counted(folder / "state", log, daemon.pid, hours * 3600 / TIMES)
            passed_s = (_its_time(environ) - begun).total_seconds()
            times = passed_s / (time.monotonic() - begun_s)
            if not TIMES * 0.8 < times < TIMES * 1.2:
                raise RuntimeError(f"the daemon's clock is {times:.1f} times as fast, not {TIMES}")
            return found
        finally:
            daemon.terminate()
            daemon.wait(60)
            broker.kill()


def _counted(
    state: Path, log: Path, pid: int, lasts_s: float
) -> tuple[Counter[str], int, int, float]:
    written: Counter[str] = Counter()
    log_before, blocks_before = log.stat().st_size, _blocks(pid)
    before = _files(state)
    begun_s = time.monotonic()
    while (passed_s := time.monotonic() - begun_s) < lasts_s:
        time.sleep(LOOKS_EVERY_S)
        now = _files(state)
        named_before = {what: name for name, what in before.items()}
        for name, (inode, size, changed) in now.items():
            old = before.get(name)
            first = named_before.get((inode, size, changed), name)
            if first != name:  # it was seen under the name that it had until it was whole
                written[name] += written.pop(first, 0)
                continue
            if old != (inode, size, changed):
                # another one in its place, or changed within, was written as a whole at the most
                grown = old is not None and old[0] == inode and size > old[1]
                written[name] += size - old[1] if old is not None and grown else size
        before = now
    return written, log.stat().st_size - log_before, _blocks(pid) - blocks_before, passed_s * TIMES


def _files(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for one in folder.rglob("*"):
        try:
            stat = one.stat()
        except FileNotFoundError:
            continue
        if one.is_file():
            found[str(one.relative_to(folder))] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found


def _blocks(pid: int) -> int:
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def _its_time(environ: dict[str, str]) -> datetime:
    """What time it is for the daemon, by an event of just now; the call that begins with it ends."""
    with Client(environ, 5.0) as client:
        client.ask(press="call")
        return max(datetime.fromisoformat(event["time"]) for event in client.ask(recent=True))


def _until_connected(environ: dict[str, str], daemon: subprocess.Popen[bytes]) -> None:
    ends_s = time.monotonic() + 120
    while time.monotonic() < ends_s and daemon.poll() is None:
        with suppress(Unreachable), Client(environ, 5.0) as client:  # it is about to start
            if client.ask(status=True)["mqtt"] == "connected":
                return
        time.sleep(0.2)
    raise RuntimeError("the daemon does not come up")


def _library() -> Path:
    for folder in sorted(Path("/usr/lib").glob("*/faketime")):
        if (folder / LIBRARY).exists():
            return folder / LIBRARY
    return skip_or_fail("libfaketime is not installed (apt install libfaketime)")
