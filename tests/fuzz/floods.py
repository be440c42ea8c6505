"""A call in a flood: of its inbox, and of the port that its media comes by.

The call stays, sound and pictures go on, and who hangs up in the midst of it, in whose own name it is
flooded, is heard.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from appliance.config import Panel
from tests.fuzz.table import Outcome
from tests.parts.house import House, config_for, house
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program
from tests.parts.phone import Phone, phone

ROOT = Path(__file__).parents[2]
LASTS_S = 5.0
HUNG_UP_WITHIN_S = 1.0
PATIENCE_S = 30.0
SENDERS = ("alice", "bob", "mallory")


@asynccontextmanager
async def flooding(*arguments: str) -> AsyncIterator[None]:
    """A flooder that has begun, for as long as the block lasts."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fuzz.flooder", *arguments,
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert await process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.kill()
        await process.communicate()


class Scene:
    """A door, alice's phone, and the broker between them."""

    def __init__(self, door: House, alice: Phone, port: int) -> None:
        self.door, self.alice, self.port = door, alice, port
        self._calls = 0

    async def in_a_call(self) -> str:
        """Alice calls, and the door answers; its id."""
        self._calls += 1
        call_id = f"{self._calls:032x}"
        self.alice.joined.clear()
        await self.alice.call(call_id)
        await self.door.until("incoming_call_received", lambda it: it["subject"] == call_id)
        await self.door.appliance.session.accept_call()
        await self.alice.connected()
        await self.door.until("session_joined", lambda it: it["subject"] == call_id)
        return call_id

    async def goes_on(self) -> None:
        """Sound and pictures come, ever more of them."""
        media = self.alice.media
        pictures, frames = media.pictures, len(media.samples)
        await media.until(
            lambda: media.pictures > pictures + 5 and len(media.samples) > frames + 20
        )

    async def hung_up(self, call_id: str) -> float:
        """Alice hangs up; how long it takes until the door has."""
        began = time.monotonic()
        await self.alice.send("end", call_id, {"reason": "hang_up", "kicked_by": None})
        await self.door.until("call_ended", lambda it: it["subject"] == call_id)
        took_s = time.monotonic() - began
        await self.alice.hang_up()
        return took_s

    def media_ports(self) -> list[tuple[str, str]]:
        """Where the door's media comes in."""
        connection = self.alice.connection
        assert connection is not None
        found = re.findall(r" udp \d+ ([0-9.]+) (\d+) typ host", connection.remoteDescription.sdp)
        return list(dict.fromkeys(found))


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """With a real mosquitto."""
    broker = Mosquitto(program("mosquitto"), folder)
    broker.start()
    async with AsyncExitStack() as stack:
        stack.callback(broker.kill)
        config = config_for(broker.port, panel=Panel(max_presses=0))
        door = await stack.enter_async_context(house(config, folder))
        alice = await stack.enter_async_context(phone("alice", "127.0.0.1", broker.port))
        await door.until_true(lambda: "alice" in door.appliance.engine.state.presence)
        yield Scene(door, alice, broker.port)


async def of_the_inbox(stage: Scene, rate: int, lasts_s: float, outcome: Outcome) -> None:
    """Its own name, another contact's and a stranger's, all at once."""
    call_id = await stage.in_a_call()
    topics = [f"appliance/call/front-door/{uid}" for uid in SENDERS]
    async with flooding("mqtt", "127.0.0.1", str(stage.port), str(rate), *topics):
        await _through(stage, lasts_s)
        refused = sum(stage.door.appliance.rejected.values())
        took_s = await stage.hung_up(call_id)
    outcome.sent += refused
    outcome.counts.update({f"inbox: {k}": n for k, n in stage.door.appliance.rejected.items()})
    outcome.figures["hung up in the midst of it"] = f"{took_s * 1000:.0f} ms"
    outcome.expect(refused > 0, "the flood was there, and refused")
    outcome.expect(took_s < HUNG_UP_WITHIN_S, "hung up within 1 s")


async def of_the_port(stage: Scene, rate: int, lasts_s: float, seed: int, outcome: Outcome) -> None:
    """Garbage, DTLS, STUN and RTP into the port of the live call, from elsewhere."""
    call_id = await stage.in_a_call()
    async with AsyncExitStack() as floods:
        for host, port in stage.media_ports():
            await floods.enter_async_context(flooding("udp", host, port, str(rate), str(seed)))
        await _through(stage, lasts_s)
        still = stage.door.appliance.session.status()["call"]
        took_s = await stage.hung_up(call_id)
    outcome.figures["hung up under a flood of its port"] = f"{took_s * 1000:.0f} ms"
    outcome.expect(
        still is not None and still["call_id"] == call_id, "the call outlived the flood of its port"
    )
    outcome.counts["ports flooded"] += len(stage.media_ports())


async def _through(stage: Scene, lasts_s: float) -> None:
    until_s = time.monotonic() + lasts_s
    await stage.goes_on()
    while time.monotonic() < until_s:
        await stage.goes_on()


def run(rate: int, seed: int, lasts_s: float = LASTS_S) -> Outcome:
    """A call in each flood, of `rate` a second."""
    outcome = Outcome(f"Floods of {rate} a second for {lasts_s:g} s, during a call", seed)
    with tempfile.TemporaryDirectory(prefix="flood-") as folder:
        asyncio.run(_run(Path(folder), rate, seed, lasts_s, outcome))
    return outcome


async def _run(folder: Path, rate: int, seed: int, lasts_s: float, outcome: Outcome) -> None:
    async with scene(folder) as stage:
        await of_the_port(stage, rate, lasts_s, seed, outcome)
        await of_the_inbox(stage, rate, lasts_s, outcome)
