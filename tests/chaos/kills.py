"""The daemon is killed again and again, whatever it does: it is ready each time, its state whole.

A kill -9 leaves what the kernel was given; what a power cut takes beside that is the order of the writes'
matter, and a test of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from appliance.reporting.ledger import Ledger
from appliance.service.memory import Kept
from tests.chaos.door import Door, Gone
from tests.chaos.phone import RingingPhone
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program

RING_TIMEOUT_S = 2.0
LIFE_S = 1.5
"""How long it lives at the most after it was ready."""


@dataclass
class Killed:
    """What came of it; every sentence of `faults` is a broken promise."""

    kills: int = 0
    over_its_start: int = 0
    """It was killed again before it had become ready."""
    calls: int = 0
    ready_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    took_s: float = 0.0


async def kills(
    folder: Path, count: int, *, seed: int = 1, say: Callable[[str], None] = lambda _: None
) -> Killed:
    """Kill it `count` times; raises where it does not become ready again."""
    dice, found, begin_s = random.Random(seed), Killed(), time.monotonic()
    known: set[str] = set()
    async with AsyncExitStack() as stack:
        broker = Mosquitto(program("mosquitto"), folder)
        await asyncio.to_thread(broker.start)
        stack.callback(broker.kill)
        environ = {
            "APPLIANCE__MQTT__HOST": broker.host,
            "APPLIANCE__MQTT__PORT": str(broker.port),
        }
        door = Door(subprocess.Popen, folder, environ, RING_TIMEOUT_S)
        stack.enter_context(
            RingingPhone("front-door", broker.host, broker.port, lambda: dice.uniform(0.0, 0.5))
        )
        async with door:
            while found.kills < count:
                if dice.random() < 0.1:
                    found.over_its_start += 1
                    await asyncio.sleep(dice.uniform(0.0, 1.0))
                else:
                    found.ready_s.append(await door.answers())
                    await _lives(door, dice, found)
                lives = door.lives
                door.kill()
                found.kills += 1
                await door.died(lives)
                known = _look(door.state, known, found)
                if found.kills % 50 == 0:
                    say(f"{found.kills} kills, {len(known)} calls in the log")
            await door.answers()
    found.calls = len(known)
    found.took_s = time.monotonic() - begin_s
    return found


async def _lives(door: Door, dice: random.Random, found: Killed) -> None:
    """It is used for a while, by somebody who is not done when it dies."""
    status = (await door.ask(status=True))["result"]
    if status["panel"]["relays"]["door"] != "released":
        found.faults.append(f"life {door.lives} began with its door open")
    if status["faults"]:
        found.faults.append(f"life {door.lives} began with {status['faults']}")
    using = asyncio.get_running_loop().create_task(_use(door, dice))
    await asyncio.sleep(dice.uniform(0.0, LIFE_S))
    using.cancel()
    await asyncio.gather(using, return_exceptions=True)


async def _use(door: Door, dice: random.Random) -> None:
    with contextlib.suppress(Gone):
        while True:
            await door.press()
            await door.ask(command="unlock", args={})
            args = {"percent": dice.randrange(0, 101), "mode": "speaker"}
            await door.ask(command="set_volume", args=args)
            await asyncio.sleep(dice.uniform(0.0, 0.3))


def _look(state: Path, known: set[str], found: Killed) -> set[str]:
    """What lies on the disk now that it is dead: whole, and nothing of before is gone."""
    entries, faults = Ledger(state / "calls").load()
    calls = {entry.call_id for entry in entries}
    found.faults += [f"calls.jsonl after kill {found.kills}: {fault}" for fault in faults]
    found.faults += [f"{gone} is gone after kill {found.kills}" for gone in known - calls]
    try:
        memory = (state / "memory.json").read_bytes()
        msgspec.json.decode(memory, type=Kept)
    except FileNotFoundError:
        pass
    except msgspec.MsgspecError as fault:
        found.faults.append(f"memory.json after kill {found.kills}: {fault}")
    return known | calls
