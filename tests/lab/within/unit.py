"""The unit within the guest, as tests within it drive it: configured, started, heard, stopped."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from tests.parts.faraway import Overheard

CONFIG = Path("/etc/appliance/appliance.toml")
DROP_INS = Path("/run/systemd/system/appliance.service.d")
SOCKET = "/run/appliance/appliance.sock"

SIMULATED = """
[device]
id = "front-door"
name = "Front door"
board = "simulated"
[security]
unsigned = "allow"
[contacts.alice]
name = "Alice"
may = ["call", "answer", "unlock"]
[call]
receiver = "user:alice"
[buttons.call]
pin = "GPIO17"
press = "call"
[relays.door]
pin = "GPIO18"
[cameras.front]
device = "test-card"
[media]
width = 320
height = 240
framerate = 10
[audio.speaker]
playback = "silence"
capture = "tone"
"""
"""No device of the guest's: what the lab's own are good for is tested elsewhere."""
SMALL = SIMULATED.replace("320", "160").replace("240", "120").replace("rate = 10", "rate = 5")
"""Pictures that come, and cost little."""


def shell(command: str) -> str:
    """Have sh carry it out; what it wrote. Raises AssertionError where it failed."""
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def started(config: str, drop_in: str = "") -> Iterator[None]:
    """The unit runs with that configuration, for as long as the block lasts."""
    before = CONFIG.read_text()
    CONFIG.write_text(config)
    if drop_in:
        DROP_INS.mkdir(parents=True, exist_ok=True)
        (DROP_INS / "lab.conf").write_text(drop_in)
        shell("systemctl daemon-reload")  # as dear as half a call
    try:
        shell("systemctl restart appliance")
        yield
    finally:
        shell("systemctl stop appliance; systemctl reset-failed")
        CONFIG.write_text(before)
        if drop_in:
            (DROP_INS / "lab.conf").unlink()
            shell("systemctl daemon-reload")


@asynccontextmanager
async def overheard() -> AsyncIterator[Overheard]:
    """The unit that runs, and all that it tells from now on."""
    async with Overheard(*await _connected()).listening() as door:
        yield door


async def _connected() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The socket is there soon after the buttons are, of which systemd is told."""
    while True:
        try:
            return await asyncio.open_unix_connection(SOCKET, limit=1 << 22)
        except OSError:
            await asyncio.sleep(0.1)
