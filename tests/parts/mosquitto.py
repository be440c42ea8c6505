"""A real mosquitto on free loopback ports, which a test may kill and start again.

In a test folder's conftest: `from tests.parts.mosquitto import mosquitto`, and the fixture is there.
"""

from __future__ import annotations

import contextlib
import getpass
import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.need import program

START_S = 20.0
"""Far more than it ever takes."""

__all__ = ["Mosquitto", "free_port", "mosquitto"]


FIRST_PORT = 18_000
"""Below those that the kernel gives to whoever asks for any (32768 and up)."""
PORTS = 2_000
"""For each process of the tests."""


def _ports() -> Iterator[int]:
    """Each once, as long as there are others; other processes of the same run have others."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    first = FIRST_PORT + PORTS * (int(worker.removeprefix("gw")) % 7)
    begin = os.getpid() * 37 % PORTS
    return itertools.cycle([*range(first + begin, first + PORTS), *range(first, first + begin)])


_PORTS = _ports()


def free_port() -> int:
    """A TCP port on loopback that nobody listens on, and that nobody is given by chance meanwhile."""
    for port in itertools.islice(_PORTS, PORTS):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("all ports are taken")


class Mosquitto:
    """One broker: MQTT 5 and 3.1.1 on `port`, over WebSocket on `websocket_port`.

    Anybody may do anything, unless `extra` configuration lines say otherwise.
    """

    host = "127.0.0.1"

    def __init__(self, executable: Path, directory: Path, extra: str = "") -> None:
        self.port = free_port()
        self.websocket_port = free_port()
        self._executable = executable
        self._config = directory / "mosquitto.conf"
        self._log = directory / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._config.write_text(
            f"listener {self.port} {self.host}\n"
            f"listener {self.websocket_port} {self.host}\nprotocol websockets\n"
            f"user {getpass.getuser()}\n"  # else root becomes one who cannot read the test's files
            f"allow_anonymous true\npersistence false\nset_tcp_nodelay true\nlog_type all\n{extra}\n"
        )

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def running(self) -> bool:
        """Whether it was started and not killed."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, on the same ports as before, and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._executable, "-c", self._config], stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_S
        while not (self._listens(self.port) and self._listens(self.websocket_port)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"mosquitto did not start:\n{self.log}", pytrace=False)
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a power cut would (kill -9)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it as systemd does (SIGTERM): it has the time to write down what it would keep."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(START_S)
        self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal: SIGSTOP leaves its connections open, and nobody who answers."""
        assert self._process is not None
        self._process.send_signal(number)

    def _listens(self, port: int) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((self.host, port)) == 0


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running mosquitto."""
    broker = Mosquitto(program("mosquitto"), tmp_path)
    broker.start()
    yield broker
    broker.kill()
