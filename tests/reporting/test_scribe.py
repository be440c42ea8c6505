"""Lines come to the disk in their order, as soon as they can, and nobody waits for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.reporting.ledger import Ledger
from appliance.reporting.scribe import Scribe


class Desk:
    """A ledger with one line, and what its scribe tells."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder)
        self.ledger.rewrite([b"0"])
        self.told: list[tuple[int, str | None]] = []

    def scribe(self, handover_s: float = 30.0) -> Scribe:
        return Scribe(self.ledger, self._tell, handover_s)

    def _tell(self, number: int, error: OSError | None) -> None:
        self.told.append((number, error.strerror if error else None))

    def lines(self) -> list[bytes]:
        return self.ledger.file.read_bytes().splitlines()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "calls")


class Held:
    """A call of the disk's that takes until `gate` is set; `calls` is how many there were."""

    def __init__(self, really: Callable[[int], None]) -> None:
        self._really = really
        self.calls = 0
        self.begun, self.gate = threading.Event(), threading.Event()

    def __call__(self, descriptor: int) -> None:
        self.calls += 1
        self.begun.set()
        self.gate.wait()
        self._really(descriptor)


async def test_a_line_is_with_the_kernel_at_once_and_told_of_when_the_disk_has_it(
    desk: Desk,
) -> None:
    async with desk.scribe() as scribe:
        scribe.hand_over(b"1", 1)
        assert desk.lines() == [b"0", b"1"]
        assert desk.told == []
        await scribe.append([b"2", b"3"], 3)
        assert desk.lines() == [b"0", b"1", b"2", b"3"]
        await scribe.finish()
        assert desk.told[-1] == (3, None)
        await scribe.rewrite([b"3"], 4)
        assert desk.told[-1] == (4, None)
    assert desk.lines() == [b"3"]


async def test_what_comes_while_the_disk_is_at_work_is_taken_in_one_go(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = Held(os.fsync)
    monkeypatch.setattr(os, "fsync", fsync)
    async with desk.scribe() as scribe:
        scribe.hand_over(b"1", 1)
        assert fsync.begun.wait(30)
        for number in range(2, 9):
            scribe.hand_over(b"%d" % number, number)
        assert desk.lines()[-1] == b"8", "and nobody has waited for the disk"
        fsync.gate.set()
        await scribe.finish()
    assert desk.told == [(1, None), (8, None)]
    assert fsync.calls == 2


async def test_a_kernel_that_takes_its_time_is_not_waited_for_and_the_order_is_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, append = threading.Event(), desk.ledger.append
    monkeypatch.setattr(desk.ledger, "append", lambda lines: (gate.wait(), append(lines)))
    async with desk.scribe(0.01) as scribe:
        scribe.hand_over(b"1", 1)
        scribe.hand_over(b"2", 2)
        assert desk.lines() == [b"0"]
        gate.set()
        await scribe.append([b"3"], 3)
    assert desk.lines() == [b"0", b"1", b"2", b"3"]
    assert desk.told[-1] == (3, None)


async def test_what_is_refused_is_raised_or_told_where_nobody_waits_any_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def refuse(_: object) -> None:
        gate.wait()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(desk.ledger, "append", refuse)
    async with desk.scribe(0.01) as scribe:
        scribe.hand_over(b"1", 1)
        gate.set()
        await scribe.finish()
        with pytest.raises(OSError, match="No space"):
            await scribe.append([b"2"], 2)
        scribe._handover_s = 30
        with pytest.raises(OSError, match="No space"):
            scribe.hand_over(b"3", 3)
    assert desk.told == [(1, "No space left on device")]


async def test_a_disk_that_refuses_is_told_of(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    async with desk.scribe() as scribe:
        scribe.hand_over(b"1", 1)
        await scribe.finish()
        assert desk.told == [(1, "Input/output error")]
