"""Thousands of presses while broker, daemon and network die at random: none lost, doubled or late.

A visitor presses, the phone rings for a moment and says no, and the next one comes. Whatever befalls the
house meanwhile is drawn from a seed, so that the same run can be had again.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tests.chaos.door import RESTART_S, Door, Item
from tests.chaos.phone import RingingPhone, Rung
from tests.parts.faraway import Broker
from tests.parts.netlab import Netlab, netlab
from tests.parts.pen import Pen

RING_TIMEOUT_S = 4.0
"""Of `make chaos`: everything that befalls the house lasts up to twice as long."""
LATE_S = 0.5
"""What a message may still be on its way when its call times out."""
FLASH_S = 0.5
"""What a broker gives out that stood still, the ring and behind it its end, is no ring for anybody."""
TOLD_TO_S = 0.001
"""Times are told in whole milliseconds, rounded down."""
MOST = 5000
"""Of one house: its call log keeps 10,000, and what has made room there would be told as lost. A press may
begin a call of which it is not told, so there are more calls than presses."""
CALM = 10
"""Presses before the first trouble."""
RECOVERY_S = 20.0
"""After a trouble's end: a silent connection is noticed, and made anew."""

FAULTS = ("lost", "doubled", "late", "unended", "unrung", "unknown")


@dataclass
class Verdict:
    """What became of the presses. The lists are faults, by call."""

    presses: int = 0
    rung: int = 0
    missed: int = 0
    """Never rung, in the call log, and there was trouble around it."""
    calm: int = 0
    """Pressed with no trouble around it: each of them has to ring."""
    cut_off: int = 0
    """The daemon died over the press itself, before it began anything."""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    unended: list[str] = field(default_factory=list)
    """In the call log without an end."""
    unrung: list[str] = field(default_factory=list)
    """Never rung, and there was no trouble around it."""
    unknown: list[str] = field(default_factory=list)
    """Begun, and nobody had pressed, or for a press that had its call."""
    distrusted: list[str] = field(default_factory=list)
    """What door and phone have not believed of each other, as sentences."""
    refused: Counter[str] = field(default_factory=Counter)
    """What the door has told as errors, by code: what was for a life or connection before is one."""
    befell: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    took_s: float = 0.0

    @property
    def faults(self) -> list[str]:
        """Every broken promise, as a sentence."""
        calls = [f"{call_id} was {how}" for how in FAULTS for call_id in getattr(self, how)]
        return [*calls, *self.distrusted]


Span = tuple[float, float]
"""From when to when, by the wall clock."""


@dataclass
class Seen:
    """All that there is to judge by."""

    ring_timeout_s: float
    pressed: list[str] = field(default_factory=list)
    """The calls that presses were told to have begun."""
    cut_off: list[Span] = field(default_factory=list)
    """When presses were made over which the daemon died: none is known to have begun a call."""
    began: Mapping[str, float] = field(default_factory=dict)
    over: Mapping[str, float] = field(default_factory=dict)
    rung: Mapping[str, Rung] = field(default_factory=dict)
    log: Mapping[str, Item] = field(default_factory=dict)
    troubles: list[Span] = field(default_factory=list)


class Chaos:
    """What befalls the house, one thing after the other."""

    def __init__(self, lab: Netlab, broker: Broker, door: Door, dice: random.Random) -> None:
        self.befell: Counter[str] = Counter()
        self.times: list[Span] = []
        """When something befell it."""
        self._lab, self._broker, self._door, self._dice = lab, broker, door, dice
        self._most_s = 2 * door.ring_timeout_s
        self.kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "broker killed": self.broker_killed,
            "broker frozen": self.broker_frozen,
            "daemon killed": self.daemon_killed,
            "daemon frozen": self.daemon_frozen,
            "network cut": self.network_cut,
            "packets lost": self.packets_lost,
            "connections reset": self.connections_reset,
        }

    async def befall(self, kind: str) -> None:
        """Let that happen, and be over."""
        begin_s = time.time()
        try:
            await self.kinds[kind]()
        finally:
            self.times.append((begin_s, time.time()))
        self.befell[kind] += 1

    async def at_random(self, every_s: float) -> None:
        """Something each `every_s` in the mean, for ever."""
        while True:
            await asyncio.sleep(self._dice.expovariate(1 / every_s))
            await self.befall(self._dice.choice(sorted(self.kinds)))

    async def broker_killed(self) -> None:
        """It forgets everything, and is back after a while."""
        await asyncio.to_thread(self._broker.kill)
        await self._a_while(self._most_s)
        await asyncio.to_thread(self._broker.start)

    async def broker_frozen(self) -> None:
        self._broker.signal(signal.SIGSTOP)
        try:
            await self._a_while(self._most_s)
        finally:
            self._broker.signal(signal.SIGCONT)

    async def daemon_killed(self) -> None:
        self._door.kill()
        await asyncio.sleep(RESTART_S)

    async def daemon_frozen(self) -> None:
        self._door.freeze()
        try:
            await self._a_while(self._most_s)
        finally:
            self._door.thaw()

    async def network_cut(self) -> None:
        self._lab["door"].cut_off()
        await self._a_while(self._most_s)
        self._lab.heal()

    async def packets_lost(self) -> None:
        self._lab["door"].lose(self._dice.choice((5, 10, 20)))
        await self._a_while(self._most_s)
        self._lab.heal()

    async def connections_reset(self) -> None:
        self._lab["door"].reset(self._broker.tls_port)
        await self._a_while(self._most_s / 2)
        self._lab.heal()

    async def _a_while(self, most_s: float) -> None:
        await asyncio.sleep(self._dice.uniform(0.05, most_s))


async def presses(
    folder: Path,
    count: int,
    *,
    seed: int = 1,
    every_s: float = 4.0,
    ring_timeout_s: float = RING_TIMEOUT_S,
    each_first: bool = False,
    signed: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Press `count` times. `each_first`: every kind of trouble once, before it goes on at random.

    `signed`: door and phone believe each other by their keys alone; else nobody signs.
    Raises where something is never well again.
    """
    if count > MOST:
        raise ValueError(f"{count} presses of one house: its call log has room for {MOST}")
    dice = random.Random(seed)
    verdict = Verdict()
    begin_s = time.monotonic()
    seen = Seen(ring_timeout_s)
    async with AsyncExitStack() as stack:
        lab = stack.enter_context(netlab("door"))
        broker = Broker(lab, folder)
        await asyncio.to_thread(broker.start)
        stack.callback(broker.kill)
        pen = Pen() if signed else None
        key = pen.public if pen else None
        door = Door(lab["door"].start, folder, broker.environ(), ring_timeout_s, key=key)
        phone = stack.enter_context(
            RingingPhone(
                "front-door",
                broker.host,
                broker.port,
                lambda: _patience(dice, ring_timeout_s),
                pen,
            )
        )
        chaos = Chaos(lab, broker, door, dice)

        async def trouble() -> None:
            for kind in chaos.kinds if each_first else ():
                await chaos.befall(kind)
            await chaos.at_random(every_s)

        async with door:
            await phone.is_online()
            troubling: asyncio.Task[None] | None = None
            try:
                # at least as long as the listed troubles last
                while verdict.presses < count or (
                    each_first and len(chaos.befell) < len(chaos.kinds)
                ):
                    await door.answers()
                    if verdict.presses == CALM:
                        troubling = asyncio.get_running_loop().create_task(trouble())
                    begin_press_s = time.time()
                    call_id = await door.press()
                    verdict.presses += 1
                    if call_id is None:
                        seen.cut_off.append((begin_press_s, time.time()))
                    else:
                        seen.pressed.append(call_id)
                        await door.until_over(call_id)
                    if verdict.presses % 100 == 0:
                        say(f"{verdict.presses} presses, {dict(chaos.befell)}")
            finally:
                if troubling is not None:
                    troubling.cancel()
                    await asyncio.gather(troubling, return_exceptions=True)
                lab.heal()
                door.thaw()
                if not broker.running:
                    await asyncio.to_thread(broker.start)
            await door.answers()
    verdict.took_s = time.monotonic() - begin_s
    verdict.befell, verdict.lives = chaos.befell, door.lives
    verdict.distrusted, verdict.refused = [*door.distrusts(), *phone.distrusts()], door.errors
    seen.began, seen.over, seen.rung = door.began, door.over, phone.rung
    seen.log, seen.troubles = door.logged(), chaos.times
    judge(verdict, seen)
    return verdict


def _patience(dice: random.Random, ring_timeout_s: float) -> float:
    """Most say no at once, some let it ring until it stops by itself."""
    return 2 * ring_timeout_s if dice.random() < 0.02 else dice.uniform(0.0, 0.2)


def judge(verdict: Verdict, seen: Seen) -> None:
    """Say of each call what became of it."""
    verdict.cut_off = len(seen.cut_off)
    for call_id in seen.pressed:
        rung = seen.rung.get(call_id)
        began = rung is not None and rung.times > 0
        calm = call_id in seen.began and not _troubled(seen, call_id)
        verdict.rung += began
        verdict.calm += calm
        if call_id not in seen.log:
            verdict.lost.append(call_id)
        elif not began and calm:
            verdict.unrung.append(call_id)
        elif not began:
            verdict.missed += 1
    verdict.doubled += [one for one, rung in seen.rung.items() if _is_doubled(rung, seen, one)]
    verdict.late += [one for one, rung in seen.rung.items() if _is_late(rung, seen, one)]
    verdict.unended += [one for one, entry in seen.log.items() if entry["reason"] is None]
    verdict.unknown += _unknown(seen)


def _troubled(seen: Seen, call_id: str) -> bool:
    """Whether anything befell the house until the call was over, or shortly before it."""
    pressed_s = seen.began[call_id]
    until_s = pressed_s + seen.ring_timeout_s + LATE_S
    until_s = min(until_s, seen.over.get(call_id, until_s))
    return any(
        begin_s < until_s and pressed_s < end_s + RECOVERY_S for begin_s, end_s in seen.troubles
    )


def _is_doubled(rung: Rung, seen: Seen, call_id: str) -> bool:
    """Whether it rang anew, or the door let it ring when it knew that the call was over.

    An invite for what was rejected here is no fault while the door cannot have heard of that.
    """
    over_s = seen.over.get(call_id)
    return rung.times > 1 or (
        over_s is not None and any(invited_s > over_s for invited_s in rung.invited_s)
    )


def _unknown(seen: Seen) -> list[str]:
    """Calls that no press has begun; one over which the daemon died may have begun one."""
    free = list(seen.cut_off)
    unknown = []
    for call_id in sorted({*seen.began, *seen.log, *_rang(seen)} - {*seen.pressed}):
        began_s = seen.began.get(call_id) or _logged_s(seen.log.get(call_id))
        of_it = [span for span in free if began_s and span[0] - TOLD_TO_S <= began_s <= span[1]]
        if of_it:
            free.remove(of_it[0])
        else:
            unknown.append(call_id)
    return unknown


def _rang(seen: Seen) -> set[str]:
    return {call_id for call_id, rung in seen.rung.items() if rung.times}


def _logged_s(entry: Item | None) -> float | None:
    if entry is None or entry["started_at"] is None:
        return None
    return datetime.fromisoformat(entry["started_at"]).timestamp()


def _is_late(rung: Rung, seen: Seen, call_id: str) -> bool:
    """Whether somebody could have heard it ring when the visitor was told long ago that nobody comes.

    That it stopped because it was rejected here excuses nothing: only the door's own word, right
    behind the ring, does.
    """
    pressed_s = seen.began.get(call_id) or _logged_s(seen.log.get(call_id))
    if not rung.times or pressed_s is None:
        return False
    if rung.began_s - pressed_s <= seen.ring_timeout_s + LATE_S:
        return False
    return rung.ended_s is None or rung.ended_s - rung.began_s > FLASH_S
