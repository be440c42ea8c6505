"""All that went over the broker is said again: at once, after a minute, a year, a restart, a reboot.

A whole daemon with keys, as a process whose time of day is set (libfaketime), a real mosquitto, and a phone
that is paired, is rung, answers, opens the door, hangs up, calls, and gives signed commands. Whatever was
recorded is then said again in its order, the retained as retained, by somebody who may write everything.
Nothing may ring, open, be answered or be known from that; and between the replays an honest call goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.trust.keys import decoded, encoded
from tests.fuzz.table import Outcome
from tests.parts.faraway import PATIENCE_S, FarDoor, far_door
from tests.parts.guest import Guest, guest
from tests.parts.mosquitto import Mosquitto, free_port
from tests.parts.need import program, skip_or_fail
from tests.parts.pen import Pen, read
from tests.parts.recorder import Kept, Recorder, recording

FAKETIME = "faketime/libfaketimeMT.so.1"
LIBRARIES = ("/usr/lib", *sorted(map(str, Path("/usr/lib").glob("*-linux-gnu*"))))
DEVICE, PHONE = "front-door", "phone"
MINUTE_S, YEAR_S = 60, 365 * 86_400
BURST, PAUSE_S = 60, 3.0
"""So many are said at once, and then the device may count them: they are not to be a flood."""
HARMLESS = frozenset({"error"})
SETTLE_S = 1.0
"""So long a program goes on by the clock that it has read."""
LAST = b"the last of it"
HOUR_S = 3600
BACK = ("a reboot", "a restart")
NO_REBOOT = "no reboot is played"
"""The figure that says why: this kernel has no namespaces of time, and it is a restart instead."""
UP_S = 9
"""How long a machine has been up when its daemon starts."""
READ = "from time import *; print(clock_gettime(CLOCK_MONOTONIC), clock_gettime(CLOCK_BOOTTIME))"


class Here:
    """This machine's own network, with a clock that can be set while programs run by it."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._file = folder / "clock"
        self._library = library
        self._within: list[str | Path] = []
        self._holds: Path | None = None
        self._since_s = 0
        self.set(0)

    def set(self, ahead_s: int) -> None:
        """The time of day of the programs; clocks that only rise are the machine's."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_s:+}\n")
        new.rename(self._file)

    @contextmanager
    def rebooted(self) -> Iterator[str]:
        """What is started meanwhile has clocks that only rise begun anew; why not, where none can be.

        By a namespace of time (time_namespaces(7)): of `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME`.
        """
        clocks = {"monotonic": time.CLOCK_MONOTONIC, "boottime": time.CLOCK_BOOTTIME}
        self._since_s = int(time.clock_gettime(time.CLOCK_BOOTTIME))
        back = [f"--{name}={UP_S - int(time.clock_gettime(one))}" for name, one in clocks.items()]
        unshare = str(program("unshare", "util-linux"))
        holder = subprocess.Popen(
            [unshare, "--time", *back, "--fork", "--kill-child",
             "sh", "-c", "echo $$ && exec sleep infinity"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert holder.stdout is not None
            there = holder.stdout.readline().strip()  # nothing where it ended
            if there:
                self._holds = Path(f"/proc/{there}/ns/time")
                self._within = [program("nsenter", "util-linux"), f"--time={self._holds}"]
                yield ""
            else:
                yield _why(holder)
        finally:
            self._within, self._holds = [], None
            holder.kill()
            holder.communicate()

    def begun_anew(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether a program that was started meanwhile has those clocks, which began at `UP_S`.

        By what the kernel says whose they are, and by what somebody reads who is given the same.
        """
        own = Path(f"/proc/{process.pid}/ns/time")
        if self._holds is None or own.readlink() != self._holds.readlink():
            return False
        enter = [str(program("nsenter", "util-linux")), f"--time={own}"]
        asked = [*enter, sys.executable, "-S", "-E", "-c", READ]
        said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
        passed_s = time.clock_gettime(time.CLOCK_BOOTTIME) - self._since_s
        return all(UP_S <= float(one) <= UP_S + passed_s for one in said.split())

    def start(self, words: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        """Start a program by that clock."""
        options["env"] |= {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": str(int(SETTLE_S)),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return subprocess.Popen([str(one) for one in (*self._within, *words)], **options)


def _why(holder: subprocess.Popen[str]) -> str:
    """What is said where it could not make a namespace of time."""
    _, said = holder.communicate()
    if not Path("/proc/self/ns/time").exists():  # before Linux 5.6, or built without
        return f"Function not implemented: namespaces of time ({said.strip()})"
    return said.strip() or f"unshare ended with {holder.returncode}"


def faketime() -> Path:
    """Debian's libfaketime, for a program with threads."""
    found = next((at for one in LIBRARIES if (at := Path(one) / FAKETIME).exists()), None)
    if found is None:
        skip_or_fail("libfaketime is not installed (apt install libfaketime)")
    assert found is not None
    return found


@dataclass
class Scene:
    """Who takes part."""

    folder: Path
    broker: Mosquitto
    here: Here
    recorder: Recorder
    outcome: Outcome
    pen: Pen = field(default_factory=Pen)
    orders: int = 0

    @asynccontextmanager
    async def door(self) -> AsyncIterator[FarDoor]:
        """The daemon, connected."""
        environ = {
            "APPLIANCE__MQTT__HOST": self.broker.host,
            "APPLIANCE__MQTT__PORT": str(self.broker.port),
            "APPLIANCE__MQTT__WEBSOCKET_URL": f"ws://127.0.0.1:{self.broker.websocket_port}/",
            "APPLIANCE__SECURITY__UNSIGNED": "refuse",
            "APPLIANCE__CALL__RECEIVER": "user:alice",
            "APPLIANCE__RELAYS__DOOR__PULSE_S": "1",
            "APPLIANCE__HTTP__PORT": str(free_port()),
        }
        async with far_door(self.here, self.folder, environ) as door:
            await door.until_mqtt(True)
            yield door

    @asynccontextmanager
    async def alice(self) -> AsyncIterator[Guest]:
        """Her phone: a new epoch, and numbers that go on rising."""

        def dressed(one: Guest) -> None:
            one.pen, one._seq = self.pen, time.time_ns() // 1_000_000

        async with guest("alice", self.broker.port, endpoint=PHONE, dress=dressed) as one:
            yield one

    # -------------------- what is recorded

    async def story(self, door: FarDoor) -> None:
        """Everything that a phone and a door tell one another."""
        async with self.alice() as alice:
            await self._pair(door, alice)
            await self.call_from_the_door(door, alice)
            await self.call_to_the_door(door, alice)
            await self._command(door, "set_volume", {"percent": 60})
            await self._command(door, "unlock", {})
            await door.until_status(_relay("energized"))
            await door.until_status(_relay("released"))

    async def _pair(self, door: FarDoor, alice: Guest) -> None:
        """By an invitation of a further phone of hers, as `appliance pair` asks for one."""
        unknown = await alice.hear("paired")
        assert unknown["body"]["error"] == "not_known", "her key, which her presence names"
        told = await door.ask(pair={"name": "Alice", "may": None, "expires_s": 600})
        words = told["invitation"]
        said = f"pair\n{words['device_id']}\n{words['uid']}\n{self.pen.public}".encode()
        proof = encoded(hmac.new(decoded(words["secret"]), said, hashlib.sha256).digest())
        pen, alice.pen = alice.pen, None
        body = {"key": self.pen.public, "proof": proof}
        await alice.send("pair", secrets.token_hex(16), body, epoch=None)
        alice.pen = pen
        paired = await alice.hear("paired")
        assert paired["body"]["error"] is None, paired
        async with asyncio.timeout(PATIENCE_S), door.changed:  # the second answer is no event
            await door.changed.wait_for(lambda: any("pairing" in one for _, one in door.told))
        door.told.clear()

    async def call_from_the_door(self, door: FarDoor, alice: Guest) -> None:
        """The bell is pressed; she answers, opens, and hangs up."""
        door.told.clear()
        await door.ask(press="call")
        await alice.takes()
        await alice.talks()
        await door.until("session_joined")
        response = await alice.asks("unlock", relay=None, uid=None, receiver=None, reason=None)
        assert response["body"]["accepted"], response
        await alice.leaves()
        await door.until("call_ended")
        await door.until_status(_relay("released"))

    async def call_to_the_door(self, door: FarDoor, alice: Guest) -> None:
        """She calls, and somebody at the door answers."""
        door.told.clear()
        await alice.rings()
        await door.until("incoming_call_received")
        await door.ask(command="accept_call")
        await alice.talks()
        await door.until("session_joined")
        await alice.leaves()
        await door.until("call_ended")

    async def _command(self, door: FarDoor, name: str, args: dict[str, Any]) -> None:
        self.orders += 1
        said = {
            "v": 1, "id": secrets.token_hex(8), "client": "program", "name": name, "args": args,
            "from": "alice", "to": DEVICE, "endpoint": "program", "epoch": self._door_epoch(),
            "seq": self.orders, "sent_at": int(time.time() * 1000), "ttl_s": 30, "clock": "unknown",
        }  # fmt: skip
        replies = len(self.replies())
        topic = f"appliance/device/{DEVICE}/command/{name}"
        await self.recorder.say(topic, self.pen.sign(json.dumps(said).encode()))
        while len(self.replies()) == replies:  # noqa: ASYNC110 - it is a list
            await asyncio.sleep(0.02)
        reply = json.loads(self.replies()[-1].payload)
        assert reply["ok"], reply

    def _door_epoch(self) -> str:
        topic = f"appliance/presence/{DEVICE}/main"
        told = [one for one in self.recorder.kept if one.topic == topic]
        return str(json.loads(told[-1].payload)["epoch"])

    def replies(self) -> list[Kept]:
        return [one for one in self.recorder.kept if "/reply/" in one.topic]

    # -------------------- and said again

    async def again(self, door: FarDoor, when: str, said: list[Kept]) -> None:
        """All of it, in its order; what the device makes of it is noted."""
        before = await self._what_is(door)
        door.told.clear()
        heard = len(self.recorder.kept)
        for number, one in enumerate(said, 1):
            await self.recorder.say(one.topic, one.payload, retain=_is_retained(one.topic))
            if number % BURST == 0:
                await asyncio.sleep(PAUSE_S)
        await self.recorder.say(f"appliance/call/{DEVICE}/alice", LAST)
        await door.until("error", lambda item: item["data"]["code"] in ("unsigned", "malformed"))
        self.outcome.sent += len(said)
        done = set(door.names()) - HARMLESS
        self.outcome.expect(not done, f"{when}: no event but refusals{_named(done)}")
        after = await self._what_is(door)
        self.outcome.expect(before == after, f"{when}: state, relay and contacts are as they were")
        answers = [one for one in self.recorder.kept[heard:] if "/reply/" in one.topic]
        echoed = [one for one in said if "/reply/" in one.topic]
        self.outcome.expect(len(answers) == len(echoed), f"{when}: no command is answered")
        payloads = {one.payload for one in said}
        mine = [json.loads(read(one.payload)) for one in said if "/call/alice/" in one.topic]
        own = [
            json.loads(read(one.payload))
            for one in self.recorder.kept[heard:]
            if one.topic == f"appliance/call/alice/{DEVICE}" and one.payload not in payloads
        ]
        kinds = {one["type"] for one in own if not _is_said_again(one, mine)}
        promise = f"{when}: nobody is called, and no call is answered{_named(kinds)}"
        self.outcome.expect(not kinds, promise)
        codes = [item["data"] for _, item in door.told if item["type"] == "appliance.error"]
        for told in codes:
            self.outcome.counts[f"{when}: {told['code']}"] += told.get("count", 1)

    async def anew(self, when: str, said: list[Kept]) -> None:
        """A daemon that was started just now, to which it is said again."""
        async with self.door() as door:
            if "reboot" in when:
                promise = f"{when}: the daemon's clocks began at {UP_S} s"
                self.outcome.expect(self.here.begun_anew(door.process), promise)
            await self.again(door, when, said)
            await self.is_well(door, when)

    async def _what_is(self, door: FarDoor) -> dict[str, Any]:
        status = await door.status()
        contacts = await door.ask(contacts=True)
        return {
            "calls": status["calls"],
            "relays": status["panel"]["relays"],
            "volume": status["media"]["volume_percent"],
            "contacts": [
                (one["uid"], one["may"], [key["kid"] for key in one["keys"]]) for one in contacts
            ],
        }

    async def is_well(self, door: FarDoor, when: str) -> None:
        """An honest call each way, whatever has been said again before."""
        async with self.alice() as alice:
            await self.call_from_the_door(door, alice)
            await self.call_to_the_door(door, alice)
        self.outcome.counts["honest calls, and served"] += 2
        self.outcome.figures[f"{when}: honest calls"] = "2 of 2"


def _is_said_again(one: dict[str, Any], before: list[dict[str, Any]]) -> bool:
    """What may have been lost is said once more, the same; and who proves nothing is told so."""
    if one["type"] == "paired":
        known = [each["body"] for each in before if each["type"] == "paired"]
        return bool(one["body"]["error"]) or one["body"] in known
    return one["id"] in {each["id"] for each in before}


def _is_retained(topic: str) -> bool:
    return "/presence/" in topic or topic.endswith(("/info", "/availability")) or "/state/" in topic


def _named(done: set[str]) -> str:
    return f" ({', '.join(sorted(done))})" if done else ""


def _relay(state: str) -> Callable[[Any], bool]:
    return lambda status: bool(status["panel"]["relays"]["door"] == state)


async def _play(folder: Path, times: int, outcome: Outcome, whole: bool) -> None:
    broker = Mosquitto(program("mosquitto"), folder)
    here = Here(folder, faketime())
    broker.start()
    async with AsyncExitStack() as stack:
        stack.callback(broker.kill)
        recorder = await stack.enter_async_context(recording(broker.port))
        scene = Scene(folder, broker, here, recorder, outcome)
        for _ in range(times):
            here.set(0)
            begun = len(recorder.kept)
            async with scene.door() as door:
                await scene.story(door)
                said = recorder.kept[begun:]
                outcome.counts["recorded"] += len(said)
                await scene.again(door, "at once", said)
                if whole:
                    await scene.is_well(door, "at once")
                    await asyncio.sleep(MINUTE_S)  # by every clock there is
                    await scene.again(door, "after a minute", said)
                    await scene.is_well(door, "after a minute")
                    here.set(YEAR_S)
                    await asyncio.sleep(2 * SETTLE_S)
                    await scene.again(door, "after a year", said)
                    await scene.is_well(door, "after a year")
            if whole:
                here.set(0)
                await scene.anew("after a restart", said)
                with here.rebooted() as why_not:  # and without a battery it is behind the time
                    here.set(-HOUR_S)
                    promise = "this kernel has namespaces of time, so a reboot is played"
                    outcome.expect(not why_not, promise)
                    await scene.anew("after a reboot", said)
            here.set(YEAR_S)
            with here.rebooted() as why_not:
                if why_not:
                    outcome.figures[NO_REBOOT] = why_not
                await scene.anew(f"after {BACK[bool(why_not)]} and a year", said)


def run(count: int, seed: int, *, whole: bool = True) -> Outcome:
    """So many times the story; not `whole`, it is said again at once, and after a reboot and a year."""
    outcome = Outcome("Replay: all that went over the broker, said again", seed)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_play(Path(folder), count, outcome, whole))
    return outcome
