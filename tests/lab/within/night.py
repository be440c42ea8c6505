"""A night at the door, by a clock that jumps: many calls, and what is left of them in the morning.

The long form (`LAB=long`) has thousands, of which each of two machines plays half.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.media.seams.timing import go_steadily
from tests.lab.extent import EXTENT, Extent
from tests.lab.within.unit import SIMULATED, overheard, shell, started
from tests.parts.faraway import Overheard
from tests.parts.guest import Guest, guest
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program
from tests.parts.phone import Message
from tests.parts.told import name_of

CALLS, WITH_MEDIA = {Extent.SHORT: (10, 2), Extent.ALL: (100, 4), Extent.LONG: (1000, 10)}[EXTENT]
PAUSE_S = 1.1, 1.6
"""What is not acknowledged is said again after a second: none of it is to ring."""
RING_S, IDLE_S, TALK_S = 2, 1, 1
"""By whatever clock. A second in which nothing happens costs a tenth of a call; in each in which somebody
talks fifty pieces of sound are made.
"""
GIVEN_UP_S = 30
"""Without its peer a call is given up after so long at most: one that closes its connection is gone."""
GRACE_S = 2.0
"""Whoever calls is to say that it took too long; so much later a door says so itself."""
LATE_S = 0.5
"""What may be between a time-out and its time; a year is not, and no second."""
ON = "1 second"
"""By so much no broker takes anybody for silent who is not: the door says something every five seconds."""
SETTLED = 20
SETTLED_S = 3
"""Until a broker has dropped whoever it takes for silent, and they are back: within a second."""
MOST_KIB = 8 * 1024

NO_DEVICES = SIMULATED.split("[cameras.front]")[0]
MORE = f"""
[call]
receiver = "user:alice"
ring_timeout_s = {RING_S}
idle_timeout_s = {IDLE_S}
[call_log]
max_entries = 10000
"""

pytestmark = pytest.mark.timeout(10_000_000)  # by that clock


@dataclass
class Night:
    """The door, her phone, and what each call came to."""

    door: Overheard
    alice: Guest
    ended: dict[str, str] = field(default_factory=dict)
    """By call: why."""

    async def over(self, call_id: str, reason: str) -> float:
        """When the call had its end."""
        at_s = await self.door.until(
            "call_ended", lambda one: one["data"]["call"]["call_id"] == call_id
        )
        ends = [one["data"] for _, one in self.door.told if name_of(one) == "call_ended"]
        assert [one["call"]["call_id"] for one in ends] == [call_id], "one end, of this call"
        assert ends[0]["reason"] == reason
        assert call_id not in self.ended
        self.ended[call_id] = reason
        while not self.alice.inbox.empty():
            self.alice.inbox.get_nowait()
        self.door.told.clear()
        return at_s

    async def pauses(self) -> None:
        """Nobody is at the door; nothing rings any more."""
        await asyncio.sleep(random.Random(len(self.ended)).uniform(*PAUSE_S))
        assert self.door.told == []
        while not self.alice.inbox.empty():
            assert self.alice.inbox.get_nowait()["type"] != "invite"
        self.alice.forget()


# -------------------- calls, each with its time

Outcome = Callable[[Night], Awaitable[None]]


async def nobody_answers_her(night: Night) -> None:
    call_id = await incoming(night)
    rang_s = await night.door.until("incoming_call_received")
    at_s = await night.over(call_id, "timed_out")
    assert abs(at_s - rang_s - RING_S - GRACE_S) < LATE_S


async def she_does_not_answer(night: Night) -> None:
    call_id = await outgoing(night)
    rang_s = await night.door.until("outgoing_call_started")
    at_s = await night.over(call_id, "timed_out")
    assert abs(at_s - rang_s - RING_S) < LATE_S


async def she_rejects(night: Night) -> None:
    call_id = await outgoing(night)
    await night.alice.send("reject", call_id, {"reason": "rejected", "custom_data": None})
    await night.over(call_id, "rejected")


async def she_cancels(night: Night) -> None:
    call_id = await incoming(night)
    await asyncio.sleep(random.Random(call_id).uniform(0, RING_S / 2))
    await night.alice.send("cancel", call_id, {"reason": "cancelled", "by": None})
    await night.over(call_id, "cancelled")


async def nobody_comes(night: Night) -> None:
    """A session is begun at the door, for whoever has its token."""
    call_id = f"{random.getrandbits(128):032x}"
    token = {"session_id": call_id, "uid": "front-door"}
    own = await night.door.ask(command="generate_token", args=token)
    await night.door.ask(command="start_session", args={"token": own["token"]})
    began_s = await night.door.until("session_joined")
    assert abs(await night.door.until("session_timed_out") - began_s - IDLE_S) < LATE_S
    await night.over(call_id, "idle")


OUTCOMES = (nobody_answers_her, she_does_not_answer, she_rejects, she_cancels, nobody_comes)


async def outgoing(night: Night) -> str:
    await night.door.ask(command="initiate_call", args={})
    return str((await invited(night))["call_id"])


async def invited(night: Night) -> Message:
    """Her phone rings; who is invited twice into one call rings once."""
    while (invite := await night.alice.hear("invite"))["call_id"] in night.ended:
        """Of the call before."""
    return invite


async def incoming(night: Night) -> str:
    call_id = f"{random.getrandbits(128):032x}"
    await night.alice.send("invite", call_id, {**night.alice.invitation(), "timeout_s": RING_S})
    await night.alice.hear("ringing")
    return call_id


async def they_talk(night: Night) -> None:
    """A call with pictures and sound, until she hangs up."""
    await night.door.ask(press="call")
    call_id = str((await night.alice.takes(await invited(night)))["call_id"])
    await hear_each_other(night)
    await asyncio.sleep(TALK_S)
    await night.alice.leaves()
    await night.over(call_id, "remote_hang_up")


async def she_vanishes(night: Night) -> None:
    """Her phone is gone without a word: the door is alone for as long as it waits, and leaves."""
    await night.door.ask(press="call")
    call_id = str((await night.alice.takes(await invited(night)))["call_id"])
    await hear_each_other(night)
    await night.alice.drop(night.alice.door)
    lost_s = await night.door.until("connection_lost")
    at_s = await night.door.until("call_ended")
    assert 0 <= at_s - lost_s < GIVEN_UP_S + LATE_S
    await night.over(call_id, "connection_closed")


async def the_clock_is_set_while_they_talk(night: Night) -> None:
    """A year on, and back again: what goes between them is not counted by it."""
    await night.door.ask(press="call")
    call_id = str((await night.alice.takes(await invited(night)))["call_id"])
    await hear_each_other(night)
    for years in (1, -1):
        await jump(night, f"{years:+d} years")
        await hear_each_other(night)
    await night.alice.leaves()
    await night.over(call_id, "remote_hang_up")


def taken() -> list[Outcome]:
    """Calls that somebody takes."""
    kinds: list[Outcome] = [they_talk] * WITH_MEDIA
    kinds[1::9] = [she_vanishes] * len(kinds[1::9])  # half a minute of pictures for nobody, each
    kinds[WITH_MEDIA // 2] = the_clock_is_set_while_they_talk
    return kinds


async def hear_each_other(night: Night) -> None:
    media = (await night.alice.talks()).media
    await night.door.until("session_joined")
    seen = media.pictures
    await media.until(lambda: media.pictures > seen + 5)


# -------------------- what is left


@dataclass(frozen=True)
class Held:
    """What the process has."""

    threads: int
    descriptors: int
    kib: int


async def held(night: Night) -> Held:
    """Once what ends has ended."""
    pid = int(shell("systemctl show -P MainPID appliance"))
    await asyncio.sleep(60)
    status = await night.door.status()
    assert status["calls"] == []
    assert status["media"]["peers"] == 0
    kib = next(
        int(line.split()[1])
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    places = (Path(f"/proc/{pid}/{one}") for one in ("task", "fd"))
    threads, descriptors = (len(list(place.iterdir())) for place in places)
    return Held(threads, descriptors, kib)


async def logged(door: Overheard) -> Counter[tuple[str, str]]:
    """What the call log says: each call, and its reason."""
    entries = await door.ask(call_log=10000)
    return Counter((one["call_id"], one["reason"]) for one in entries)


def set_clock(by: str) -> None:
    """As somebody does, or a time server at last."""
    shell(f'date -s "$(date -d "{by}" "+%F %T.%N")"')


async def jump(night: Night, by: str) -> None:
    """Set the clock by far. Debian's mosquitto goes by it: it takes all for silent, and they return."""
    await asyncio.to_thread(set_clock, by)
    await asyncio.sleep(SETTLED_S)
    await night.door.until_mqtt(True)
    await night.alice.online_again()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    folder = tmp_path_factory.mktemp("broker")
    one = Mosquitto(program("mosquitto"), folder, "log_type none")  # twenty lines for each call
    one.start()
    # it looks about ten times a second, in vain, each as dear as a message: now when others wake, too
    Path(f"/proc/{one.pid}/timerslack_ns").write_text(str(10**9))
    # by an address that is not loopback's, which no connection is made over
    shell(
        "ip link add near type dummy && ip addr add 198.18.1.1/24 dev near && ip link set near up"
    )
    yield one
    shell("ip link delete near")
    one.kill()


async def night_of(port: int, calls: Sequence[Outcome], clock: Mapping[int, str]) -> None:
    """These calls, by way of a broker's port; the clock is set in the midst of some, and by a year between
    two; nothing is left.
    """
    go_steadily()  # her aiortc, too, which would not survive a year: it is the door that is tested
    async with (
        overheard() as door,
        guest("alice", port) as alice,
    ):
        await door.until_mqtt(True)
        night = Night(door, alice)
        earlier = await logged(door)
        before: Held | None = None
        for number, call in enumerate(calls):
            if number == min(SETTLED, max(1, len(calls) // 4)):
                before = await held(night)
            if number in clock:
                asyncio.get_running_loop().call_later(IDLE_S / 2, set_clock, clock[number])
            await call(night)
            await night.pauses()
            if number == len(calls) // 2:
                await jump(night, "1 year")
                night.door.told.clear()
        after = await held(night)
        assert before is not None
        assert await logged(door) - earlier == Counter(night.ended.items())
        assert len(night.ended) == len(calls)
        assert after.descriptors <= before.descriptors
        assert after.threads <= before.threads
        assert after.kib - before.kib < MOST_KIB


async def test_a_night_of_calls_that_nobody_takes(broker: Mosquitto) -> None:
    """Each time-out by itself, and with the clock set in it: where it rings a little on and far back, where
    nobody comes far back.
    """
    half = (
        CALLS // 10 * 5
    )  # nobody answers her, then she does not, and of five the last: nobody comes
    clock = {0: ON, 1: ON, half: "-1 year", half + 1: "-1 year", half + 4: "-1 year"}
    calls = [OUTCOMES[one % len(OUTCOMES)] for one in range(CALLS)]
    config = NO_DEVICES.replace('[call]\nreceiver = "user:alice"\n', MORE)
    with started(f"{config}\n[mqtt]\nport = {broker.port}\n"):
        await night_of(broker.port, calls, clock)
