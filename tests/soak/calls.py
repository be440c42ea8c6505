"""Many calls of every outcome in one process: what it holds before and after, and what its memory does."""

from __future__ import annotations

import asyncio
import gc
import re
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from msgspec.structs import replace

from appliance.config import Config, Panel
from appliance.errors import ApplianceError
from appliance.listeners import CallListener
from appliance.model import Call, CallEndReason, Gesture
from appliance.reporting.ledger import Ledger
from appliance.service.heap import AFTER_S
from appliance.signaling.broker import EmbeddedBroker
from tests.parts.house import PATIENCE_S, House, config_for, house, strict
from tests.parts.pen import Pen
from tests.parts.phone import Message, Phone, closed, phone

SETTLED = 20
"""Calls after which everything that is made once has been made."""
WARM = 500
"""Calls from which on what memory grows by is promised."""
FULL = 2500
"""Calls after which everything that is bounded is as full as it gets: 8192 ids of messages,
and the lines of text that the screen remembers, as the time of day goes by."""
STEADY_LOOKS = 12
"""0.6 s: a call that is over may still be waiting for the picture that its log keeps."""
PENS = {uid: Pen() for uid in ("alice", "bob")}
"""The keys of those who take part: nobody is believed without one."""
NAMED = 12
RARE = 100
"""One call of so many is another door's, which is started for it, and stops."""


@dataclass
class Found:
    """What came of it."""

    calls: int
    failed: list[str] = field(default_factory=list)
    """Calls that did not take their course within the patience of the tests, or ended otherwise."""
    ends: Counter[str] = field(default_factory=Counter)
    """How many calls ended for which reason."""
    more: Counter[str] = field(default_factory=Counter)
    """Tasks, threads, sockets and descriptors more than after the first calls."""
    memory_mib: dict[int, float] = field(default_factory=dict)
    """Resident memory after so many calls: `WARM`, `FULL` and all, where there were as many."""
    grown: list[tuple[str, int]] = field(default_factory=list)
    """The kinds of objects of which there are most more than after `WARM` calls."""


class Ends(CallListener):
    """Counts them by their reasons."""

    def __init__(self, found: Found) -> None:
        self._found = found

    def on_call_ended(
        self, call: Call, reason: CallEndReason, kicked_by: str | None, duration_s: float
    ) -> None:
        self._found.ends[reason] += 1


class EndedOtherwise(Exception):
    """A call has another end than its outcome says."""


async def many_calls(
    folder: Path, count: int, say: Callable[[str], None] = lambda _: None
) -> Found:
    """Make `count` calls, each outcome in its turn."""
    found, kinds = Found(count), Counter[str]()
    async with (
        EmbeddedBroker() as broker,
        house(pinned(broker.port), folder) as door,
        phone("alice", "127.0.0.1", broker.port, version=4, pen=PENS["alice"]) as alice,
    ):
        await door.until_true(lambda: "alice" in door.appliance.engine.state.presence)
        door.appliance.session.add_listener(Ends(found))
        before: Counter[str] = Counter()
        for number in range(count):
            if number == SETTLED:
                before = await things(door)
            if number in (WARM, FULL):
                found.memory_mib[number] = await at_rest(door)
                kinds = kinds or objects()
            outcome = OUTCOMES[number % len(OUTCOMES)] if (number + 1) % RARE else restarted
            try:
                await outcome(door, alice, number)
                if outcome is restarted:  # which told it to its own listeners
                    found.ends[CallEndReason.DEVICE_RESTART] += 1
            except (TimeoutError, EndedOtherwise) as fault:
                found.failed.append(f"call {number}, {outcome.__name__}")
                say(f"{found.failed[-1]}: {fault or 'waited in vain'}")
                with suppress(ApplianceError):  # it may have ended by itself
                    await door.appliance.session.end_call()
                await door.until_true(lambda: door.appliance.engine.state.calls == ())
                await put_away(door, alice)
            if number % 100 == 99:
                say(f"{number + 1} calls, {memory_mib():.1f} MiB")
        found.more = await things(door) - before
        if kinds:
            found.memory_mib[count] = await at_rest(door)
            found.grown = (objects() - kinds).most_common(NAMED)
    return found


def pinned(port: int) -> Config:
    """A door that believes those who sign alone, and whose button may be pressed at any time."""
    return strict(config_for(port, panel=Panel(max_presses=0)), **PENS)


async def at_rest(door: House) -> float:
    """MiB in memory once the device has given back what calls needed, as it does after the last of them."""
    await door.until_true(lambda: door.appliance.engine.state.calls == ())
    gc.collect()
    await asyncio.sleep(3 * AFTER_S)
    return memory_mib()


def memory_mib() -> float:
    """What of this process lies in memory."""
    return float(psutil.Process().memory_info().rss) / (1 << 20)


def objects() -> Counter[str]:
    """How many objects of each kind the collector knows."""
    gc.collect()
    return Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())


async def things(door: House) -> Counter[str]:
    """What this process holds, once what ends has ended."""
    await door.until_true(lambda: door.appliance.engine.state.calls == ())
    # the call log looks for a while for a picture of whom no camera has seen
    calls = door.appliance.calls
    await door.until_true(lambda: calls is None or not calls._taking)
    gc.collect()  # a second phone's client, which has left, holds a pair of sockets in a circle
    process = psutil.Process()
    held, steady = Counter[str](), 0
    for _ in range(100):
        before, held = (
            held,
            Counter(
                tasks=len(asyncio.all_tasks()),
                threads=len([one for one in threading.enumerate() if "asyncio_" not in one.name]),
                sockets=len(process.net_connections("all")),
                descriptors=process.num_fds(),
            ),
        )
        steady = steady + 1 if held == before else 0
        if steady == STEADY_LOOKS:
            break
        await asyncio.sleep(0.05)
    return held


async def rung_and_answered(door: House, alice: Phone, number: int) -> None:
    await door.appliance.board.press("bell_alice", Gesture.PRESS)
    invite = await alice.hear("invite")
    await alice.answer(invite)
    await door.until("session_joined")
    await alice.send("end", invite["call_id"], {"reason": "hang_up", "kicked_by": None})
    await over(door, alice, CallEndReason.REMOTE_HANG_UP)


async def called_and_hung_up_on(door: House, alice: Phone, number: int) -> None:
    await alice.call(f"{number:032x}")
    await alice.hear("ringing")
    await door.appliance.session.accept_call()
    await alice.connected()
    await door.until("session_joined")
    await door.appliance.session.end_call()
    await over(door, alice, CallEndReason.LOCAL_HANG_UP)


async def busy(door: House, alice: Phone, number: int) -> None:
    await door.appliance.session.initiate_call("alice")
    invite = await alice.hear("invite")
    await alice.send("reject", invite["call_id"], {"reason": "busy", "custom_data": None})
    await over(door, alice, CallEndReason.BUSY)


async def rejected(door: House, alice: Phone, number: int) -> None:
    await door.appliance.session.initiate_call("alice")
    invite = await alice.hear("invite")
    await alice.send("reject", invite["call_id"], {"reason": "rejected", "custom_data": None})
    await over(door, alice, CallEndReason.REJECTED)


@asynccontextmanager
async def another(door: House, uid: str, endpoint: str) -> AsyncIterator[Phone]:
    """An endpoint beside the first phone, which comes and leaves."""

    def there() -> bool:
        endpoints = door.appliance.engine.state.presence.get(uid, ())
        return endpoint in [one.endpoint for one in endpoints]

    config = door.appliance.config.mqtt
    async with phone(
        uid, config.host, config.port, endpoint=endpoint, version=4, pen=PENS[uid]
    ) as other:
        await door.until_true(there)
        yield other
    await door.until_true(lambda: not there())


async def answered_elsewhere(door: House, alice: Phone, number: int) -> None:
    async with another(door, "alice", "tablet") as tablet:
        await door.appliance.session.initiate_call("alice")
        invite = await alice.hear("invite")
        await tablet.answer(await tablet.hear("invite"))
        assert (await alice.hear("cancel"))["body"]["reason"] == "answered_elsewhere"
        await tablet.send("end", invite["call_id"], {"reason": "hang_up", "kicked_by": None})
        await over(door, alice, CallEndReason.REMOTE_HANG_UP)


async def rejected_elsewhere(door: House, alice: Phone, number: int) -> None:
    async with another(door, "alice", "tablet") as tablet:
        await door.appliance.session.initiate_call("alice")
        invite = await tablet.hear("invite")
        await tablet.send("reject", invite["call_id"], {"reason": "rejected", "custom_data": None})
        assert (await alice.hear("cancel"))["body"]["reason"] == "rejected_elsewhere"
        await over(door, alice, CallEndReason.REJECTED)


async def lost(door: House, alice: Phone, number: int) -> None:
    """The phone closes the connection of a call that runs, and says nothing else."""
    await door.appliance.session.initiate_call("alice")
    invite = await alice.hear("invite")
    await alice.answer(invite)
    await door.until("session_joined")
    await alice.hang_up()
    await door.until("connection_lost")
    await over(door, alice, CallEndReason.CONNECTION_CLOSED)


async def cancelled(door: House, alice: Phone, number: int) -> None:
    await takes_back(door, alice, number, CallEndReason.CANCELLED, None)


async def taken_elsewhere(door: House, alice: Phone, number: int) -> None:
    """She rings here and at another of the same group, where somebody answers."""
    by = {"uid": "bob", "endpoint": "main"}
    await takes_back(door, alice, number, CallEndReason.ANSWERED_ELSEWHERE, by)


async def refused_elsewhere(door: House, alice: Phone, number: int) -> None:
    """She rings at two endpoints of this device, and the other one says no."""
    by = {"uid": "front-door", "endpoint": "hall"}
    await takes_back(door, alice, number, CallEndReason.REJECTED_ELSEWHERE, by)


async def takes_back(
    door: House, alice: Phone, number: int, reason: CallEndReason, by: Message | None
) -> None:
    """She calls, and takes it back for that reason."""
    await alice.call(f"{number:032x}")
    await alice.hear("ringing")
    await alice.send("cancel", f"{number:032x}", {"reason": reason, "by": by})
    await over(door, alice, reason)


async def kicked_out(door: House, alice: Phone, number: int) -> None:
    """Another device called, so that it is the host, and puts this one out."""
    async with another(door, "bob", "main") as gate:
        await gate.call(f"{number:032x}")
        await gate.hear("ringing")
        await door.appliance.session.accept_call()
        await gate.connected()
        await door.until("session_joined")
        await gate.send("end", f"{number:032x}", {"reason": "kicked_out", "kicked_by": "bob"})
        await over(door, alice, CallEndReason.KICKED_OUT)


async def idle(door: House, alice: Phone, number: int) -> None:
    """A session to which nobody comes."""
    session = door.appliance.session
    token = await session.generate_token(f"{number:032x}", uid="front-door")
    await session.start_session(token["token"], settings={"idle_timeout_s": 0.05})
    await door.until("session_timed_out")
    await over(door, alice, CallEndReason.IDLE)


async def timed_out(door: House, alice: Phone, number: int) -> None:
    await door.appliance.session.initiate_call("alice", timeout_s=0.05)
    await alice.hear("cancel")
    await over(door, alice, CallEndReason.TIMED_OUT)


async def failed(door: House, alice: Phone, number: int) -> None:
    """It is answered with sound and pictures of kinds that the door does not have."""
    await door.appliance.session.initiate_call("alice")
    invite = await alice.hear("invite")
    connection = await offering(alice)
    for transceiver in connection.getTransceivers():
        codecs = RTCRtpSender.getCapabilities(transceiver.kind).codecs
        others = [one for one in codecs if one.mimeType in ("video/VP8", "audio/PCMU")]
        transceiver.setCodecPreferences(others)
    await connection.setLocalDescription(await connection.createOffer())
    sdp = connection.localDescription.sdp
    await accepts(alice, invite, sdp)
    await over(door, alice, CallEndReason.FAILED)


async def untrusted(door: House, alice: Phone, number: int) -> None:
    """Another key than was agreed on: no media, and an end."""
    await door.appliance.session.initiate_call("alice")
    invite = await alice.hear("invite")
    connection = await offering(alice)
    await connection.setLocalDescription(await connection.createOffer())
    await accepts(alice, invite, with_others_keys(connection.localDescription.sdp))
    answer = await alice.hear("answer")
    await connection.setRemoteDescription(RTCSessionDescription(**answer["body"]["answer"]))
    await over(door, alice, CallEndReason.UNTRUSTED)


def with_others_keys(sdp: str) -> str:
    """With the fingerprints of nobody: each digit of them is another one."""
    others = str.maketrans("0123456789ABCDEF", "123456789ABCDEF0")
    return re.sub(
        r"(?m)^(a=fingerprint:\S+ )(\S+)", lambda of: of[1] + of[2].upper().translate(others), sdp
    )


async def replaced(door: House, alice: Phone, number: int) -> None:
    """The connection of a call that runs is replaced by a new one, of the next generation."""
    await door.appliance.session.initiate_call("alice")
    invite = await alice.hear("invite")
    await alice.answer(invite)
    await door.until("session_joined")
    former = alice.connection
    assert former is not None
    alice.joined.clear()
    connection = await offering(alice)
    await connection.setLocalDescription(await connection.createOffer())
    offer = {"type": "offer", "sdp": connection.localDescription.sdp}
    body = {"offer": offer, "generation": 2, "reason": "reconnect"}
    await alice.send("offer", invite["call_id"], body)
    answer = await alice.hear("answer")
    assert answer["body"]["generation"] == 2
    await connection.setRemoteDescription(RTCSessionDescription(**answer["body"]["answer"]))
    async with asyncio.timeout(PATIENCE_S):
        await alice.joined.wait()
    await closed(former)
    await alice.send("end", invite["call_id"], {"reason": "hang_up", "kicked_by": None})
    await over(door, alice, CallEndReason.REMOTE_HANG_UP)


async def restarted(door: House, alice: Phone, number: int) -> None:
    """Another door in this process, which stops in a call."""
    broker = door.appliance.config.mqtt
    config = pinned(broker.port)
    config = replace(config, device=replace(config.device, id="back-door"))
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        async with phone(
            "bob", broker.host, broker.port, device="back-door", version=4, pen=PENS["bob"]
        ) as bob:
            async with house(config, Path(folder), connected=False) as other:
                await other.until_connected()
                await other.until_true(lambda: "bob" in other.appliance.engine.state.presence)
                await other.appliance.session.initiate_call("bob")
                invite = await bob.hear("invite")
                await bob.answer(invite)
                await other.until("session_joined")
            entries, _ = Ledger(Path(folder) / "state" / "calls").load()
            ended = [entry.reason for entry in entries]
            assert (await bob.hear("end"))["call_id"] == invite["call_id"]
    if ended != [CallEndReason.DEVICE_RESTART]:
        raise EndedOtherwise(f"it ended {ended}, not device_restart")
    await put_away(door, alice)


async def offering(alice: Phone) -> RTCPeerConnection:
    """A new connection of hers, which has offered nothing yet."""
    return alice._connect(880)


async def accepts(alice: Phone, invite: Message, sdp: str) -> None:
    """She takes the call with that offer."""
    offer = {"type": "offer", "sdp": sdp}
    await alice.send("accept", invite["call_id"], {"offer": offer, "custom_data": None})


async def over(door: House, alice: Phone, reason: CallEndReason) -> None:
    """The call has ended, and for that reason."""
    ended = await door.until("call_ended")
    await put_away(door, alice)
    if ended["data"]["reason"] != reason:
        raise EndedOtherwise(f"it ended {ended['data']['reason']}, not {reason}")


async def put_away(door: House, alice: Phone) -> None:
    await alice.hang_up()
    alice.forget()
    door.told.clear()


OUTCOMES = (
    rung_and_answered,
    called_and_hung_up_on,
    busy,
    answered_elsewhere,
    rejected,
    lost,
    rejected_elsewhere,
    untrusted,
    rung_and_answered,
    cancelled,
    taken_elsewhere,
    failed,
    kicked_out,
    replaced,
    refused_elsewhere,
    idle,
    timed_out,
)
"""In their turn; a hundredth call is `restarted`. With it each `CallEndReason` is among their ends."""
