"""What holds after a restart too."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.calls.inputs import FaultReported
from appliance.model import AudioMode
from appliance.service import memory as module
from appliance.service.memory import Kept, Memory
from tests.panel.inbox import Inbox

QUIET = Kept(
    do_not_disturb=True,
    until=datetime(2026, 11, 22, 6, tzinfo=UTC),
    volumes={AudioMode.SPEAKER: 70, AudioMode.EARPIECE: 0},
)


class Desk:
    """Where the memory lies, and what is said of it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.inbox = Inbox()

    def memory(self) -> Memory:
        return Memory(self.file, self.inbox.post)

    def faults(self) -> list[str]:
        return [fault.message for fault in self.inbox.of(FaultReported)]

    async def until_written(self, kept: Kept) -> None:
        async with asyncio.timeout(30):
            while not self.file.exists() or self.memory().kept != kept:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "state" / "memory.json")


async def test_nothing_is_remembered_at_first_and_nothing_written(desk: Desk) -> None:
    async with desk.memory() as memory:
        assert memory.kept == Kept()
        memory.keep(Kept())
    assert not desk.file.exists()
    assert desk.faults() == []


async def test_what_is_kept_is_there_after_a_clean_stop(desk: Desk) -> None:
    async with desk.memory() as memory:
        memory.keep(QUIET)
    assert desk.memory().kept == QUIET
    assert json.loads(desk.file.read_text()) == {
        "do_not_disturb": True,
        "until": "2026-11-22T06:00:00Z",
        "scheduled": False,
        "quiet_overruled": False,
        "volumes": {"speaker": 70, "earpiece": 0},
    }


async def test_it_is_written_soon_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOON_S", 0.001)
    async with desk.memory() as memory:
        memory.keep(QUIET)
        await desk.until_written(QUIET)
        memory.keep(Kept())
        await desk.until_written(Kept())


async def test_a_knob_that_is_turned_is_not_many_writes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[bytes] = []
    real = Memory._put

    def put(self: Memory, data: bytes) -> None:
        writes.append(data)
        real(self, data)

    monkeypatch.setattr(Memory, "_put", put)
    async with desk.memory() as memory:
        for percent in range(100):
            memory.keep(Kept(volumes={AudioMode.SPEAKER: percent}))
            await asyncio.sleep(0)
    assert len(writes) == 1
    assert desk.memory().kept.volumes == {AudioMode.SPEAKER: 99}


async def test_what_is_the_same_again_is_not_written_again(desk: Desk) -> None:
    async with desk.memory() as memory:
        memory.keep(QUIET)
    desk.file.unlink()
    async with Memory(desk.file, desk.inbox.post) as memory:
        memory.keep(QUIET)
        memory.keep(Kept())
    assert not desk.file.exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"volumes": {"loud": 1}}', '{"do_not_disturb": 1}', "\udcff"]
)
async def test_a_broken_file_is_put_aside_and_told_of(desk: Desk, text: str) -> None:
    desk.file.parent.mkdir()
    desk.file.write_bytes(text.encode(errors="surrogateescape"))
    aside = desk.file.with_name("memory.json.broken")
    async with desk.memory() as memory:
        assert memory.kept == Kept()
        (sentence,) = desk.faults()
        assert sentence.startswith(f"{desk.file} cannot be understood")
        assert sentence.endswith(f"(it lies in {aside} now)")
        memory.keep(QUIET)
    assert aside.read_bytes() == text.encode(errors="surrogateescape")
    assert desk.memory().kept == QUIET
    assert len(desk.faults()) == 1


async def test_a_disk_that_fails_is_told_of_and_tried_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SOON_S", 0.001)
    async with desk.memory() as memory:
        desk.file.parent.touch()  # a file, where a folder is to be
        memory.keep(QUIET)
        await desk.inbox.until(lambda: bool(desk.faults()))
        assert "cannot be written" in desk.faults()[-1]
        desk.file.parent.unlink()
    assert desk.memory().kept == QUIET


async def test_the_disk_is_never_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOON_S", 0.001)
    gate, begun = threading.Event(), threading.Event()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        begun.set()
        gate.wait()
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    async with desk.memory() as memory:
        memory.keep(QUIET)
        await asyncio.to_thread(begun.wait)
        memory.keep(Kept(quiet_overruled=True))
        gate.set()
    assert desk.memory().kept == Kept(quiet_overruled=True)
