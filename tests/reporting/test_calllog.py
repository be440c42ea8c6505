"""Every ring and its outcome is kept, over restarts and sudden ends, with who stood there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
import threading
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from appliance import config
from appliance.bus import Bus
from appliance.calls.inputs import FaultReported
from appliance.errors import Refused
from appliance.events import (
    AudioMuted,
    CallBackRequested,
    CallEnded,
    Error,
    Event,
    IncomingCallAccepted,
    IncomingCallDeclined,
    IncomingCallReceived,
    InvitationUserStateChanged,
    OutgoingCallAccepted,
    OutgoingCallStarted,
    RecordingStarted,
    SessionJoined,
)
from appliance.model import (
    Call,
    CallDirection,
    Callee,
    CalleeState,
    CallEndReason,
    Caller,
    CallState,
    CallType,
    Receiver,
    ReceiverType,
    RejectReason,
)
from appliance.reporting import calllog
from appliance.reporting.calllog import CallLog
from appliance.reporting.ledger import MIN_FREE_BYTES, Ledger
from tests.panel.inbox import Inbox

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
JPEG = b"\xff\xd8 somebody with a parcel \xff\xd9"
FILE = "calls.jsonl"


def ring(call_id: str = "c1", **changes: Any) -> Call:
    """This door rings at Alice and Bob."""
    call = Call(
        call_id=call_id,
        session_id=f"s-{call_id}",
        direction=CallDirection.OUTGOING,
        type=CallType.VIDEO,
        state=CallState.OUTGOING,
        caller=Caller("front-door", "Front door"),
        receiver=Receiver(ReceiverType.GROUP, "residents"),
        callees=(
            Callee("alice", "Alice", CalleeState.INVITING),
            Callee("bob", None, CalleeState.OFFLINE),
        ),
        started_at=NOON,
    )
    return msgspec.structs.replace(call, **changes)


def visit(call_id: str = "v1", **changes: Any) -> Call:
    """Alice calls this door."""
    fields = {
        "direction": CallDirection.INCOMING,
        "state": CallState.INCOMING,
        "caller": Caller("alice", "Alice"),
        "receiver": Receiver(ReceiverType.USER, "front-door"),
        "callees": (),
    }
    return ring(call_id, **(fields | changes))


class Camera:
    """Gives a picture, or what it is told to."""

    def __init__(self) -> None:
        self.pictures: list[bytes | Exception | None] = []
        self.asked = 0

    async def snapshot(self) -> bytes | None:
        self.asked += 1
        picture = self.pictures.pop(0) if self.pictures else None
        if isinstance(picture, Exception):
            raise picture
        return picture


class Office:
    """A call log, and the bus that it listens to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.camera = Camera()
        self.inbox = Inbox()
        self.handover_s = 30.0

    @asynccontextmanager
    async def day(self, max_entries: int = 200) -> AsyncIterator[Office]:
        """From a start of the daemon to its clean stop."""
        section = config.CallLog(directory=str(self.folder), max_entries=max_entries)
        async with CallLog(
            section,
            self.camera.snapshot,
            self.inbox.post,
            doors=["door"],
            picture_after_s=0.001,
            handover_s=self.handover_s,
        ) as self.log:
            self.bus = Bus("front-door", clock=lambda: NOON + timedelta(seconds=30))
            self.bus.sinks.append(self.log.see)
            yield self

    def tell(self, event: Event, call_id: str | None = "c1") -> None:
        self.bus.publish(event, call_id)

    def rings(self, call_id: str = "c1") -> None:
        self.tell(OutgoingCallStarted(ring(call_id)), call_id)

    def ends(self, call: Call, reason: CallEndReason, duration_s: float = 0.0) -> None:
        ended = msgspec.structs.replace(call, state=CallState.ENDED)
        self.tell(CallEnded(ended, reason, None, duration_s), call.call_id)

    def only(self) -> dict[str, Any]:
        (entry,) = self.log.entries(10)
        return entry

    def ids(self) -> list[str]:
        return [entry["call_id"] for entry in self.log.entries(100)]

    def faults(self) -> list[str]:
        return [fault.message for fault in self.inbox.of(FaultReported)]

    def files(self) -> set[str]:
        return {str(one.relative_to(self.folder)) for one in self.folder.rglob("*.*")}

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not true():  # noqa: ASYNC110 - the disk tells nobody
                await asyncio.sleep(0.005)

    async def photographed(self) -> None:
        await self.until(lambda: self.log.entries(1)[0]["picture"] is not None)


@pytest.fixture
async def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "calls")


# -------------------- what is kept


async def test_a_ring_that_is_answered(office: Office) -> None:
    async with office.day():
        office.rings()
        first = office.only()
        assert first == {
            "id": first["id"],
            "call_id": "c1",
            "session_id": "s-c1",
            "direction": "outgoing",
            "type": "video",
            "caller": {"uid": "front-door", "name": "Front door"},
            "receiver": {"type": "group", "id": "residents", "name": None},
            "callees": [
                {"uid": "alice", "name": "Alice", "state": "inviting"},
                {"uid": "bob", "name": None, "state": "offline"},
            ],
            "started_at": "2026-11-21T12:00:00.000Z",
            "answered_at": None,
            "answered_by": None,
            "ended_at": None,
            "duration_s": None,
            "reason": None,
            "error": None,
            "kicked_by": None,
            "missed": False,
            "called_back": False,
            "unlocked": False,
            "recording": None,
            "picture": None,
        }
        alice = Callee("alice", "Alice", CalleeState.ACCEPTED, {"secret": "of hers"})
        answered = ring(callees=(alice,), answered_by="alice", answered_at=NOON)
        office.tell(OutgoingCallAccepted(answered, alice))
        office.tell(RecordingStarted("/var/lib/c1.mp4"))
        office.tell(AudioMuted())
        office.ends(answered, CallEndReason.REMOTE_HANG_UP, 12.5)
        assert office.only() == first | {
            "callees": [{"uid": "alice", "name": "Alice", "state": "accepted"}],
            "answered_at": "2026-11-21T12:00:00.000Z",
            "answered_by": "alice",
            "ended_at": "2026-11-21T12:00:30.000Z",
            "duration_s": 12.5,
            "reason": "remote_hang_up",
            "recording": "/var/lib/c1.mp4",
        }


@pytest.mark.parametrize(
    ("reason", "missed"),
    [
        (CallEndReason.TIMED_OUT, True),
        (CallEndReason.CANCELLED, True),
        (CallEndReason.REJECTED, False),
        (CallEndReason.ANSWERED_ELSEWHERE, False),
    ],
)
async def test_a_call_that_nobody_took_here_is_missed_until_it_is_called_back(
    office: Office, reason: CallEndReason, missed: bool
) -> None:
    async with office.day():
        office.tell(IncomingCallReceived(visit()), "v1")
        office.ends(visit(), reason)
        assert office.only()["missed"] is missed
    async with office.day():
        found = [*office.log.missed()]
        expected = msgspec.structs.replace(visit(), state=CallState.ENDED)
        assert found == ([expected] if missed else [])
        for call in found:
            office.tell(CallBackRequested(call), None)
            assert office.log.missed() == ()
    async with office.day():
        assert office.log.missed() == ()
        assert office.only()["missed"] is missed


async def test_what_the_core_holds_to_be_missed_is_missed_until_it_does_no_more(
    office: Office,
) -> None:
    """In quiet hours a caller finds the line busy, and is missed all the same."""
    async with office.day():
        office.log.watch({}, ())
        for call_id in ("v1", "v2"):
            call = visit(call_id)
            office.tell(IncomingCallDeclined(call, RejectReason.BUSY), call_id)
            office.ends(call, CallEndReason.BUSY)
        assert office.log.missed() == ()
        office.log.watch({}, (visit("v1"),))
        office.log.watch({}, (visit("v1"), visit("v2")))
        assert [call.call_id for call in office.log.missed()] == ["v1", "v2"]
        office.log.watch({}, (visit("v2"),))  # Alice has been talked with
    async with office.day():
        assert [call.call_id for call in office.log.missed()] == ["v2"]
        office.log.watch({}, office.log.missed())
        office.log.watch({}, ())
        assert office.log.missed() == ()


async def test_one_that_makes_room_for_a_newer_one_has_not_been_called_back(
    office: Office,
) -> None:
    async with office.day():
        office.log.watch({}, ())
        for call_id in ("v1", "v2"):
            office.tell(IncomingCallReceived(visit(call_id)), call_id)
            office.ends(visit(call_id), CallEndReason.TIMED_OUT)
            office.log.watch({}, (visit(call_id),))
        assert [entry["called_back"] for entry in office.log.entries(2)] == [False, False]


async def test_an_own_call_that_nobody_took_is_not_missed(office: Office) -> None:
    async with office.day():
        office.rings()
        office.ends(ring(), CallEndReason.TIMED_OUT)
        assert office.log.missed() == ()


async def test_why_a_call_failed_is_kept(office: Office) -> None:
    async with office.day():
        office.rings()
        office.tell(Error("nobody_to_call", "nobody of residents has the right to answer", None, 1))
        office.ends(ring(), CallEndReason.FAILED)
        assert (office.only()["reason"], office.only()["error"]) == ("failed", "nobody_to_call")
    async with office.day():
        assert office.only()["error"] == "nobody_to_call"


async def test_an_error_in_a_call_that_ended_well_is_not_why_it_ended(office: Office) -> None:
    async with office.day():
        office.rings()
        office.tell(Error("picture_failed", "there is no picture", None, 1))
        office.ends(ring(), CallEndReason.TIMED_OUT)
        assert office.only()["error"] is None


async def test_a_caller_that_finds_the_line_busy_is_kept_too(office: Office) -> None:
    async with office.day():
        office.tell(IncomingCallDeclined(visit(), RejectReason.BUSY), "v1")
        office.ends(visit(), CallEndReason.BUSY)
        assert office.only()["reason"] == "busy"
        assert office.only()["direction"] == "incoming"


async def test_a_direct_session_is_kept_once_for_each_time_it_is_entered(office: Office) -> None:
    async with office.day():
        for _ in range(2):
            office.tell(SessionJoined("s1", "s1"), "s1")
            assert office.log.entries(1)[0]["session_id"] == "s1"
            office.ends(ring("s1", session_id="s1"), CallEndReason.LOCAL_HANG_UP)
        assert office.ids() == ["s1", "s1"]
        assert len({entry["id"] for entry in office.log.entries(9)}) == 2


async def test_what_each_callee_makes_of_it_is_kept(office: Office) -> None:
    async with office.day():
        office.rings()
        callees = (Callee("alice", "Alice", CalleeState.REJECTED),)
        office.tell(InvitationUserStateChanged(ring(callees=callees), callees))
        assert office.only()["callees"][0]["state"] == "rejected"


async def test_a_door_that_is_opened_in_a_call_is_noted(office: Office) -> None:
    async with office.day():
        office.log.watch({"door": True}, ())
        office.rings()
        office.log.watch({"door": True, "gong": True}, ())
        assert office.only()["unlocked"] is False
        office.log.watch({"door": False}, ())
        office.log.watch({"door": True}, ())
        assert office.only()["unlocked"] is True


# -------------------- who stood there


async def test_a_ring_has_a_picture(office: Office) -> None:
    office.camera.pictures = [JPEG]
    async with office.day():
        office.rings()
        await office.photographed()
        entry = office.only()
        file = office.folder / "pictures" / entry["picture"]
        assert file.read_bytes() == JPEG
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    async with office.day():
        assert office.only()["picture"] == entry["picture"]


async def test_an_incoming_call_has_its_picture_once_the_camera_may_look(office: Office) -> None:
    office.camera.pictures = [None, JPEG]
    async with office.day():
        office.tell(IncomingCallReceived(visit()), "v1")
        await office.until(lambda: office.camera.asked >= 1)
        office.tell(IncomingCallAccepted(visit()), "v1")
        await office.photographed()
        office.tell(SessionJoined("s-v1", "v1"), "v1")
    # who looks for the answered call may ask again while the picture is being written
    assert office.camera.asked >= 2


async def test_a_call_that_is_answered_at_once_has_one_picture(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.camera.pictures = [JPEG, JPEG]
    kept: list[str] = []
    async with office.day():
        ledger = office.log._ledger
        keep = ledger.keep_picture
        both_looked = threading.Event()

        def slowly(name: str, jpeg: bytes) -> None:
            kept.append(name)
            both_looked.wait(30)
            keep(name, jpeg)

        monkeypatch.setattr(ledger, "keep_picture", slowly)
        office.tell(IncomingCallReceived(visit()), "v1")
        office.tell(IncomingCallAccepted(visit()), "v1")
        await office.until(lambda: office.camera.asked == 2)
        both_looked.set()
        await office.photographed()
    assert len(kept) == 1
    assert office.faults() == []


async def test_a_call_of_sound_alone_has_none(office: Office) -> None:
    async with office.day():
        office.tell(OutgoingCallStarted(ring(type=CallType.AUDIO)))
        office.rings("c2")
        await office.until(lambda: office.camera.asked >= 1)
        assert office.log.entries(2)[1]["picture"] is None


@pytest.mark.parametrize(
    ("error", "why"), [(RuntimeError("no frames"), "no frames"), (TimeoutError(), "TimeoutError")]
)
async def test_a_camera_that_fails_costs_the_picture_alone(
    office: Office, error: Exception, why: str
) -> None:
    office.camera.pictures = [error]
    async with office.day():
        office.rings()
        await office.inbox.until(lambda: bool(office.faults()))
        assert office.faults() == [f"there is no picture of who rang: {why}"]
        assert office.only()["picture"] is None


# -------------------- the limit


async def test_the_oldest_go_with_their_pictures(office: Office) -> None:
    office.camera.pictures = [JPEG, JPEG, JPEG]
    async with office.day(max_entries=2):
        for number in range(3):
            office.rings(f"c{number}")
            await office.photographed()
        assert office.ids() == ["c2", "c1"]
        kept = {f"pictures/{entry['picture']}" for entry in office.log.entries(9)}
    assert office.files() == {FILE, *kept}
    async with office.day(max_entries=1):
        assert office.ids() == ["c2"]
    assert len(office.files()) == 2


async def test_a_limit_of_none_keeps_nothing_and_forgets_what_was(office: Office) -> None:
    async with office.day(max_entries=0):
        office.rings()
        assert office.log.entries(9) == []
    assert office.files() == set()
    office.camera.pictures = [JPEG]
    async with office.day():
        office.rings()
        await office.photographed()
    async with office.day(max_entries=0):
        assert office.log.missed() == ()
    assert office.files() == {FILE}
    assert (office.folder / FILE).read_bytes() == b""


async def test_the_file_does_not_grow_for_ever(office: Office) -> None:
    async with office.day(max_entries=2):
        for number in range(150):
            office.rings(f"c{number}")
            await office.until(lambda: not office.log._changed)
        await office.until(lambda: '"c149"' in (office.folder / FILE).read_text())
        assert (office.folder / FILE).read_text().count("\n") <= 2 * 2 + 100
        assert office.ids() == ["c149", "c148"]


# -------------------- ends, clean and sudden


async def test_nothing_is_lost_at_a_clean_stop(office: Office) -> None:
    async with office.day(max_entries=10_000):
        for number in range(500):
            office.rings(f"c{number}")
    async with office.day(max_entries=10_000):
        assert office.ids()[0] == "c499"
        assert len(office.log.entries(10_000)) == 500
    assert office.faults() == []


async def test_a_torn_last_line_is_dropped_and_told_of_and_the_rest_kept(office: Office) -> None:
    async with office.day():
        office.rings("c1")
        office.ends(ring("c1"), CallEndReason.TIMED_OUT)
        office.rings("c2")
    file = office.folder / FILE
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines) + lines[0][:100])
    async with office.day():
        assert office.ids() == ["c2", "c1"]
        assert office.faults() == [f"{file}: its last line was torn by a sudden end and is dropped"]
        office.rings("c3")
    async with office.day():
        assert office.ids() == ["c3", "c2", "c1"]
    assert len(office.faults()) == 1


async def test_lines_that_cannot_be_read_cost_themselves(office: Office) -> None:
    async with office.day():
        office.rings("c1")
    file = office.folder / FILE
    file.write_bytes(b'\xff\xff\n[]\n{"id": 7}\n' + file.read_bytes())
    async with office.day():
        assert office.ids() == ["c1"]
    assert office.faults() == [f"{file}: 3 of its lines cannot be read and are dropped"]


async def test_pictures_that_belong_to_nobody_are_swept_up(office: Office) -> None:
    async with office.day():
        office.rings()
    (office.folder / "pictures").mkdir()
    for name in ("left.jpg", "half.jpg.new", "mine.txt"):
        (office.folder / "pictures" / name).touch()
    async with office.day():
        pass
    assert office.files() == {FILE, "pictures/mine.txt"}


DIES = """
import asyncio, os, signal, sys
from appliance import config
from appliance.bus import Bus
from appliance.events import CallEnded, OutgoingCallStarted, IncomingCallReceived
from appliance.model import CallEndReason
from appliance.reporting.calllog import CallLog
from tests.reporting.test_calllog import ring, visit

async def nothing():
    return None

async def main():
    log = CallLog(config.CallLog(directory=sys.argv[1]), nothing, print)
    await log.__aenter__()
    bus = Bus("front-door")
    bus.sinks.append(log.see)
    bus.publish(OutgoingCallStarted(ring()), "c1")
    bus.publish(IncomingCallReceived(visit()), "v1")
    bus.publish(OutgoingCallStarted(ring("c2")), "c2")
    bus.publish(CallEnded(ring("c2"), CallEndReason.BUSY, None, 0.0), "c2")
    while log._changed or not log._ledger._whole:
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_call_that_ran_when_the_daemon_was_killed_has_ended_at_the_next_start(
    office: Office,
) -> None:
    died = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DIES, str(office.folder), cwd=Path(__file__).parents[2]
    )
    assert await died.wait() == -signal.SIGKILL
    async with office.day():
        entries = {entry["call_id"]: entry for entry in office.log.entries(9)}
        assert {name: one["reason"] for name, one in entries.items()} == {
            "c1": "device_restart",
            "v1": "device_restart",
            "c2": "busy",
        }
        assert entries["c1"]["ended_at"] is None
        assert [call.call_id for call in office.log.missed()] == ["v1"]
    async with office.day():
        assert len(office.log.entries(9)) == 3
    assert office.faults() == []


# -------------------- the disk fails


async def test_a_folder_that_cannot_be_had_is_told_of_and_the_log_goes_on(office: Office) -> None:
    office.folder.touch()
    async with office.day():
        office.rings()
        await office.inbox.until(lambda: bool(office.faults()))
        assert office.ids() == ["c1"]
        office.folder.unlink()
    assert "Not a directory" in office.faults()[0]
    async with office.day():
        assert office.ids() == ["c1"]


async def test_what_the_disk_did_not_take_is_written_with_the_next_change_or_at_the_end(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync
    full = True

    def fsync(descriptor: int) -> None:
        if full:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - 10)  # it took a part
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    async with office.day():
        office.rings("c1")
        await office.inbox.until(lambda: bool(office.faults()))
        full = False
    async with office.day():
        assert office.ids() == ["c1"]
        full = True
        office.rings("c2")
        await office.inbox.until(lambda: len(office.faults()) == 2)
        full = False
        office.rings("c3")
    async with office.day():
        assert office.ids() == ["c3", "c2", "c1"]
    assert all(json.loads(line) for line in (office.folder / FILE).read_text().splitlines())


async def test_a_torn_line_that_the_disk_does_not_let_mend_spoils_no_other(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with office.day():
        office.rings("c1")
        office.ends(ring("c1"), CallEndReason.TIMED_OUT)
    file = office.folder / FILE
    file.write_bytes(file.read_bytes() + b'{"id": "torn')
    real, full = os.fsync, True

    def fsync(descriptor: int) -> None:
        if full:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    async with office.day():
        assert "cannot be kept" in office.faults()[-1]
        full = False
        office.rings("c2")
    async with office.day():
        assert office.ids() == ["c2", "c1"]


async def test_a_log_that_cannot_be_read_is_put_aside(office: Office) -> None:
    (office.folder / FILE).mkdir(parents=True)
    async with office.day():
        office.rings()
    assert office.faults() == [
        f"{office.folder / FILE}: cannot be read, and is begun anew: Is a directory",
        f"{office.folder / FILE}: what it was lies in {office.folder}/calls.broken",
    ]
    async with office.day():
        assert office.ids() == ["c1"]


async def test_that_a_call_begins_is_there_before_anybody_else_is_told(office: Office) -> None:
    """From the first call on; a file that is being written anew has it later."""
    file = office.folder / FILE
    async with office.day():
        office.rings("c1")
        assert b'"c1"' in file.read_bytes()
        office.ends(ring("c1"), CallEndReason.TIMED_OUT)
        office.rings("c2")
        assert b'"c2"' in file.read_bytes()
    assert office.faults() == []
    async with office.day():
        assert office.ids() == ["c2", "c1"]


async def test_calls_that_begin_while_all_is_written_anew_are_not_lost(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun = threading.Event(), threading.Event()
    async with office.day():
        ledger = office.log._ledger
        rewrite = ledger.rewrite

        def slowly(everything: Collection[bytes]) -> None:
            begun.set()
            gate.wait()
            rewrite(everything)

        monkeypatch.setattr(ledger, "rewrite", slowly)
        ledger._lines = 10**6  # it has grown
        try:
            office.rings("c1")
            await asyncio.to_thread(begun.wait)
            office.rings("c2")
        finally:
            gate.set()
    async with office.day():
        assert office.ids() == ["c2", "c1"]


async def test_the_disk_is_never_waited_for(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop goes on while the disk takes its time, and what comes meanwhile outlives a kill as well."""
    gate, begun = threading.Event(), threading.Event()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        begun.set()
        gate.wait()
        real(descriptor)

    async with office.day():
        office.rings("c0")
        office.ends(ring("c0"), CallEndReason.TIMED_OUT)
    monkeypatch.setattr(os, "fsync", fsync)
    async with office.day():
        office.rings("c1")
        await asyncio.to_thread(begun.wait)
        try:
            office.rings("c2")
            assert office.ids() == ["c2", "c1", "c0"]
            await office.until(lambda: b'"c2"' in (office.folder / FILE).read_bytes())
        finally:
            gate.set()
    async with office.day():
        assert office.ids() == ["c2", "c1", "c0"]


class Gated:
    """A function of the disk's that stands still until it is let go on."""

    def __init__(self, really: Callable[..., None]) -> None:
        self._really = really
        self.begun, self.gate = threading.Event(), threading.Event()

    def __call__(self, *args: Any) -> None:
        self.begun.set()
        self.gate.wait()
        self._really(*args)


async def test_the_disk_is_on_it_before_anybody_does_anything_else(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the loop is doing, and with every thread of its own held up by a dead name server."""
    loop = asyncio.get_running_loop()
    held_up = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        loop.set_default_executor(threads)
        async with office.day():
            try:
                loop.run_in_executor(None, held_up.wait)
                fsync = Gated(os.fsync)
                monkeypatch.setattr(os, "fsync", fsync)
                office.rings("c1")
                assert fsync.begun.wait(30)  # and the loop stands still
            finally:
                held_up.set()
                fsync.gate.set()


async def test_a_kernel_that_holds_a_line_up_holds_nobody_up(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is appended may have to wait for the disk; it comes in order all the same."""
    async with office.day():
        office.rings("c0")
        office.ends(ring("c0"), CallEndReason.TIMED_OUT)
    office.handover_s = 0.01
    async with office.day():
        append = Gated(office.log._ledger.append)
        monkeypatch.setattr(office.log._ledger, "append", append)
        office.rings("c1")
        office.ends(ring("c1"), CallEndReason.TIMED_OUT)
        office.rings("c2")
        assert office.ids() == ["c2", "c1", "c0"]
        assert b'"c1"' not in (office.folder / FILE).read_bytes()
        append.gate.set()
    async with office.day():
        assert [(one["call_id"], one["reason"]) for one in office.log.entries(9)] == [
            ("c2", "device_restart"),
            ("c1", "timed_out"),
            ("c0", "timed_out"),
        ]
    assert office.faults() == []


async def test_a_line_that_is_refused_late_is_told_of_and_written_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_: Collection[bytes]) -> None:
        raise OSError(5, "Input/output error")

    office.handover_s = 0.01
    async with office.day():
        append = Gated(refuses)
        with monkeypatch.context() as patch:
            patch.setattr(office.log._ledger, "append", append)
            office.rings("c1")
            append.gate.set()
            await office.inbox.until(lambda: bool(office.faults()))
    assert office.faults() == [
        "the call log cannot be written: [Errno 5] Input/output error",
    ]
    async with office.day():
        assert office.ids() == ["c1"]


# -------------------- who asks for it is told what is kept


async def test_who_asks_is_told_of_a_call_once_the_disk_has_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calllog, "ASKED_S", 120.0)
    async with office.day():
        assert await office.log.kept(9) == []
        fsync = Gated(os.fsync)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            office.rings("c1")
            await asyncio.to_thread(fsync.begun.wait)
            office.ends(ring("c1"), CallEndReason.TIMED_OUT)
            await office.until(lambda: b'"timed_out"' in (office.folder / FILE).read_bytes())
            async with asyncio.TaskGroup() as tasks:
                asked = tasks.create_task(office.log.kept(9))
                await asyncio.sleep(0)
                assert not asked.done()
                fsync.gate.set()
            assert [one["reason"] for one in asked.result()] == ["timed_out"]


async def test_who_asks_is_told_what_the_disk_refuses_too_since_that_is_told(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_: int) -> None:
        raise OSError(5, "Input/output error")

    async with office.day():
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuses)
            office.rings("c1")
            assert [one["call_id"] for one in await office.log.kept(9)] == ["c1"]
            assert len(office.faults()) == 1


async def test_who_asks_while_the_disk_is_held_up_is_refused_with_the_reason(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calllog, "ASKED_S", 0.01)
    async with office.day():
        fsync = Gated(os.fsync)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            office.rings("c1")
            with pytest.raises(Refused, match="held up"):
                await office.log.kept(9)
            fsync.gate.set()


@pytest.mark.parametrize(("missing", "left"), [(0, 3), (1500, 1), (9000, 3)])
def test_on_a_disk_that_is_nearly_full_the_oldest_pictures_go_where_that_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int, left: int
) -> None:
    ledger = Ledger(tmp_path)
    for number in range(3):
        ledger.keep_picture(f"{number}.jpg", bytes(1000))
        os.utime(ledger.pictures / f"{number}.jpg", (number, number))
    free = SimpleNamespace(f_bavail=MIN_FREE_BYTES - missing, f_frsize=1)
    monkeypatch.setattr("appliance.reporting.ledger.os.statvfs", lambda _: free)
    ledger.keep_picture("new.jpg", b"JPEG")
    names = sorted(file.name for file in ledger.pictures.iterdir())
    assert names == [*(f"{number}.jpg" for number in range(3 - left, 3)), "new.jpg"]
