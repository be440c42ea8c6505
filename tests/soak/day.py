"""A day of everything at one door: what happens is real, and the time in between is leapt over.

Calls of every outcome, who looks on, phones that are paired and revoked, a broker that dies, a clock that
is set, a changed configuration, hooks and plug-ins that fail, recordings, quiet hours, midnight, the end of
summer time. What comes of it is to be the happening's own: no error that nobody handled, and nothing left.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

from aiohttp import ClientSession
from msgspec.structs import replace

from appliance.config import CallLog, Config, Hooks, Panel, Plugins
from appliance.model import AudioMode, CallEndReason, Gesture
from appliance.orphans import Orphans
from appliance.reporting.hooks import Hooks as RunningHooks
from appliance.reporting.ledger import SPARE_LINES
from appliance.signaling.pairing import proof_of
from appliance.trust.keys import decoded
from tests.media.stranger import Stranger, until
from tests.parts.house import House, config_for, house, strict
from tests.parts.leaping import Clock, leaping
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program
from tests.parts.pen import Pen
from tests.parts.phone import Phone, phone
from tests.parts.told import name_of
from tests.soak import calls
from tests.soak.calls import over, put_away, things

ZONE = ZoneInfo("Europe/Berlin")
BEGINS = datetime(2026, 10, 24, 12, 0, tzinfo=ZONE)
"""The night of it has an hour twice."""
QUIET = "23:00-06:00"
KEPT = 12
"""Calls of the log: some more than that are made."""

EXPECTED = {
    "hook_failed": "a hook that ends with another status",
    "listener_failed": "the clumsy plug-in",
    "plugin_failed": "a plug-in that is not there",
    "no_common_codec": "a phone with other codecs",
    "connection_failed": "a connection whose other side has another key",
    "unknown_call": "what was said of a call that had just ended",
    "no_call": "buttons that do nothing without a call",
    "picture_failed": "the time for a picture of who rang was leapt over",
}
"""The codes of `error` that belong to what is done; any other is a fault."""


@dataclass
class Day:
    """What there is of it: a door, a phone, a broker, a clock."""

    door: House
    alice: Phone
    broker: Mosquitto
    clock: Clock
    number: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    hooks: RunningHooks = field(init=False)
    usual: int = field(init=False)
    """How many tasks of media there are while nothing happens."""

    def look(self) -> None:
        """Note the errors that were told, before they are forgotten."""
        for item in self.door.told:
            if name_of(item) == "error" and item["data"]["code"] not in EXPECTED:
                self.errors[f"{item['data']['code']}: {item['data']['message']}"] += 1

    def __post_init__(self) -> None:
        sinks = [getattr(sink, "__self__", None) for sink in self.door.appliance.bus.sinks]
        (self.hooks,) = [one for one in sinks if isinstance(one, RunningHooks)]
        self.usual = self._media()

    def _media(self) -> int:
        studio = self.door.appliance.studio
        return len(studio._running) if studio else 0

    async def is_calm(self) -> None:
        """No connection is being closed any more."""
        await self.door.until_true(lambda: self._media() <= self.usual)

    async def passes(self, seconds: float, step_s: float) -> None:
        """Time in which nothing comes from outside; a hook that runs is given its own."""
        hooks = self.hooks
        await self.clock.passes(seconds, step_s, lambda: bool(hooks._running or hooks._waiting))

    @property
    def at(self) -> datetime:
        return self.clock.now(ZONE)

    @property
    def is_quiet(self) -> bool:
        return self.at.hour >= 23 or self.at.hour < 6


@dataclass
class Found:
    """What came of it."""

    hours: float
    done: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    """What did not take its course."""
    errors: Counter[str] = field(default_factory=Counter)
    """What was told, and belongs to nothing that was done."""
    unhandled: list[str] = field(default_factory=list)
    """What no code has caught: on the loop, in a thread, in a destructor."""
    more: Counter[str] = field(default_factory=Counter)
    """Tasks, threads, sockets and descriptors more than after the first hour."""
    ended: str = ""
    """The time of day by then."""

    @property
    def faults(self) -> list[str]:
        """All that should not be."""
        left = [f"{number} {thing} left" for thing, number in self.more.items()]
        return [*self.failed, *self.errors, *self.unhandled, *left]


@contextlib.contextmanager
def unhandled() -> Iterator[list[str]]:
    """Errors that reach the end of their loop, thread or object."""
    found: list[str] = []

    told = Orphans.__call__

    def sees(self: Orphans, loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        found.append(", ".join(f"{name}: {what!r}" for name, what in context.items()))
        told(self, loop, context)

    with (
        patch.object(Orphans, "__call__", sees),
        patch.object(threading, "excepthook", lambda it: found.append(repr(it.exc_value))),
        patch.object(sys, "unraisablehook", lambda it: found.append(repr(it.exc_value))),
    ):
        yield found
        gc.collect()


def configured(broker: Mosquitto, folder: Path) -> Config:
    """A door with everything, and what fails beside it."""
    hooks = folder / "hooks"
    if not hooks.exists():
        hooks.mkdir()
        for name, does in (
            ("call_button_clicked", "cat > /dev/null"),
            ("call_ended", "echo no >&2; exit 3"),
        ):
            (hooks / name).write_text(f"#!/bin/sh\n{does}\n")
            (hooks / name).chmod(0o755)
    config = strict(config_for(broker.port, panel=Panel(max_presses=0)), **calls.PENS)
    return replace(
        config,
        call=replace(config.call, quiet_hours=QUIET),
        call_log=CallLog(max_entries=KEPT),
        hooks=Hooks(str(hooks)),
        plugins=Plugins(("tests.soak.failing", "tests.soak.that_is_not_there")),
        relays={"door": replace(config.relays["door"], pulse_s=1.0)},
    )


# -------------------- what happens


Happening = Callable[[Day], Awaitable[None]]


def call(outcome: Callable[[House, Phone, int], Awaitable[None]]) -> Happening:
    """One of the calls of `make soak`."""

    async def happens(day: Day) -> None:
        await outcome(day.door, day.alice, day.number)

    happens.__name__ = outcome.__name__
    return happens


async def rung_in_vain(day: Day) -> None:
    """In the quiet hours: who presses, and who calls, hears busy."""
    await day.door.appliance.board.press("bell_alice", Gesture.PRESS)
    await over(day.door, day.alice, CallEndReason.BUSY)
    await day.alice.call(f"{day.number:032x}")
    assert (await day.alice.hear("reject"))["body"]["reason"] == "busy"
    await put_away(day.door, day.alice)


async def recorded(day: Day) -> None:
    """A call with sound, pictures, a chat, keys, an opened door, and a file of it."""
    door, alice = day.door, day.alice
    await door.appliance.session.initiate_call("alice")
    invite = await alice.hear("invite")
    await alice.answer(invite)
    await door.until("session_joined")
    started = await door.appliance.session.start_recording()
    assert isinstance(started, dict)
    await alice.send("chat", invite["call_id"], {"text": "I am coming."})
    await alice.send("dtmf", invite["call_id"], {"digits": "9#"})
    with day.clock.wrong_by(-3600):  # set back in the midst of it
        pictures = alice.media.pictures
        await alice.media.until(lambda: alice.media.pictures > pictures + 5)
    await door.appliance.session.stop_recording()
    await alice.send("end", invite["call_id"], {"reason": "hang_up", "kicked_by": None})
    await over(door, alice, CallEndReason.REMOTE_HANG_UP)
    assert Path(str(started["path"])).stat().st_size > 1000
    assert door.appliance.calls is not None
    assert door.appliance.calls.entries(1)[0]["unlocked"]


async def looked_at(day: Day) -> None:
    """By a player, which is no participant."""
    page = str(day.door.appliance.page).replace("localhost", "127.0.0.1")
    async with ClientSession() as client, Stranger() as stranger:
        offer = await stranger.call()
        headers = {"Content-Type": "application/sdp"}
        async with client.post(f"{page}whep", data=offer.sdp, headers=headers) as response:
            where, text = response.headers["Location"], await response.text()
        await stranger.take(replace(offer, type="answer", sdp=text))
        await until(lambda: len(stranger.numbers) > 3, "the picture")
        async with client.get(f"{page}metrics") as response:
            assert "appliance_" in await response.text()
        await client.delete(f"{page.rstrip('/')}{where}")
    await day.door.until_true(lambda: not day.door.appliance.engine.state.viewers)


async def paired_and_revoked(day: Day) -> None:
    """A phone comes with an invitation, and is lost again."""
    invite = day.door.appliance.invite
    assert invite is not None
    invited = await invite("Zoe", None, None)
    words, pen = invited.told["invitation"], Pen()
    proof = proof_of(decoded(words["secret"]), "front-door", words["uid"], pen.public)
    async with phone(words["uid"], "127.0.0.1", day.broker.port) as zoe:
        body = {"key": pen.public, "proof": proof}
        await zoe.send("pair", f"{day.number:032x}", body, epoch=None, to_endpoint=None)
        assert (await zoe.hear("paired"))["body"]["error"] is None
        assert (await invited.outcome())["outcome"] == "paired"
        await day.door.appliance.contacts.revoke(words["uid"])
        await day.door.until_true(lambda: not day.door.appliance.contacts.keys_of(words["uid"]))


async def without_a_broker(day: Day) -> None:
    """It dies, for half an hour, in which somebody rings."""
    day.broker.kill()
    await day.door.until_true(lambda: day.door.appliance.session.status()["mqtt"] != "connected")
    await day.door.appliance.board.press("bell_alice", Gesture.PRESS)
    await day.passes(1800, 5)
    await day.door.until("call_ended")
    day.broker.start()
    await day.alice.online_again()
    await day.door.until_connected()
    await is_there(day.door)
    await put_away(day.door, day.alice)


def at_the_relay(door: House) -> str:
    return str(door.appliance.session.status()["panel"]["relays"]["door"])


async def is_there(door: House) -> None:
    await door.until_true(lambda: "alice" in door.appliance.engine.state.presence)


async def at_the_panel(day: Day) -> None:
    """Outputs that come and go, volume, a light finger on everything, a door that opens."""
    appliance, session = day.door.appliance, day.door.appliance.session
    await appliance.plug(AudioMode.BLUETOOTH, True)
    await session.set_volume(30 + day.number % 50)
    for button in ("layout", "camera", "mute", "unlock"):
        await appliance.board.press(button, Gesture.PRESS)
    await day.door.until_true(lambda: at_the_relay(day.door) == "energized")
    await day.door.until_true(lambda: at_the_relay(day.door) == "released")
    await appliance.plug(AudioMode.BLUETOOTH, False)


async def set_wrong(day: Day) -> None:
    """The time of day is a year off, forth and back, while an hour passes."""
    with day.clock.wrong_by(365 * 86400):
        await day.passes(1800, 5)
    with day.clock.wrong_by(-365 * 86400):
        await day.passes(1800, 5)


busy = call(calls.busy)
BY_DAY: tuple[Happening, ...] = (
    call(calls.rung_and_answered),
    looked_at,
    call(calls.rejected),
    without_a_broker,
    call(calls.called_and_hung_up_on),
    recorded,
    busy,
    paired_and_revoked,
    call(calls.lost),
    at_the_panel,
    call(calls.cancelled),
    call(calls.untrusted),
    call(calls.answered_elsewhere),
    call(calls.failed),
    set_wrong,
    call(calls.timed_out),
    call(calls.replaced),
    call(calls.rejected_elsewhere),
)
BY_NIGHT: tuple[Happening, ...] = (
    rung_in_vain,
    paired_and_revoked,
    at_the_panel,
    set_wrong,
    looked_at,
)


# -------------------- the day


@asynccontextmanager
async def a_door(broker: Mosquitto, folder: Path, clock: Clock, number: int) -> AsyncIterator[Day]:
    """It starts, with another name and another limit each time, on what it has kept."""
    config = configured(broker, folder)
    config = replace(config, device=replace(config.device, name=f"Door of run {number}"))
    url = f"ws://127.0.0.1:{broker.websocket_port}/"
    async with (
        house(config, folder, websocket_url=url) as door,
        phone("alice", "127.0.0.1", broker.port, pen=calls.PENS["alice"]) as alice,
    ):
        await is_there(door)
        yield Day(door, alice, broker, clock, number=1000 * number)


async def play(
    folder: Path,
    hours: float,
    step_s: float,
    each_hour: int,
    begins: datetime = BEGINS,
    by_day: tuple[Happening, ...] = BY_DAY,
    restarts: int = 3,
    say: Callable[[str], None] = lambda _: None,
) -> Found:
    """So many hours, `each_hour` happenings in each, and time by such steps in between."""
    found = Found(hours)
    with leaping(begins, ZONE.key) as clock, unhandled() as found.unhandled:
        broker = Mosquitto(program("mosquitto"), folder)
        broker.start()
        try:
            ends, days, nights = begins + timedelta(hours=hours), 0, 0
            for run in range(restarts):
                until_s = begins + timedelta(hours=hours * (run + 1) / restarts)
                async with a_door(broker, folder, clock, run) as day:
                    before, tasks = Counter[str](), set[str]()
                    await _happens(day, rung_in_vain if day.is_quiet else busy, found, say)
                    while day.at < min(until_s, ends):
                        for _ in range(each_hour):
                            many, at = (BY_NIGHT, nights) if day.is_quiet else (by_day, days)
                            await _happens(day, many[at % len(many)], found, say)
                            nights, days = (
                                (nights + 1, days) if many is BY_NIGHT else (nights, days + 1)
                            )
                            await day.is_calm()
                            await day.passes(3600 / each_hour, step_s)
                        if not before:
                            before, tasks = await things(day.door), _tasks()
                    found.more += await things(day.door) - before
                    if found.more["tasks"]:
                        found.failed += sorted(_tasks() - tasks)
                    found.ended = str(day.at)
                    found.errors += day.errors
                    _kept_within_limits(day, folder, found)
        finally:
            broker.kill()
    return found


async def _happens(day: Day, one: Happening, found: Found, say: Callable[[str], None]) -> None:
    name = getattr(one, "__name__", "?")
    say(f"{day.at:%a %H:%M %Z} {name}")
    day.number += 1
    try:
        await one(day)
    except Exception as error:
        found.failed.append(f"{day.at:%H:%M} {name}: {error!r}")
        with contextlib.suppress(Exception):
            await day.door.appliance.session.end_call()
            day.door.told.clear()
        await day.door.until_true(lambda: day.door.appliance.engine.state.calls == ())
    else:
        found.done[name] += 1
    day.look()
    await put_away(day.door, day.alice)


def _tasks() -> set[str]:
    return {repr(task) for task in asyncio.all_tasks()}


def _kept_within_limits(day: Day, folder: Path, found: Found) -> None:
    """What is kept has an end, and nobody is in a call, on view, or at the relay."""
    appliance = day.door.appliance
    log = appliance.calls
    assert log is not None
    lines = (folder / "state" / "calls" / "calls.jsonl").read_text().splitlines()
    state = appliance.engine.state
    for what, holds in (
        ("the call log has its limit", len(log.entries(10 * KEPT)) <= KEPT),
        ("and so has its file", len(lines) <= 2 * KEPT + SPARE_LINES),
        ("there is no call", state.calls == ()),
        ("nobody looks on", not state.viewers),
        (
            "the relay is released",
            at_the_relay(day.door) == "released",
        ),
    ):
        if not holds:
            found.failed.append(f"not so at the end: {what}")
