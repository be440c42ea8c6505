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
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.door import RESTART_S, Door
from tests.chaos.phone import RingingPhone, Rung
from tests.parts.faraway import Broker
from tests.parts.netlab import Netlab, netlab

RING_TIMEOUT_S = 4.0
"""Of `make chaos`: everything that befalls the house lasts up to twice as long."""
LATE_S = 0.5
"""What a message may still be on its way when its call times out."""
FLASH_S = 0.5
"""What a broker gives out that stood still, the ring and behind it its end, is no ring for anybody."""


@dataclass
class Verdict:
    """What became of the presses. All but the first four are faults, by call."""

    presses: int = 0
    rung: int = 0
    missed: int = 0
    """Never rung, and in the call log."""
    cut_off: int = 0
    """The daemon died over the press itself, before it began anything."""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    unended: list[str] = field(default_factory=list)
    """In the call log without an end."""
    unknown: list[str] = field(default_factory=list)
    """Rang, and nobody had pressed."""
    befell: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    took_s: float = 0.0

    @property
    def faults(self) -> list[str]:
        """Every broken promise, as a sentence."""
        return [
            f"{call_id} was {how}"
            for how in ("lost", "doubled", "late", "unended", "unknown")
            for call_id in getattr(self, how)
        ]


class Chaos:
    """What befalls the house, one thing after the other."""

    def __init__(self, lab: Netlab, broker: Broker, door: Door, dice: random.Random) -> None:
        self.befell: Counter[str] = Counter()
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
        await self.kinds[kind]()
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
    say: Callable[[str], None] = lambda _: None,
) -> Verdict:
    """Press `count` times. `each_first`: every kind of trouble once, before it goes on at random.

    Raises where something is never well again.
    """
    dice = random.Random(seed)
    verdict = Verdict()
    begin_s = time.monotonic()
    pressed: list[str] = []
    async with AsyncExitStack() as stack:
        lab = stack.enter_context(netlab("door"))
        broker = Broker(lab, folder)
        await asyncio.to_thread(broker.start)
        stack.callback(broker.kill)
        door = Door(lab["door"].start, folder, broker.environ(), ring_timeout_s)
        phone = stack.enter_context(
            RingingPhone(
                "front-door", broker.host, broker.port, lambda: _patience(dice, ring_timeout_s)
            )
        )
        chaos = Chaos(lab, broker, door, dice)

        async def trouble() -> None:
            for kind in chaos.kinds if each_first else ():
                await chaos.befall(kind)
            await chaos.at_random(every_s)

        async with door:
            troubling = asyncio.get_running_loop().create_task(trouble())
            try:
                # at least as long as the listed troubles last
                while verdict.presses < count or (
                    each_first and len(chaos.befell) < len(chaos.kinds)
                ):
                    await door.answers()
                    call_id = await door.press()
                    verdict.presses += 1
                    if call_id is None:
                        verdict.cut_off += 1
                    else:
                        pressed.append(call_id)
                        await door.until_over(call_id)
                    if verdict.presses % 100 == 0:
                        say(f"{verdict.presses} presses, {dict(chaos.befell)}")
            finally:
                troubling.cancel()
                await asyncio.gather(troubling, return_exceptions=True)
                lab.heal()
                door.thaw()
                if not broker.running:
                    await asyncio.to_thread(broker.start)
            await door.answers()
    verdict.took_s = time.monotonic() - begin_s
    verdict.befell, verdict.lives = chaos.befell, door.lives
    _judge(verdict, pressed, door, phone)
    return verdict


def _patience(dice: random.Random, ring_timeout_s: float) -> float:
    """Most say no at once, some let it ring until it stops by itself."""
    return 2 * ring_timeout_s if dice.random() < 0.02 else dice.uniform(0.0, 0.2)


def _judge(verdict: Verdict, pressed: list[str], door: Door, phone: RingingPhone) -> None:
    log = door.logged()
    for call_id in pressed:
        rung = phone.rung.get(call_id)
        began = rung is not None and rung.times > 0
        verdict.rung += began
        verdict.missed += not began and call_id in log
        if call_id not in log:
            verdict.lost.append(call_id)
    for call_id, rung in phone.rung.items():
        if rung.times > 1:
            verdict.doubled.append(call_id)
        if rung.times and call_id not in door.began and call_id not in log:
            verdict.unknown.append(call_id)
        if rung.times and _is_late(rung, door, door.began.get(call_id)):
            verdict.late.append(call_id)
    verdict.unended += [call_id for call_id, entry in log.items() if entry["reason"] is None]


def _is_late(rung: Rung, door: Door, pressed_s: float | None) -> bool:
    """Whether somebody could have heard it ring when the visitor was told long ago that nobody comes."""
    if pressed_s is None or rung.began_s - pressed_s <= door.ring_timeout_s + LATE_S:
        return False
    return rung.over_s is None or rung.over_s - rung.began_s > FLASH_S
