"""A call in a flood: of its inbox, of who is there, of commands, of its port, and of media by who is in it.

The door believes nobody without a key. The call stays, sound and pictures go on, and who hangs up in the
midst of it, in whose own name it is flooded, rightly signed among it, is heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pylibsrtp
from msgspec.structs import replace
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from appliance.calls.inputs import ENDPOINTS_OF_EACH
from appliance.config import Panel
from appliance.media.admission import MAX_SOURCES
from appliance.media.peer import Peer
from tests.fuzz.flooder import Told
from tests.fuzz.table import Outcome
from tests.media.reading import read
from tests.parts.house import House, config_for, house, strict
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program
from tests.parts.pen import Pen
from tests.parts.phone import Phone, phone
from tests.parts.told import name_of

ROOT = Path(__file__).parents[2]
LASTS_S = 5.0
HUNG_UP_WITHIN_S = 0.2
"""Of CPU time of this process, beyond what the call takes: a busy machine does not judge."""
PATIENCE_S = 30.0
BEGINS_S = 1.0
"""A recording begins with a keyframe, of which a second has three at most, in a file that is to be made."""
DEVICE = "appliance/device/front-door"
SENDERS = ("alice", "bob", "mallory")


@asynccontextmanager
async def flooding(*arguments: str, told: Told | None = None) -> AsyncIterator[None]:
    """A flooder that has begun, for as long as the block lasts."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fuzz.flooder", *arguments,
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asdict(told or Told())).encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            assert await process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.kill()
        await process.communicate()


@dataclass(frozen=True)
class Took:
    """How long something has taken."""

    seconds: float
    own_cpu_s: float

    def __str__(self) -> str:
        return f"{self.seconds * 1000:.0f} ms, {self.own_cpu_s * 1000:.0f} of own CPU time"


class Scene:
    """A door, alice's phone, and the broker between them."""

    def __init__(
        self, door: House, alice: Phone, pens: dict[str, Pen], port: int, folder: Path
    ) -> None:
        self.door, self.alice, self.port, self.folder = door, alice, port, folder
        self._pens = pens
        self._calls = 0

    async def told(self, call_id: str = "c1") -> Told:
        """To a flooder that has alice's key, and knows bob's by its name."""
        kids = {uid: pen.kid for uid, pen in self._pens.items()}
        secrets = {"alice": self._pens["alice"].secret.hex()}
        return Told(call_id, await self.alice.door_epoch, kids, secrets)

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

    async def hung_up(self, call_id: str) -> Took:
        """Alice hangs up; how long it takes until the door has."""
        began = time.monotonic(), time.process_time()
        await self.alice.send("end", call_id, {"reason": "hang_up", "kicked_by": None})
        return await self._ended(call_id, *began)

    async def hung_up_here(self, call_id: str) -> Took:
        """Somebody presses the door's button, which hangs up."""
        began = time.monotonic(), time.process_time()
        board = self.door.appliance.board
        assert board is not None
        while not self._is_over(call_id):  # a slow machine may hold it for too long to be a press
            await board.press("answer")
            await asyncio.sleep(0.1)
        return await self._ended(call_id, *began)

    def chatter(self, call_id: str) -> int:
        """How many chat messages of a call the door has believed."""
        told = [item for item in self.door.told if item["subject"] == call_id]
        return sum(name_of(item) == "chat_message" for item in told)

    def _is_over(self, call_id: str) -> bool:
        told = [item for item in self.door.told if item["subject"] == call_id]
        return any(name_of(item) == "call_ended" for item in told)

    async def _ended(self, call_id: str, began_s: float, cpu_s: float) -> Took:
        await self.door.until("call_ended", lambda it: it["subject"] == call_id)
        took = Took(time.monotonic() - began_s, time.process_time() - cpu_s)
        await self.alice.hang_up()
        return took

    async def drained(self) -> None:
        """Nothing of a flood that has ended comes any more, and its sender has some share again."""
        rejected, seen, calm = self.door.appliance.rejected, -1, 0

        def still() -> bool:
            nonlocal seen, calm
            calm = calm + 1 if seen == sum(rejected.values()) else 0
            seen = sum(rejected.values())
            return calm > 40

        await self.door.until_true(still)

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
        plain = ("mute_audio", "set_volume")
        config = replace(config, mqtt=replace(config.mqtt, plain_commands=plain))
        pens = {"alice": Pen(), "bob": Pen()}
        door = await stack.enter_async_context(house(strict(config, **pens), folder))
        alice = await stack.enter_async_context(
            phone("alice", "127.0.0.1", broker.port, pen=pens["alice"])
        )
        await door.until_true(lambda: "alice" in door.appliance.engine.state.presence)
        yield Scene(door, alice, pens, broker.port, folder)


async def of_the_inbox(stage: Scene, rate: int, lasts_s: float, outcome: Outcome) -> None:
    """Its own name, another contact's and a stranger's, all at once; who hangs up is alice, or the door.

    In her own there is what she has signed, to be believed as far as her share goes; in both contacts'
    what is forged.
    """
    topics = [f"appliance/call/front-door/{uid}" for uid in SENDERS]
    rejected = stage.door.appliance.rejected
    earlier = Counter(rejected)
    for by, hang_up in (("phone", stage.hung_up), ("button", stage.hung_up_here)):
        call_id = await stage.in_a_call()
        calm, before = await _costs(stage, lasts_s / 2), sum(rejected.values())
        told = await stage.told(call_id)
        async with flooding("mqtt", "127.0.0.1", str(stage.port), str(rate), *topics, told=told):
            flooded = await _costs(stage, lasts_s)
            took = await hang_up(call_id)
        await stage.drained()
        chatter = stage.chatter(call_id)
        outcome.expect(chatter > 0, f"her own chatter in it was believed ({by})")
        outcome.counts["inbox: hers, rightly signed, and believed"] += chatter
        outcome.expect(sum(rejected.values()) > before, f"the flood was there, and refused ({by})")
        outcome.figures[f"of a processor, before it and in it ({by})"] = (
            f"{calm:.2f}, {flooded:.2f}"
        )
        outcome.figures[f"hung up in its midst by the {by}"] = str(took)
        outcome.expect(
            took.own_cpu_s - calm * took.seconds < HUNG_UP_WITHIN_S,
            f"hung up by the {by} within 0.2 s of own CPU time",
        )
    refused = Counter(rejected) - earlier
    outcome.expect(refused["forged"] > 0, "what was forged in it was verified, and refused")
    outcome.sent += refused.total()
    outcome.counts.update({f"inbox: {code}": number for code, number in refused.items()})


async def of_presence(stage: Scene, rate: int, lasts_s: float, outcome: Outcome) -> None:
    """Of a phone that comes anew each time, of more and more phones of a contact, and of strangers'.

    The contacts' are there by the names of their keys, which everybody can copy.
    """
    topics = [f"appliance/presence/{one}" for one in ("alice/flood", "bob/+", "mallory/+")]
    rejected = stage.door.appliance.rejected
    call_id = await stage.in_a_call()
    told = await stage.told(call_id)
    calm, before = await _costs(stage, lasts_s / 2), sum(rejected.values())
    async with flooding("mqtt", "127.0.0.1", str(stage.port), str(rate), *topics, told=told):
        flooded = await _costs(stage, lasts_s)
        took = await stage.hung_up(call_id)
    await stage.drained()
    refused = sum(rejected.values()) - before
    outcome.expect(refused > 0, "the flood of presence was there, and refused")
    outcome.figures["of a processor, before it and in it (presence)"] = f"{calm:.2f}, {flooded:.2f}"
    outcome.figures["hung up in a flood of presence"] = str(took)
    outcome.expect(
        took.own_cpu_s - calm * took.seconds < HUNG_UP_WITHIN_S,
        "hung up in a flood of presence within 0.2 s of own CPU time",
    )
    present = stage.door.appliance.engine.state.presence
    outcome.expect("mallory" not in present, "no stranger is there")
    outcome.expect(len(present["bob"]) <= ENDPOINTS_OF_EACH, "who is there has an end")
    outcome.sent += refused
    outcome.counts["presence: refused"] += refused


async def of_commands(stage: Scene, rate: int, lasts_s: float, outcome: Outcome) -> None:
    """Plain ones, of which one is taken, and forged: another and a program here are served all the same."""
    topics = [f"{DEVICE}/command/{one}" for one in ("mute_audio", "unlock", "+")]
    rejected = stage.door.appliance.rejected
    before, rounds = Counter(rejected), 0
    with home(stage.port) as automation:
        told = await stage.told()
        async with flooding("mqtt", "127.0.0.1", str(stage.port), str(rate), *topics, told=told):
            until_s = time.monotonic() + lasts_s
            while rounds < 3 or time.monotonic() < until_s:
                rounds += 1
                automation.asks(rounds)
                await stage.door.until_true(partial(automation.served.__contains__, rounds))
                assert (await asked_here(stage.folder))["ok"]
                await asyncio.sleep(
                    0.2
                )  # it is an automation's share that is looked at, not its end
        await stage.drained()
    refused = Counter(rejected) - before
    outcome.figures["asked and served in a flood of commands"] = f"{2 * rounds} of {2 * rounds}"
    outcome.expect(refused["flooded"] > 0, "the flood of commands was there, and refused")
    outcome.expect(refused["forged"] > 0, "forged commands were verified, and refused")
    outcome.sent += refused.total()
    outcome.counts.update({f"commands: {code}": number for code, number in refused.items()})


class Home:
    """An automation, which gives a command that is taken plain, and hears what became of it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.served: set[int] = set()
        client.on_message = lambda _client, _data, message: self._hears(json.loads(message.payload))

    def _hears(self, reply: dict[str, Any]) -> None:
        if reply["ok"]:
            self.served.add(reply["id"])

    def asks(self, number: int) -> None:
        """Once, with an answer to that number."""
        body = {"id": number, "client": "home", "args": {"percent": number % 100}}
        self._client.publish(f"{DEVICE}/command/set_volume", json.dumps(body), 1)


@contextlib.contextmanager
def home(port: int) -> Iterator[Home]:
    """It listens by the time the block begins: a broker takes a client's packets in their order."""
    client = Client(CallbackAPIVersion.VERSION2)
    one = Home(client)
    client.connect("127.0.0.1", port)
    client.subscribe(f"{DEVICE}/reply/home")
    client.loop_start()
    try:
        yield one
    finally:
        client.disconnect()
        client.loop_stop()


async def asked_here(folder: Path) -> dict[str, Any]:
    """The answer to a command of a program on the device."""
    reader, writer = await asyncio.open_unix_connection(folder / "appliance.sock")
    try:
        writer.write(
            b'{"id": 1, "command": "set_volume", "args": {"output": "speaker", "percent": 50}}\n'
        )
        async with asyncio.timeout(PATIENCE_S):
            reply: dict[str, Any] = json.loads(await reader.readline())
        return reply
    finally:
        writer.close()
        await writer.wait_closed()


async def of_the_port(stage: Scene, rate: int, lasts_s: float, seed: int, outcome: Outcome) -> None:
    """Garbage, DTLS, STUN and RTP into the port of the live call, from elsewhere."""
    call_id = await stage.in_a_call()
    async with AsyncExitStack() as floods:
        for host, port in stage.media_ports():
            await floods.enter_async_context(flooding("udp", host, port, str(rate), str(seed)))
        await _through(stage, lasts_s)
        still = stage.door.appliance.session.status()["call"]
        took = await stage.hung_up(call_id)
    outcome.figures["hung up under a flood of its port"] = str(took)
    outcome.expect(
        still is not None and still["call_id"] == call_id, "the call outlived the flood of its port"
    )
    outcome.counts["ports flooded"] += len(stage.media_ports())


async def of_media(stage: Scene, rate: int, lasts_s: float, seed: int, outcome: Outcome) -> None:
    """By her own key: sound of other sources, with jumps of numbers and times, while she is recorded."""
    call_id = await stage.in_a_call()
    session, studio = stage.door.appliance.session, stage.door.appliance.studio
    started = await session.start_recording()
    assert isinstance(started, dict)
    assert studio is not None
    (leg,) = studio._legs.values()
    assert leg._peer is not None
    began_s = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        pouring = tasks.create_task(_pour(stage.alice, rate, Random(seed)))
        flooded = await _costs(stage, max(lasts_s, 2 * BEGINS_S))
        left_out = leg._peer.left_out()
        kept = _memory_of(leg._peer)
        lasted_s = time.monotonic() - began_s
        await session.stop_recording()
        took = await stage.hung_up(call_id)
        pouring.cancel()
    found = read(Path(started["path"]))
    outcome.counts.update({f"media: {why}": number for why, number in left_out.items()})
    outcome.figures["of a processor, with who floods (media)"] = f"{flooded:.2f}"
    outcome.figures["hung up in a flood of media"] = str(took)
    outcome.figures["recorded in it"] = f"{found.duration_s:.1f} s of {lasted_s:.1f}"
    outcome.expect(left_out.total() > 0, "the flood of media was there, and left out")
    outcome.expect(kept <= 2 * MAX_SOURCES, "what is kept of sources has an end")
    outcome.expect(
        found.duration_s > 0.8 * (lasted_s - BEGINS_S), "the recording went on, and can be played"
    )
    pictures, keyframes = len(found.numbers), len(found.keyframe_times_s)
    seen = pictures - found.numbers.count(-1)
    shown_s = sum(to_s - from_s for from_s, to_s, _ in found.shown())
    outcome.figures["pictures in it"] = f"{seen} of {pictures}"
    outcome.figures["black ones, and keyframes"] = f"{found.black}, {keyframes}"
    outcome.figures["shown in it"] = f"{shown_s:.1f} s of {found.duration_s:.1f}"
    outcome.expect(seen + found.black == pictures, "each of them whole, or black")
    outcome.expect(shown_s > 0.8 * (lasted_s - BEGINS_S), "with the door's pictures")


async def _pour(phone: Phone, rate: int, rng: Random) -> None:
    """So much a second, in her name and with her key, until it is cancelled."""
    assert phone.connection is not None
    dtls = phone.connection.getTransceivers()[0].sender.transport
    kinds = [kind for kind in dtls._rtp_router.payload_type_table if kind < 128]
    began_s, sent = time.monotonic(), 0
    while dtls.state == "connected":
        due = int((time.monotonic() - began_s) * rate)
        for number in range(sent, min(due, sent + 50)):
            ssrc = rng.choice([7, 8, 9, rng.randrange(2**32)])
            jump = rng.choice([number, rng.randrange(2**16)]) % 2**16
            head = struct.pack("!BBHII", 0x80, rng.choice(kinds), jump, rng.randrange(2**32), ssrc)
            with contextlib.suppress(pylibsrtp.Error, ConnectionError):
                await dtls._send_rtp(head + bytes(160))
        sent = due
        await asyncio.sleep(0.002)


def _memory_of(peer: Peer) -> int:
    """How many sources aiortc keeps something of."""
    found = 0
    for transceiver in peer._pc.getTransceivers():
        receiver = transceiver.receiver
        found = max(found, len(vars(receiver)["_RTCRtpReceiver__remote_streams"]))
        found = max(found, len(receiver.transport._rtp_router.ssrc_table))
    return found


async def _costs(stage: Scene, lasts_s: float) -> float:
    """The process's own CPU time, as a part of a processor, while the call goes on for so long."""
    began_s, before_s = time.monotonic(), time.process_time()
    await _through(stage, lasts_s)
    return (time.process_time() - before_s) / (time.monotonic() - began_s)


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
        await of_media(stage, rate // 2, lasts_s, seed, outcome)
        await of_commands(stage, rate, lasts_s, outcome)
        await of_presence(stage, rate, lasts_s, outcome)
        await of_the_inbox(stage, rate, lasts_s, outcome)
