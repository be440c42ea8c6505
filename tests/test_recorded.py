"""A call is recorded by the daemon, and what another program finds in the file: also after a kill -9.

The daemon is a process of its own on a real broker, told what to do at a prompt; the phone is independent.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.media.reading import Read, read
from tests.parts.mosquitto import Mosquitto, free_port, mosquitto
from tests.parts.need import program
from tests.parts.phone import Phone, phone

__all__ = ["mosquitto"]

pytestmark = pytest.mark.broker

PROJECT = Path(__file__).parents[1]
PATIENCE_S = 60.0
"""Far longer than anything takes; only a fault waits for it."""
FPS = 25
"""Of the simulated board's camera."""
DOOR_HZ, PHONE_HZ = 440, 1200
HEARD = 300
"""Of an amplitude of some 3,000 and more, where nothing of a second is lost on the way."""
CALL = "d" * 32


@dataclass
class Prompt:
    """Somebody at the device's command line."""

    environ: dict[str, str]

    async def types(self, *words: str) -> str:
        """What the command prints."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "appliance", *words, env=self.environ, stdout=PIPE, stderr=PIPE
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def lines(self, *words: str) -> list[dict[str, Any]]:
        """What it prints as JSON Lines."""
        return [json.loads(line) for line in (await self.types(*words)).splitlines()]

    async def told(self, name: str) -> dict[str, Any]:
        """The latest event of that name, once there is one."""
        found: list[dict[str, Any]] = []

        async def is_told() -> bool:
            events = await self.lines("events")
            found.extend(one for one in events if one["type"] == f"appliance.{name}")
            return bool(found)

        await until(is_told)
        return found[-1]


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await true():  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.1)


@pytest.fixture
def prompt(mosquitto: Mosquitto, tmp_path: Path) -> Prompt:
    return Prompt(
        os.environ
        | {
            "PYTHONPATH": str(PROJECT),
            "APPLIANCE_SOCKET": str(tmp_path / "appliance.sock"),
            "STATE_DIRECTORY": str(tmp_path / "state"),
            "APPLIANCE__MQTT__HOST": mosquitto.host,
            "APPLIANCE__MQTT__PORT": str(mosquitto.port),
            "APPLIANCE__HTTP__PORT": str(free_port()),
        }
    )


@asynccontextmanager
async def daemon(prompt: Prompt) -> AsyncIterator[Process]:
    """`appliance run` until it ends, or is to."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "appliance", "run", "--config", "config/simulated.toml"),
        env=prompt.environ,
        cwd=PROJECT,
        stderr=PIPE,
    )
    assert process.stderr is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            while "ready; the page" not in "".join(said[-1:]):
                said.append((await process.stderr.readline()).decode())
                assert said[-1], "".join(said)

        async def is_connected() -> bool:
            status = json.loads(await prompt.types("status"))
            return bool(status["mqtt"] == "connected")

        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(process.stderr.read())  # or it would wait for us
            await until(is_connected)
            yield process
            if process.returncode is None:
                process.terminate()
            await listening
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def talking(prompt: Prompt, broker: Mosquitto) -> AsyncIterator[Phone]:
    """Alice has called the door, and each sees or hears the other."""
    async with phone("alice", broker.host, broker.port) as alice:
        await alice.call(CALL, hertz=PHONE_HZ)
        await alice.hear("ringing")
        await prompt.types("press", "answer")
        await alice.connected()
        await alice.media.until(lambda: len(alice.media.counters) > 10)
        yield alice


async def hears_of_a_recording(alice: Phone, recording: bool) -> None:
    while True:
        told = (await alice.hear("state"))["body"]
        if "recording" in told:
            assert told["recording"] is recording
            return


async def sees(alice: Phone, seconds: float) -> None:
    """So much of the door's picture goes by."""
    first = alice.media.counters[-1]
    async with asyncio.timeout(PATIENCE_S + 2 * seconds), alice.media.changed:
        await alice.media.changed.wait_for(
            lambda: alice.media.counters[-1] >= first + seconds * FPS
        )


async def starts_recording(prompt: Prompt) -> Path:
    answer = json.loads(await prompt.types("ctl", "start_recording"))
    path = Path(answer["path"])
    assert path.parent == Path(prompt.environ["STATE_DIRECTORY"]) / "recordings"
    return path


def probed(path: Path) -> dict[str, Any]:
    """What ffprobe finds in a file, of which it has nothing to complain about."""
    words = "-v error -show_format -show_streams -count_packets -of json"
    done = subprocess.run(
        [program("ffprobe", "ffmpeg"), *words.split(), path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def check_both_sides(found: Read) -> None:
    """Both are heard all the time, and the picture goes on without a gap in it."""
    for second in range(1, int(found.duration_s) - 1):
        assert found.level(DOOR_HZ, second, second + 1) > HEARD, f"the door in second {second}"
        assert found.level(PHONE_HZ, second, second + 1) > HEARD, f"alice in second {second}"
    assert -1 not in found.numbers
    assert found.numbers == sorted(set(found.numbers))


async def test_a_call_is_recorded_and_another_program_plays_it(
    prompt: Prompt, mosquitto: Mosquitto
) -> None:
    async with daemon(prompt), talking(prompt, mosquitto) as alice:
        path = await starts_recording(prompt)
        await hears_of_a_recording(alice, recording=True)
        await sees(alice, 10)
        await prompt.types("ctl", "stop_recording")
        await hears_of_a_recording(alice, recording=False)
        started, stopped = (
            await prompt.told("recording_started"),
            await prompt.told("recording_stopped"),
        )
        assert [one["data"]["path"] for one in (started, stopped)] == [str(path), str(path)]
        lasted_s = stopped["data"]["duration_s"]
        assert lasted_s >= 10

        found = probed(path)
        assert float(found["format"]["duration"]) == pytest.approx(lasted_s, abs=0.2)
        between = datetime.fromisoformat(stopped["time"]) - datetime.fromisoformat(started["time"])
        assert between.total_seconds() == pytest.approx(lasted_s, abs=0.2)
        streams = {one["codec_type"]: one for one in found["streams"]}
        assert {kind: one["codec_name"] for kind, one in streams.items()} == {
            "video": "h264",
            "audio": "opus",
        }
        content = read(path)
        assert int(streams["video"]["nb_read_packets"]) == len(content.numbers)
        check_both_sides(content)

        await prompt.types("ctl", "end_call")
        (call,) = await prompt.lines("calls")
        assert (call["call_id"], call["recording"]) == (CALL, str(path))


async def test_after_a_kill_the_file_plays_and_the_log_names_it(
    prompt: Prompt, mosquitto: Mosquitto
) -> None:
    async with daemon(prompt) as process, talking(prompt, mosquitto) as alice:
        path = await starts_recording(prompt)
        since = time.monotonic()
        await sees(alice, 5)
        process.kill()
        recorded_s = time.monotonic() - since
        last_seen = alice.media.counters[-1]
        await process.wait()

        found = probed(path)
        assert float(found["format"]["duration"]) >= recorded_s - 1
        content = read(path)
        assert content.numbers[-1] >= last_seen - FPS
        check_both_sides(content)
    begun = path.with_name("2026-11-20T09-00-00Z_1a2b3c4d.mp4")
    begun.write_bytes(b"")  # as a cut in its first half second leaves one
    async with daemon(prompt):
        await until(lambda: asyncio.to_thread(lambda: not begun.exists()))
        (call,) = await prompt.lines("calls")
        assert (call["call_id"], call["recording"]) == (CALL, str(path))
        assert (call["reason"], call["ended_at"]) == ("device_restart", None)
        assert path.exists()
