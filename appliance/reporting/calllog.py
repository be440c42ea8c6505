"""The call log: every ring and its outcome, with a picture of who stood there; it survives restarts.

Fed by the events that everyone is told, before the others are: that a call begins is with the kernel by
then, or a tenth of a second has passed. Nothing waits for the disk, which is made to take each line as soon
as the kernel has it (`scribe.py`), but who asks for the log: whoever is told of an entry finds it here
after a power cut.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from appliance import config
from appliance.calls.inputs import FaultReported, Input
from appliance.errors import Refused
from appliance.model import Call, CallDirection, CallEndReason, CallState, CallType
from appliance.reporting.ledger import Entry, Ledger
from appliance.reporting.scribe import HANDOVER_S, Scribe
from appliance.state_directory import state_directory

log = logging.getLogger(__name__)

PICTURE_AFTER_S = 0.3
"""A camera's first pictures are dark: its exposure has to settle."""
PICTURE_TAKES_S = 10.0
LOOKS = 8
ASKED_S = 10.0
"""How long the disk may take until who asks for the log is refused."""

MISSED = (CallEndReason.TIMED_OUT, CallEndReason.CANCELLED, CallEndReason.DEVICE_RESTART)
"""How an incoming call ends that somebody here would have wanted to take."""

BEGIN = (
    "outgoing_call_started",
    "incoming_call_received",
    "session_joined",
    "call_switched_to_video",
)
"""Events at which somebody stands at the door, or a camera may run already."""

Snapshot = Callable[[], Awaitable[bytes | None]]
"""A JPEG of what the camera sees; None where it is not to look now, or there is none."""

FROM_CALL = tuple(
    name
    for name in Entry.__struct_fields__
    if name in Call.__struct_fields__ and name not in ("call_id", "duration_s")
)


class CallLog:
    """Keeps the log; `async with`. `see` is a sink of the bus."""

    def __init__(
        self,
        section: config.CallLog,
        snapshot: Snapshot,
        post: Callable[[Input], None],
        *,
        doors: Collection[str] = (),
        picture_after_s: float = PICTURE_AFTER_S,
        handover_s: float = HANDOVER_S,
    ) -> None:
        """`doors` are the relays whose being energized counts as an unlocked door.

        `handover_s` is how long that a call begins may keep the others from being told.
        """
        folder = Path(section.directory) if section.directory else state_directory() / "calls"
        self._ledger = Ledger(folder)
        self._max = section.max_entries
        self._snapshot = snapshot
        self._post = post
        self._doors = doors
        self._picture_after_s = picture_after_s
        self._entries: dict[str, Entry] = {}
        self._running: dict[str, Entry] = {}
        self._energized: Mapping[str, bool] = {}
        self._missed: tuple[Call, ...] | None = None
        self._lines: dict[str, bytes] = {}
        self._changed: dict[str, bytes] = {}
        self._dropped: list[str] = []
        self._news = asyncio.Event()
        self._unwritten = self._anew = False
        self._scribe = Scribe(self._ledger, self._came_through, handover_s)
        self._known = self._settled = 0
        self._progress = asyncio.Event()
        self._closing = False
        self._tasks = asyncio.TaskGroup()
        self._taking: set[asyncio.Task[None]] = set()
        self._keeping = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Read what there is; calls that were running when the daemon died have ended."""
        await asyncio.to_thread(self._load)
        await self._scribe.__aenter__()
        await self._tasks.__aenter__()
        self._writer = self._tasks.create_task(self._write())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what is not written yet."""
        for task in self._taking:
            task.cancel()
        self._closing = True
        self._news.set()
        await asyncio.wait([self._writer])
        tried = self._unwritten
        await self._scribe.finish()
        if self._unwritten and not tried:
            await self._write_changes()
        await self._scribe.__aexit__(None, None, None)
        # without the error that may be on its way: it is to be neither wrapped nor to cancel a write
        await self._tasks.__aexit__(None, None, None)

    # -------------------- what is known

    def entries(self, limit: int) -> list[dict[str, Any]]:
        """The latest calls, newest first."""
        latest = list(self._lines.values())[: -limit - 1 : -1] if limit > 0 else []
        return [msgspec.json.decode(line) for line in latest]

    async def kept(self, limit: int) -> list[dict[str, Any]]:
        """The same, once the disk has it all as it is known now, or has refused it, which is then told.

        Raises Refused where it does neither.
        """
        wanted = self._known
        try:
            async with asyncio.timeout(ASKED_S):
                while self._settled < wanted:
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            sentence = f"the disk has not taken the latest calls for {ASKED_S:.0f} s: it is held up"
            raise Refused("not_kept", sentence) from None
        return self.entries(limit)

    def missed(self) -> tuple[Call, ...]:
        """The calls that were missed and have not been called back, oldest first."""
        found = []
        for entry in self._entries.values():
            if entry.missed and not entry.called_back:
                values = msgspec.to_builtins(entry) | {"state": CallState.ENDED}
                try:
                    found.append(msgspec.convert(values, Call))
                except msgspec.ValidationError as error:
                    log.warning("the missed call %s is not whole: %s", entry.call_id, error)
        return tuple(found)

    # -------------------- what happens

    def see(self, item: Mapping[str, Any]) -> None:
        """Note what an event tells of its call, as a sink of the bus."""
        if self._max == 0:
            return
        name, data = item["type"].removeprefix("appliance."), item["data"]
        if name == "call_back_requested":
            self._called_back(data["call"]["call_id"])
            return
        entry = self._entry(name, item)
        if entry is None:
            return
        before = msgspec.json.encode(entry)
        _note(entry, name, item)
        if entry.reason is not None:
            self._running.pop(entry.call_id)
        if msgspec.json.encode(entry) != before or entry.id not in self._lines:
            self._keep(entry)
        # an incoming call has its picture when the camera runs, which may be once it is answered
        if name in BEGIN or name == "incoming_call_accepted":
            self._look(entry)

    def watch(self, relays: Mapping[str, bool], missed: tuple[Call, ...]) -> None:
        """Note what no event tells: to be given at each change which relays are energized, and the
        calls that are still to be called back.
        """
        opened = any(relays.get(one) and not self._energized.get(one) for one in self._doors)
        self._energized = relays
        for entry in self._running.values() if opened else ():
            entry.unlocked = True
            self._keep(entry)
        if missed is not self._missed:
            before, self._missed = self._missed, missed
            self._settle({one.call_id for one in before or ()}, {one.call_id for one in missed})

    def _settle(self, before: set[str], now: set[str]) -> None:
        """Calls that nobody took are missed, also in quiet hours; those that are gone were answered."""
        for call_id in now - before:
            for entry in self._of(call_id):
                if not entry.missed:
                    entry.missed = True
                    self._keep(entry)
        if not now - before:  # else the oldest made room
            for call_id in before - now:
                self._called_back(call_id)

    def _entry(self, name: str, item: Mapping[str, Any]) -> Entry | None:
        """The running call that an event is about; a new one where that is how it begins."""
        call_id = item["subject"]
        known = self._running.get(call_id)
        call = item["data"].get("call")
        begins = name == "session_joined" or (call is not None and call["call_id"] == call_id)
        if known is None and call_id is not None and begins:
            known = Entry(item["id"], call_id, started_at=item["time"])
            self._running[call_id] = self._entries[known.id] = known
            self._drop_oldest()
        return known

    def _called_back(self, call_id: str) -> None:
        for entry in self._of(call_id):
            if entry.missed and not entry.called_back:
                entry.called_back = True
                self._keep(entry)

    def _of(self, call_id: str) -> list[Entry]:
        return [entry for entry in self._entries.values() if entry.call_id == call_id]

    def _keep(self, entry: Entry) -> None:
        if entry.id not in self._entries:
            return
        begins, line = entry.id not in self._lines, msgspec.json.encode(entry)
        self._lines[entry.id] = line
        self._known += 1
        if not (begins and self._began(line)):
            self._changed[entry.id] = line
            self._news.set()

    def _began(self, line: bytes) -> bool:
        """Hand it over at once: whoever kills this process next, who was told of the call finds it here."""
        if self._anew or self._unwritten or not self._ledger.takes(1, len(self._lines)):
            return False
        try:
            # with it alone the disk has not all that is known, where more waits to be written
            self._scribe.hand_over(line, 0 if self._changed else self._known)
        except OSError as error:
            self._not_written(error)
            return False
        return True

    def _drop_oldest(self) -> None:
        while len(self._entries) > self._max:
            oldest = self._entries.pop(next(iter(self._entries)))
            self._lines.pop(oldest.id, None)
            self._changed.pop(oldest.id, None)
            if oldest.picture is not None:
                self._dropped.append(oldest.picture)

    # -------------------- who stood there

    def _look(self, entry: Entry) -> None:
        if entry.picture is None and entry.type is not CallType.AUDIO and not self._closing:
            task = self._tasks.create_task(self._take(entry))
            self._taking.add(task)
            task.add_done_callback(self._taking.discard)

    async def _take(self, entry: Entry) -> None:
        name = f"{entry.id}.jpg"
        jpeg: bytes | None = None
        try:
            for _ in range(LOOKS):  # a camera that is just being opened shows nothing yet
                await asyncio.sleep(self._picture_after_s)
                async with asyncio.timeout(PICTURE_TAKES_S):
                    jpeg = None if entry.picture else await self._snapshot()
                if jpeg is not None or entry.picture:
                    break
            async with self._keeping:  # a call that is answered at once is looked at twice
                if jpeg is None or entry.picture or entry.id not in self._entries:
                    return
                await asyncio.to_thread(self._ledger.keep_picture, name, jpeg)
                entry.picture = name
        except Exception as error:  # a call goes on without its picture
            sentence = f"there is no picture of who rang: {str(error) or type(error).__name__}"
            self._post(FaultReported("picture_failed", sentence, "call_log", entry.call_id))
            return
        self._keep(entry)
        if entry.id not in self._entries:  # so many calls came since that it is gone already
            self._dropped.append(name)
            self._news.set()

    # -------------------- the disk

    def _load(self) -> None:
        """Read, mend and shorten what is there; in a thread, before anything else."""
        entries, faults = self._ledger.load()
        for fault in faults:
            self._fault(f"{self._ledger.file}: {fault}")
        for entry in entries:
            if entry.reason is None:  # nobody saw its end
                entry.reason = CallEndReason.DEVICE_RESTART
                entry.missed = _missed(entry)
                self._changed[entry.id] = b""
            self._entries[entry.id] = entry
        self._drop_oldest()
        self._lines = {one.id: msgspec.json.encode(one) for one in self._entries.values()}
        mend = bool(faults or self._changed or len(entries) > self._max)
        mend = mend or (self._max > 0 and not self._ledger.takes(1, self._max))  # there is none yet
        self._changed.clear()
        self._dropped.clear()  # they are strays now
        try:
            if mend:
                self._ledger.rewrite([*self._lines.values()])
            if not faults:
                known = {one.picture for one in self._entries.values() if one.picture}
                self._ledger.drop_strays(known)
        except OSError as error:
            self._fault(f"the call log cannot be kept: {error}")

    async def _write(self) -> None:
        """Write what changed, until the end, which is another try for what the disk did not take."""
        while self._news.is_set() or not self._closing:
            await self._news.wait()
            self._news.clear()
            await self._write_changes()

    async def _write_changes(self) -> None:
        changed, dropped = [*self._changed.values()], tuple(self._dropped)
        self._changed.clear()
        self._dropped.clear()
        everything, number = [*self._lines.values()], self._known
        self._anew = self._unwritten or not self._ledger.takes(len(changed), len(everything))
        try:
            if self._anew and (changed or self._unwritten):
                self._unwritten = False
                await self._scribe.rewrite(everything, number)
            elif changed:
                await self._scribe.append(changed, number)
            if dropped:
                await asyncio.to_thread(self._ledger.drop_pictures, dropped)
        except OSError as error:
            self._not_written(error)
        finally:
            self._anew = False

    def _came_through(self, number: int, error: OSError | None) -> None:
        """Everything that was known at that number is with the disk, or it has refused it."""
        if error is not None:
            self._not_written(error)
        self._settled = max(self._settled, number)
        self._progress.set()

    def _not_written(self, error: OSError) -> None:
        self._unwritten = True  # everything is written anew with the next change, or at the end
        self._settled = self._known
        self._progress.set()
        self._fault(f"the call log cannot be written: {error}")

    def _fault(self, sentence: str) -> None:
        self._post(FaultReported("call_log_failed", sentence, "call_log"))


def _note(entry: Entry, name: str, item: Mapping[str, Any]) -> None:
    """Take over what an event says."""
    data = item["data"]
    if "call" in data:
        call = msgspec.convert({**data["call"], "id": entry.id}, Entry)
        for field in FROM_CALL:
            setattr(entry, field, getattr(call, field))
    elif name == "session_joined":
        entry.session_id = data["session_id"]
    if name == "recording_started":
        entry.recording = data["path"]
    elif name == "error":
        entry.error = data["code"]
    elif name == "call_ended":
        entry.reason = CallEndReason(data["reason"])
        if entry.reason is not CallEndReason.FAILED:
            entry.error = None
        entry.kicked_by = data["kicked_by"]
        entry.ended_at = item["time"]
        entry.duration_s = data["duration_s"] if entry.answered_at else None
        entry.missed = _missed(entry)


def _missed(entry: Entry) -> bool:
    incoming = entry.direction is CallDirection.INCOMING
    return incoming and entry.answered_at is None and entry.reason in MISSED
