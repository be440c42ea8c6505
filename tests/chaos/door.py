"""The daemon as systemd runs it: whenever it dies it is started again; and a finger on its button."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from tests.parts.mosquitto import free_port

RESTART_S = 0.5
"""As RestartSec of a unit."""
PATIENCE_S = 180.0
"""Far longer than anything takes; only a fault waits for it."""

CONFIG = """
[device]
id = "front-door"
name = "Front door"
board = "simulated"
[security]
unsigned = "{unsigned}"
[contacts.alice]
name = "Alice"
keys = {keys}
may = ["call", "answer"]
[call]
receiver = "user:alice"
ring_timeout_s = {ring_timeout_s}
[audio.speaker]
playback = "silence"
capture = "silence"
[buttons.bell]
pin = "GPIO17"
press = "call"
[relays.door]
pin = "GPIO18"
pulse_s = 3
[call_log]
max_entries = 10000
[panel]
max_presses = 0
"""

DISTRUSTED = ("unsigned", "bad_header", "unverifiable", "forged", "replayed", "unknown_sender")
"""As what nothing is refused that its phone has said, however often the daemon, or the broker, died."""

Item = dict[str, Any]
Start = Callable[..., "subprocess.Popen[bytes]"]


class Gone(Exception):
    """The daemon died before it answered."""


class Door:
    """`async with`: runs until it is left; `kill`, `freeze` and `thaw` are what befalls it."""

    def __init__(
        self,
        start: Start,
        folder: Path,
        environ: Mapping[str, str],
        ring_timeout_s: float,
        *,
        key: str | None,
        config: str = CONFIG,
        stop_post: Callable[[], None] = lambda: None,
    ) -> None:
        """`start` is `subprocess.Popen`, or that of a place in a network lab.

        `key` is that of the phone, and nobody is believed without it; None: everybody is, without one.
        `stop_post` is run after each of its ends and before the next start, as an ExecStopPost; in a
        thread of its own.
        """
        self._stop_post = stop_post
        self.ring_timeout_s = ring_timeout_s
        self.lives = 0
        self.began: dict[str, float] = {}
        """When each call began, by the daemon's word (Unix time, seconds)."""
        self.over: dict[str, float] = {}
        """When each was over: by its word, or with the life in which it began."""
        self.errors: Counter[str] = Counter()
        """What it has told of, by code, in all its lives."""
        self.state = folder / "state"
        self.log = folder / "door.log"
        self._start = start
        self._socket = folder / "door.sock"
        self._config = folder / "door.toml"
        self._config.write_text(
            config.format(
                ring_timeout_s=ring_timeout_s,
                unsigned="refuse" if key else "allow",
                keys=json.dumps([key] if key else []),
            )
        )
        self._environ = {
            **os.environ,
            **environ,
            "APPLIANCE_SOCKET": str(self._socket),
            "STATE_DIRECTORY": str(self.state),
            "APPLIANCE__HTTP__PORT": str(free_port()),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._answers: dict[int, asyncio.Future[Item]] = {}
        self._asked = 0
        self._changed = asyncio.Condition()
        self._stopping = False

    async def __aenter__(self) -> Self:
        self.state.mkdir(exist_ok=True)
        self._running = asyncio.get_running_loop().create_task(self._run())
        await self.answers()
        return self

    async def __aexit__(self, *_: object) -> None:
        """A clean stop, after which everything is on the disk."""
        self._stopping = True
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        await self._running

    # -------------------- its lives

    async def _run(self) -> None:
        while not self._stopping:
            with self.log.open("ab") as log:
                words = [sys.executable, "-m", "appliance", "run", "--config", str(self._config)]
                self._process = self._start(
                    words, env=self._environ, stdout=log, stderr=log, cwd=self.state
                )
            self.lives += 1
            reading = asyncio.get_running_loop().create_task(self._read())
            await asyncio.to_thread(self._process.wait)
            await reading
            await asyncio.to_thread(self._stop_post)
            for call_id in self.began:
                self.over.setdefault(call_id, time.time())
            await self._tell()
            if not self._stopping:
                await asyncio.sleep(RESTART_S)

    async def _read(self) -> None:
        """What this life tells, until its end."""
        process, reader = self._process, None
        assert process is not None
        while reader is None and process.poll() is None:
            try:
                reader, writer = await asyncio.open_unix_connection(self._socket, limit=1 << 22)
            except OSError:
                await asyncio.sleep(0.02)
        if reader is None:
            return
        writer.write(b'{"id": 0, "subscribe": ["*"]}\n')
        self._writer = writer
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                await self._take(json.loads(line))
        self._writer = None
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Gone())
        self._answers.clear()
        writer.close()

    async def _take(self, item: Item) -> None:
        if "ok" in item:
            answer = self._answers.pop(item["id"], None)
            if answer is not None and not answer.done():  # whoever asked may have given up
                answer.set_result(item)
        elif item["type"] == "appliance.outgoing_call_started":
            self.began[item["subject"]] = datetime.fromisoformat(item["time"]).timestamp()
        elif item["type"] == "appliance.call_ended":
            self.over[item["subject"]] = datetime.fromisoformat(item["time"]).timestamp()
        elif item["type"] == "appliance.error":
            self.errors[item["data"]["code"]] += item["data"].get("count") or 1
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    # -------------------- what befalls it

    def kill(self) -> None:
        """As a power cut ends it."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """It stands still, with everything open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on, and does not know that it stood still."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    # -------------------- what is done to it

    async def answers(self) -> float:
        """Wait until it answers; how long that took, in seconds."""
        begin_s = time.monotonic()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await self.ask(status=True)
                except Gone:
                    await asyncio.sleep(0.02)
                else:
                    return time.monotonic() - begin_s

    async def ask(self, **request: Any) -> Item:
        """Its answer; raises Gone."""
        if self._writer is None:
            raise Gone
        self._asked += 1
        answer: asyncio.Future[Item] = asyncio.get_running_loop().create_future()
        self._answers[self._asked] = answer
        self._writer.write(json.dumps({"id": self._asked, **request}).encode() + b"\n")
        return await answer

    async def press(self) -> str | None:
        """A finger on the bell: the call that it began; None where it died over it."""
        before, life = set(self.began), self.lives
        try:
            answer = await self.ask(press="bell", gesture="press")
        except Gone:
            return self._new(before)
        assert answer["ok"], answer
        await self._until(lambda: self._new(before) is not None or self.lives != life)
        return self._new(before)

    def _new(self, before: set[str]) -> str | None:
        found = [call_id for call_id in self.began if call_id not in before]
        assert len(found) <= 1, "one press began two calls"
        return found[0] if found else None

    async def until_over(self, call_id: str) -> None:
        """Wait for that call's end, told or by a death."""
        life = self.lives
        await self._until(lambda: call_id in self.over or self.lives != life)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another command of the appliance, with the daemon's configuration and environment. Blocks."""
        line = [sys.executable, "-m", "appliance", *words, "--config", str(self._config)]
        return subprocess.run(
            line, env=self._environ, capture_output=True, text=True, check=False, cwd=self.state
        )

    async def died(self, life: int) -> None:
        """Wait for the end of that life."""
        process = self._process
        assert process is not None
        if self.lives == life:
            await asyncio.to_thread(process.wait)

    async def _until(self, true: Any) -> None:
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(true)

    def distrusts(self) -> list[str]:
        """What it has refused of its phone's word, as sentences."""
        return [
            f"{self.errors[code]} messages of the phone were {code}"
            for code in DISTRUSTED
            if self.errors[code]
        ]

    def logged(self) -> dict[str, Item]:
        """Its call log, as it lies on the disk: the last word on each call."""
        lines = (self.state / "calls" / "calls.jsonl").read_text().splitlines()
        return {entry["call_id"]: entry for entry in map(json.loads, lines)}
