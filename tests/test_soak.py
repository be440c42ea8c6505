"""Many calls in one process leave nothing behind: no task, thread, socket or file descriptor."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from pathlib import Path

import psutil
import pytest

from appliance.config import Panel
from appliance.model import Gesture
from appliance.signaling.broker import EmbeddedBroker
from tests.parts.house import House, config_for, house
from tests.parts.phone import Phone, phone

CALLS = 300
SETTLED = 20
"""Calls after which everything that is made once has been made."""
STEADY_LOOKS = 12
"""0.6 s: a call that is over may still be waiting for the picture that its log keeps."""


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_three_hundred_calls_leave_nothing_behind(tmp_path: Path) -> None:
    async with (
        EmbeddedBroker() as broker,
        house(config_for(broker.port, panel=Panel(max_presses=0)), tmp_path) as door,
        phone("alice", "127.0.0.1", broker.port, version=4) as alice,
    ):
        await door.until_true(lambda: "alice" in door.appliance.engine.state.presence)
        before: Counter[str] = Counter()
        for number in range(CALLS):
            if number == SETTLED:
                before = await things(door)
            await OUTCOMES[number % len(OUTCOMES)](door, alice, number)
        after = await things(door)
    assert after - before == Counter(), "more than before"


async def things(door: House) -> Counter[str]:
    """What this process holds, once what ends has ended."""
    await door.until_true(lambda: door.appliance.engine.state.calls == ())
    # the call log looks for a while for a picture of whom no camera has seen
    calls = door.appliance.calls
    await door.until_true(lambda: calls is None or not calls._taking)
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
    await over(door, alice)


async def called_and_hung_up_on(door: House, alice: Phone, number: int) -> None:
    await alice.call(f"{number:032x}")
    await alice.hear("ringing")
    await door.appliance.session.accept_call()
    await alice.connected()
    await door.until("session_joined")
    await door.appliance.session.end_call()
    await over(door, alice)


async def rejected(door: House, alice: Phone, number: int) -> None:
    await door.appliance.session.initiate_call("alice")
    invite = await alice.hear("invite")
    await alice.send("reject", invite["call_id"], {"reason": "busy", "custom_data": None})
    await over(door, alice)


async def cancelled(door: House, alice: Phone, number: int) -> None:
    await alice.call(f"{number:032x}")
    await alice.hear("ringing")
    await alice.send("cancel", f"{number:032x}", {"reason": "cancelled", "by": None})
    await over(door, alice)


async def timed_out(door: House, alice: Phone, number: int) -> None:
    await door.appliance.session.initiate_call("alice", timeout_s=0.05)
    await alice.hear("cancel")
    await over(door, alice)


async def over(door: House, alice: Phone) -> None:
    await door.until("call_ended")
    await alice.hang_up()
    alice.joined.clear()
    alice.media.samples.clear()
    door.told.clear()


OUTCOMES = (
    rung_and_answered,
    called_and_hung_up_on,
    rejected,
    rung_and_answered,
    cancelled,
    timed_out,
)
