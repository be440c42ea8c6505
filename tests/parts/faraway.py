"""A daemon in a place of a network lab, driven over its local socket, with a broker and guests around it.

The broker speaks TLS to the place and plain MQTT on loopback, where the guests of the test live.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from appliance.loading.shipped import shipped
from tests.parts.certificates import Authority
from tests.parts.mosquitto import Mosquitto, free_port
from tests.parts.need import program
from tests.parts.netlab import Netlab
from tests.parts.pen import Pen
from tests.parts.told import Item, name_of

PATIENCE_S = 60.0
"""Far longer than anything takes; only a fault waits for it."""


class Broker(Mosquitto):
    """A mosquitto that the places of a lab reach too, over TLS."""

    def __init__(self, lab: Netlab, folder: Path) -> None:
        self.lab_host = lab.host
        self.tls_port = free_port()
        authority = Authority(folder, "broker-authority")
        files = authority.issue(lab.host)
        self.ca_file = authority.file
        super().__init__(
            program("mosquitto"),
            folder,
            f"listener {self.tls_port} {lab.host}\n"
            f"certfile {files.certificate}\nkeyfile {files.key}\nallow_anonymous true",
        )

    def environ(self) -> dict[str, str]:
        """What tells a daemon where it is."""
        return {
            "APPLIANCE__MQTT__HOST": self.lab_host,
            "APPLIANCE__MQTT__PORT": str(self.tls_port),
            "APPLIANCE__MQTT__CA_FILE": str(self.ca_file),
        }


def strict(uid: str, pen: Pen) -> dict[str, str]:
    """What tells a daemon to believe nobody without a key, and this contact by its own."""
    return {
        "APPLIANCE__SECURITY__UNSIGNED": "refuse",
        f"APPLIANCE__CONTACTS__{uid.upper()}__KEYS": json.dumps([pen.public]),
    }


class Starting(Protocol):
    """Where a program can be started: a place of a lab, or another."""

    def start(self, words: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        """Start it."""


@dataclass
class Overheard:
    """A daemon at its local socket, and what it told, each with when it was heard (monotonic seconds)."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    told: list[tuple[float, Item]] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    answers: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    asked: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """It has closed the connection, or ended: whoever waits for it gets a ConnectionError."""

    async def read(self) -> None:
        """Take in what it tells, until it is gone."""
        try:
            await self._take_in()
        finally:
            self.gone.set()
            for waiting in self.answers.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionResetError("the daemon has gone"))
            async with self.changed:
                self.changed.notify_all()

    async def _take_in(self) -> None:
        while line := await self.reader.readline():
            item = json.loads(line)
            if "ok" in item:
                waiting = self.answers.pop(item["id"])
                if waiting.done():  # whoever asked has been cancelled
                    continue
                if item["ok"]:
                    waiting.set_result(item.get("result"))
                else:
                    waiting.set_exception(RuntimeError(item["error"]["message"]))
                continue
            self.told.append((time.monotonic(), item))
            async with self.changed:
                self.changed.notify_all()

    async def ask(self, **request: Any) -> Any:
        """The answer to one request of the local socket."""
        self.asked += 1
        answer = self.answers[self.asked] = asyncio.get_running_loop().create_future()
        self.writer.write(json.dumps({"id": self.asked, **request}).encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            return await answer

    async def status(self) -> Any:
        """Its status."""
        return await self.ask(status=True)

    async def until(self, name: str, where: Callable[[Item], bool] = lambda _: True) -> float:
        """When the first event of that name (that fits) was heard since it was told to forget."""

        def found() -> float | None:
            fits = (at for at, one in self.told if name_of(one) == name and where(one))
            return next(fits, None)

        async with asyncio.timeout(PATIENCE_S), self.changed:
            await self.changed.wait_for(lambda: found() is not None or self.gone.is_set())
        if (at_s := found()) is None:
            raise ConnectionResetError(f"the daemon has gone without {name}")
        return at_s

    def event(self, name: str) -> Item:
        """The data of the last event of that name."""
        return next(one["data"] for _, one in reversed(self.told) if name_of(one) == name)

    def names(self) -> list[str]:
        """The names of all events, in order."""
        return [name_of(one) for _, one in self.told]

    async def until_status(self, true: Callable[[Any], bool], every_s: float = 0.05) -> float:
        """When its status was first seen to be so."""
        async with asyncio.timeout(PATIENCE_S):
            while not true(await self.status()):  # noqa: ASYNC110 - a status tells nobody
                await asyncio.sleep(every_s)
        return time.monotonic()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Self]:
        """Hear all that it tells from now on; at the end the connection is closed."""
        reading = asyncio.get_running_loop().create_task(self.read())
        try:
            await self.ask(subscribe=["*"])
            yield self
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            self.writer.close()

    async def until_mqtt(self, connected: bool) -> float:
        """When it was first seen to reach the broker, or no longer to."""
        return await self.until_status(lambda status: (status["mqtt"] == "connected") is connected)


@dataclass
class FarDoor(Overheard):
    """One that was started in a place of the network."""

    place: Starting = field(kw_only=True)
    process: subprocess.Popen[bytes] = field(kw_only=True)


@asynccontextmanager
async def far_door(
    place: Starting, folder: Path, environ: Mapping[str, str], log: Path | None = None
) -> AsyncIterator[FarDoor]:
    """The demo's door as a daemon in `place`; `environ` says what is configured otherwise."""
    path = folder / "far.sock"
    own = {
        "APPLIANCE_SOCKET": str(path),
        "XDG_STATE_HOME": str(folder / "far-state"),
        "PYTHONUNBUFFERED": "1",
    }
    with (log or folder / "far-door.log").open("ab") as file:
        process = place.start(
            [sys.executable, "-m", "appliance", "run", "--config", shipped("simulated.toml")],
            env={**os.environ, **own, **environ},
            stdout=file,
            stderr=file,
        )
    try:
        reader, writer = await _connected(path, process)
        async with FarDoor(reader, writer, place=place, process=process).listening() as door:
            yield door
    finally:
        process.terminate()
        await asyncio.to_thread(_end, process)


async def _connected(
    path: Path, process: subprocess.Popen[bytes]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            assert process.poll() is None, "the daemon ended; its log says why"
            try:
                return await asyncio.open_unix_connection(path)
            except OSError:
                await asyncio.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
