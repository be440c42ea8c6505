"""A whole appliance is set up, rung, recorded and switched; power is cut at every instant of it.

What it asked of the disk is recorded once; then everything that a disk which keeps no order may hold
after a cut (`tests/parts/powercut.py`) is read by what reads it at the start. Nothing is torn, nothing is
lost that somebody was told, and some of it is started as a whole. STARTS=100 starts more of them, DICE=1000
tries more of what there is too much of.
"""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import pytest

from appliance.calls.effects import Sound
from appliance.model import Gesture
from appliance.panel import safe
from appliance.reporting import calllog
from appliance.reporting.ledger import Ledger
from appliance.service.memory import Memory
from appliance.signaling import sequence
from appliance.trust import book, keys
from appliance.trust.keys import DeviceKey
from tests.parts.ear import Ear
from tests.parts.house import House, config_for, house
from tests.parts.powercut import Left, instants
from tests.parts.writes import Record, recorded

NO_BROKER = config_for(1)
"""Nobody listens there: the rings of this test are during an outage."""
STARTS = int(os.environ.get("STARTS", "2"))
DICE = int(os.environ.get("DICE", "16"))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine's disk takes its time, and no test is wrong for that."""
    monkeypatch.setattr(calllog, "ASKED_S", 120.0)


@dataclass(frozen=True)
class Relied:
    """What somebody was told: of this kind, under this name, this."""

    kind: str
    name: str
    what: Any


async def lives(record: Record, folder: Path) -> None:
    """Two lives of a door without a network, and what is done in them."""
    phone = DeviceKey.make()
    for life in range(2):
        async with house(NO_BROKER, folder, connected=False) as door:
            app = door.appliance
            assert app.key is not None
            record.told(Relied("key", "it", app.key.public))
            used = int((app.folder / sequence.FILE).read_bytes())
            record.told(Relied("numbers", "it", used))
            kid = await app.contacts.add("dora", "Dora", phone.public, ())
            record.told(Relied("paired", kid, True))
            await rings(record, door)
            await is_recorded(record, door)
            for percent in (10 + 20 * life, 20 + 20 * life):
                await app.session.set_volume(percent)
            await app.contacts.revoke("dora")
            record.told(Relied("revoked", kid, True))
            phone = DeviceKey.make()
            await rings(record, door)
        record.told(Relied("volume", "speaker", 20 + 20 * life))


async def rings(record: Record, door: House) -> None:
    """A press that rings nobody, since there is no network; it is in the log, with who stood there."""
    app = door.appliance
    assert app.calls is not None
    door.told.clear()
    await app.board.press("call", Gesture.PRESS)
    call_id = (await door.until("outgoing_call_started"))["subject"]
    assert [one["call_id"] for one in await app.calls.kept(1)] == [call_id]
    record.told(Relied("call", call_id, None))
    await door.until_true(
        lambda: app.calls is not None and bool(app.calls.entries(1)[0]["picture"])
    )
    await app.session.leave_session()
    await door.until("call_ended")
    kept = await app.calls.kept(1)
    record.told(Relied("call", call_id, kept[0]["reason"]))


async def is_recorded(record: Record, door: House) -> None:
    """Somebody is alone in a session, and records it."""
    session = door.appliance.session
    door.told.clear()
    made: Any = await session.generate_token("s" * 32, uid="front-door")
    await session.start_session(made["token"])
    await door.until("session_joined")
    path = (await session.start_recording())["path"]
    await door.until_true(lambda: Path(str(path)).stat().st_size > 2000)
    await session.stop_recording()
    await door.until("recording_stopped")
    record.told(Relied("recording", Path(str(path)).name, True))
    await session.leave_session()
    await door.until("call_ended")


# -------------------- what may be left, and who reads it


def key(folder: Path, relied: Mapping[str, Any]) -> None:
    if relied or (folder / keys.FILE).exists():
        found = DeviceKey.from_pem((folder / keys.FILE).read_bytes(), keys.FILE).public
        assert relied.get("it", found) == found


def numbers(folder: Path, relied: Mapping[str, Any]) -> None:
    file = folder / sequence.FILE
    if relied or file.exists():
        assert int(file.read_bytes()) >= relied.get("it", 0)


def contacts(folder: Path, relied: Mapping[str, Any]) -> None:
    book.read(folder / book.FILE)


def paired(folder: Path, relied: Mapping[str, Any]) -> None:
    there = book.read(folder / book.FILE).contacts
    known = {keys.PublicKey.read(one).kid for each in there.values() for one in each.keys}
    known |= {kid for each in there.values() for kid in each.revoked}
    assert relied.keys() <= known


def revoked(folder: Path, relied: Mapping[str, Any]) -> None:
    there = book.read(folder / book.FILE).contacts
    assert relied.keys() <= {kid for each in there.values() for kid in each.revoked}


def call(folder: Path, relied: Mapping[str, Any]) -> None:
    entries, faults = Ledger(folder / "calls").load()
    there = {one.call_id: one for one in entries}
    for call_id, reason in relied.items():
        assert reason in (None, there[call_id].reason)
    for one in entries:
        if one.picture is not None:
            jpeg = (folder / "calls" / "pictures" / one.picture).read_bytes()
            assert jpeg[:2] + jpeg[-2:] == b"\xff\xd8\xff\xd9"
    # a line that nobody relied on may be torn, which is told; no more than that is
    assert len(faults) <= 2


def volume(folder: Path, relied: Mapping[str, Any]) -> None:
    memory = Memory(folder / "memory.json", print)
    assert memory._fault_at_start is None
    if relied:
        assert memory.kept.volumes["speaker"] >= relied["speaker"]  # type: ignore[index]


def driven(folder: Path, relied: Mapping[str, Any]) -> None:
    safe.noted(folder)  # or what is configured counts


def recording(folder: Path, relied: Mapping[str, Any]) -> None:
    for name in relied:
        with av.open(str(folder / "recordings" / name)) as film:
            assert film.duration


READERS: Mapping[str, tuple[tuple[str, ...], Callable[[Path, Mapping[str, Any]], None]]] = {
    "key": ((keys.FILE,), key),
    "numbers": ((sequence.FILE,), numbers),
    "contacts": ((book.FILE,), contacts),
    "paired": ((book.FILE,), paired),
    "revoked": ((book.FILE,), revoked),
    "call": (("calls/",), call),
    "volume": (("memory.json",), volume),
    "driven": ((safe.NOTED,), driven),
    "recording": (("recordings/",), recording),
}
"""By the kind of what is relied on: the files below the state folder, and what reads them."""


class Readers:
    """Each reads what it has not read yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: set[object] = set()
        self.read = 0

    def look(self, left: Left, told: Mapping[str, Mapping[str, Any]]) -> None:
        for kind, (names, reads) in READERS.items():
            files = {
                name.removeprefix("state/"): held
                for name, held in left.files.items()
                if name.removeprefix("state/").startswith(names)
            }
            relied = told.get(kind, {})
            state = kind, frozenset(files.items()), frozenset(relied.items())
            if state not in self._seen:
                self._seen.add(state)
                self.read += 1
                state_folder = self._folder / f"{self.read}"
                for name in files:
                    (state_folder / name).parent.mkdir(parents=True, exist_ok=True)
                state_folder.mkdir(exist_ok=True)
                Left(files, frozenset()).put(state_folder)
                reads(state_folder, relied)
                shutil.rmtree(state_folder)


def by_kind(told: Any) -> dict[str, dict[str, Any]]:
    """The last word on each."""
    found: dict[str, dict[str, Any]] = {}
    for one in told:
        found.setdefault(one.kind, {})[one.name] = one.what
    return found


@pytest.mark.timeout(600)
async def test_whenever_power_is_cut_it_starts_with_all_that_somebody_was_told(
    tmp_path: Path,
) -> None:
    lived = tmp_path / "lived"
    lived.mkdir()
    with recorded(lived) as record:
        await lives(record, lived)
    readers = Readers(tmp_path)
    states: list[tuple[Left, dict[str, dict[str, Any]]]] = []
    for instant in instants(record, many=DICE):
        told = by_kind(instant.told)
        for left in instant.left:
            readers.look(left, told)
            states.append((left, told))
    assert readers.read > 100
    assert {kind for kind in READERS if kind not in ("contacts", "driven")} == states[-1][1].keys()
    dice = random.Random(1)
    for number, (left, told) in enumerate(dice.sample(states, STARTS)):
        await starts(tmp_path / f"start-{number}", left, told)


async def starts(folder: Path, left: Left, told: Mapping[str, Mapping[str, Any]]) -> None:
    """The whole of it, and it rings."""
    folder.mkdir()
    left.put(folder)
    async with house(NO_BROKER, folder, connected=False) as door:
        status = door.appliance.session.status()
        assert set(status["faults"].values()) <= {"call_log_failed"}, "of a line that was torn"
        assert door.appliance.calls is not None
        known = {one["call_id"] for one in door.appliance.calls.entries(99)}
        assert told.get("call", {}).keys() <= known
        await door.appliance.board.press("call", Gesture.PRESS)
        await door.until("outgoing_call_started")
        await door.appliance.session.leave_session()
        await door.until("call_ended")


# -------------------- and the bell waits for none of it


async def test_a_disk_that_hangs_keeps_nobody_from_ringing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Light, chime and event, with a kernel that takes no line and a disk that answers no sync."""
    gate = threading.Event()
    append, fsync = Ledger.append, os.fsync
    async with house(NO_BROKER, tmp_path, connected=False) as door:
        chime: Any = door.appliance.board._chime
        ear = chime._output = Ear()
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "append", lambda *given: (gate.wait(), append(*given)))
            patch.setattr(os, "fsync", lambda descriptor: (gate.wait(), fsync(descriptor)))
            try:
                await door.appliance.board.press("call", Gesture.PRESS)
                call_id = (await door.until("outgoing_call_started"))["subject"]
                await door.until_true(lambda: Sound.CHIME in ear.heard)
                await door.until_true(
                    lambda: door.appliance.board.status()["leds"]["status"]["lit"] is True
                )
                assert (tmp_path / "state" / "calls" / "calls.jsonl").read_bytes() == b""
            finally:
                gate.set()
            assert door.appliance.calls is not None
            assert [one["call_id"] for one in await door.appliance.calls.kept(9)] == [call_id]
        await door.appliance.session.leave_session()
        await door.until("call_ended")
