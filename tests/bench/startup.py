"""How long after its start the appliance answers a finger, and how long until it can take a call.

Both against `python -c "import aiortc"` in the same run: what any daemon on aiortc pays before it can do
anything. A broker (mosquitto) runs beside it.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.table import Row
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program

RUNS = 9
CONFIG = """
[device]
id = "front-door"
board = "simulated"
[security]
unsigned = "allow"
[mqtt]
port = {port}
[http]
port = {http_port}
[contacts.alice]
may = ["answer"]
[call]
receiver = "user:alice"
[buttons.call]
pin = 17
press = "call"
[leds.status]
pin = 18
kind = "pwm"
[relays.door]
pin = 24
[cameras.front]
device = "test-card"
[audio.speaker]
playback = "tone"
capture = "tone"
"""


def run() -> list[Row]:
    """Alternate the two, so that both meet the same machine."""
    bare, alive, callable_ = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Mosquitto(program("mosquitto"), folder)
        broker.start()
        config = folder / "bench.toml"
        config.write_text(CONFIG.format(port=broker.port, http_port=broker.port + 1))
        try:
            for number in range(RUNS + 1):
                bare_ms = _bare()
                alive_ms, callable_ms = _appliance(config, folder)
                if number:  # the first one fills the caches
                    bare.append(bare_ms)
                    alive.append(alive_ms)
                    callable_.append(callable_ms)
        finally:
            broker.kill()
    reference = statistics.median(bare)
    return [
        Row("import aiortc", reference, "ms"),
        Row("start to buttons and LEDs alive", statistics.median(alive), "ms", reference, 1.0),
        Row("start to able to take a call", statistics.median(callable_), "ms", reference, 2.0),
    ]


def _compiled() -> dict[str, str]:
    """Python keeps what it compiled, as it is where both are installed."""
    return {name: it for name, it in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _bare() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import aiortc"], check=True, env=_compiled())
    return (time.perf_counter() - began) * 1000


def _appliance(config: Path, folder: Path) -> tuple[float, float]:
    """Milliseconds until READY=1, and until the broker is connected and media is loaded."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        path = folder / "notify"
        path.unlink(missing_ok=True)
        notified.bind(str(path))
        notified.settimeout(60)
        environ = _compiled() | {
            "NOTIFY_SOCKET": str(path),
            "APPLIANCE_SOCKET": str(folder / "appliance.sock"),
        }
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "appliance", "run", "--config", config],
            env=environ,
            stderr=subprocess.DEVNULL,
        )
        try:
            alive_ms = _until(notified, b"READY=1", began)
            callable_ms = _until(notified, b"STATUS=broker connected, idle", began)
        finally:
            process.terminate()
            process.wait()
        return alive_ms, callable_ms


def _until(notified: socket.socket, words: bytes, began: float) -> float:
    while words not in notified.recv(4096):
        pass
    return (time.perf_counter() - began) * 1000
