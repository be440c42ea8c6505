"""The daemon is killed again and again, whatever it does: it is ready each time, its state whole.

Its pins outlive it, as a Pi's do, and what systemd runs after each end (`appliance release`) is run.

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

from appliance.errors import ApplianceError
from appliance.reporting.ledger import Ledger
from appliance.service.memory import Kept
from appliance.trust import book
from appliance.trust.keys import DeviceKey
from tests.chaos.door import CONFIG, Door, Gone
from tests.chaos.phone import RingingPhone
from tests.panel.kept_pins import installed_in, is_high
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program
from tests.parts.pen import Pen

ROOT = Path(__file__).parents[2]
RELAY_PIN = 18
ON_PINS = CONFIG.replace('board = "simulated"', 'board = "pi"').replace(
    "[panel]", '[contacts.bob]\nmay = ["call"]\n[panel]\npin_factory = "kept"'
)
ENOUGH = 20
"""Of so many kills each thing that is looked at has to have been there, or nothing was shown of it."""
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
    rung: int = 0
    """Of those, how many rang at the phone."""
    left_open: int = 0
    """How often the dead one left the door's relay energized."""
    ready_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    took_s: float = 0.0


@dataclass
class Small:
    """The small files of the state, as they were when they were looked at last."""

    key: str | None = None
    number: int | None = None
    contacts: bool = False
    memory: bool = False

    def missing(self) -> list[str]:
        """Files that never were there, so that they were not looked at."""
        there = {
            "device.key": self.key is not None,
            "sequence": self.number is not None,
            "contacts.toml": self.contacts,
            "memory.json": self.memory,
        }
        return [name for name, seen in there.items() if not seen]

    def look(self, state: Path, when: str, faults: list[str]) -> None:
        """Each is whole; the key stays what it is, the numbers rise, and none that was there is gone."""
        for name, there, check in (
            ("device.key", self.key is not None, self._key),
            ("sequence", self.number is not None, self._number),
            ("contacts.toml", self.contacts, self._contacts),
            ("memory.json", self.memory, self._remembered),
        ):
            if not (state / name).exists():
                faults += [f"{name} is gone after {when}"] if there else []
                continue
            try:
                fault = check(state / name)
            except (ApplianceError, OSError, ValueError, msgspec.MsgspecError) as error:
                fault = f"cannot be read: {error}"
            faults += [f"{name} after {when}: {fault}"] if fault else []

    def _key(self, file: Path) -> str | None:
        before, self.key = self.key, DeviceKey.load_or_make(file.parent, {}).public
        return "another key" if before not in (None, self.key) else None

    def _number(self, file: Path) -> str | None:
        before, self.number = self.number, int(file.read_bytes())
        return "it fell" if before is not None and self.number < before else None

    def _contacts(self, file: Path) -> None:
        book.read(file)
        self.contacts = True

    def _remembered(self, file: Path) -> None:
        msgspec.json.decode(file.read_bytes(), type=Kept)
        self.memory = True


async def kills(
    folder: Path,
    count: int,
    *,
    seed: int = 1,
    signed: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Killed:
    """Kill it `count` times; raises where it does not become ready again.

    `signed`: door and phone believe each other by their keys alone; else nobody signs.
    """
    dice, found, begin_s = random.Random(seed), Killed(), time.monotonic()
    known: set[str] = set()
    kept = Small()
    async with AsyncExitStack() as stack:
        broker = Mosquitto(program("mosquitto"), folder)
        await asyncio.to_thread(broker.start)
        stack.callback(broker.kill)
        environ = {
            "APPLIANCE__MQTT__HOST": broker.host,
            "APPLIANCE__MQTT__PORT": str(broker.port),
        }
        pins = folder / "pins"
        pins.mkdir()
        environ["KEPT_PINS"] = str(pins)
        environ["PYTHONPATH"] = f"{installed_in(folder)}:{ROOT}"
        pen = Pen() if signed else None
        door = Door(
            subprocess.Popen,
            folder,
            environ,
            RING_TIMEOUT_S,
            key=pen.public if pen else None,
            config=ON_PINS,
            stop_post=lambda: released(
                pins, lambda: door.run("release").returncode, found, f"kill {found.kills}"
            ),
        )
        phone = stack.enter_context(
            RingingPhone(
                "front-door", broker.host, broker.port, lambda: dice.uniform(0.0, 0.5), pen
            )
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
                known = _look(door.state, known, set(door.began), found)
                kept.look(door.state, f"kill {found.kills}", found.faults)
                if found.kills % 50 == 0:
                    say(f"{found.kills} kills, {len(known)} calls in the log")
            await door.answers()
    found.calls, found.rung = len(known), sum(one.times > 0 for one in phone.rung.values())
    found.faults += [*door.distrusts(), *phone.distrusts()]
    if found.kills >= ENOUGH:
        found.faults += [f"{name} never was there" for name in kept.missing()]
        found.faults += [] if found.calls else ["no call was begun"]
        found.faults += [] if found.rung else ["no call rang at the phone"]
        found.faults += [] if found.left_open else ["no relay was left energized"]
    found.took_s = time.monotonic() - begin_s
    return found


async def _lives(door: Door, dice: random.Random, found: Killed) -> None:
    """It is used for a while, by somebody who is not done when it dies."""
    status = (await door.ask(status=True))["result"]
    if status["faults"]:
        found.faults.append(f"life {door.lives} began with {status['faults']}")
    await door.ask(revoke="bob")  # which is written, and again by nobody
    using = asyncio.get_running_loop().create_task(_use(door, dice))
    await asyncio.sleep(dice.uniform(0.0, LIFE_S))
    using.cancel()
    for failed in await asyncio.gather(using, return_exceptions=True):
        if isinstance(failed, AssertionError):
            found.faults.append(f"life {door.lives} refused what it should do: {failed}")


async def _use(door: Door, dice: random.Random) -> None:
    with contextlib.suppress(Gone):
        while True:
            await door.ask(command="initiate_call", args={})
            await door.ask(command="unlock", args={})
            args = {"percent": dice.randrange(0, 101), "output": "speaker"}
            answer = await door.ask(command="set_volume", args=args)
            assert answer["ok"], answer
            await asyncio.sleep(dice.uniform(0.0, 0.3))


def released(pins: Path, release: Callable[[], int], found: Killed, when: str) -> None:
    """What systemd runs after an end, and then no pin may be as the dead one left it. Blocks."""
    found.left_open += is_high(pins, RELAY_PIN)
    if code := release():
        found.faults.append(f"release after {when} ended with {code}")
    if is_high(pins, RELAY_PIN):
        found.faults.append(f"the door's relay is energized after {when}")


def _look(state: Path, known: set[str], begun: set[str], found: Killed) -> set[str]:
    """What lies on the disk now that it is dead: whole, with all that had begun, by its own word."""
    entries, faults = Ledger(state / "calls").load()
    calls = {entry.call_id for entry in entries}
    found.faults += [f"calls.jsonl after kill {found.kills}: {fault}" for fault in faults]
    gone = [*(known - calls), *(begun - known - calls)]
    found.faults += [f"{one} is gone after kill {found.kills}" for one in gone]
    return known | begun | calls
