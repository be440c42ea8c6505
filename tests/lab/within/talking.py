"""A call as a test within the guest has it: it rings, is answered, held or lost, talked in, and ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.lab.within.front import (
    ANSWER,
    BARS,
    BUTTON,
    DOOR,
    LEAVE,
    LED,
    PATIENCE_S,
    bars,
    failures,
    front,
    let_go_of,
    nothing_comes_through,
    press,
    somebody_says,
    told,
    until_heard,
    until_lit,
)
from tests.parts.faraway import Overheard
from tests.parts.phone import Message, Phone, phone

DOOR_HZ, ALICE_HZ = 660, 880
PINS = {BUTTON: "buttons.call", LED: "leds.status", DOOR: "relays.door"}


@pytest.fixture
async def door() -> AsyncIterator[Overheard]:
    async with front() as one:
        yield one
        # a camera takes its time to close, on a busy computer more of it
        await one.until_status(
            lambda status: status["call"] is None and not status["media"]["camera_open"]
        )


@pytest.fixture
async def alice() -> AsyncIterator[Phone]:
    async with phone("alice", "127.0.0.1", 1883) as one:
        yield one


# -------------------- it rings


async def rings(door: Overheard, alice: Phone) -> Message:
    """The finger at the bell, and what reaches the phone."""
    await press(BUTTON)
    invite = await alice.hear("invite")
    await alice.send("ringing", invite["call_id"], {})
    await told(door, "invitation_user_state_changed")
    return invite


async def calls(alice: Phone) -> str:
    """She calls, and it rings at the door: which call it is."""
    call_id = secrets.token_hex(16)
    await alice.call(call_id, ALICE_HZ)
    await alice.hear("ringing")
    return call_id


# -------------------- it is answered, and how it is then

STATES = ("connecting", "in a call", "on hold", "reconnecting")


@asynccontextmanager
async def answered(
    door: Overheard, alice: Phone, state: str, invite: Message | None = None
) -> AsyncIterator[None]:
    """It is answered (as in `connecting`), and for as long as the block lasts the call is in that state."""
    async with connecting(door, alice, invite):
        if state == "connecting":
            yield
    if state == "connecting":
        return
    await sees(alice)
    match state:
        case "in a call":
            yield
        case "on hold":
            async with on_hold(door, alice):
                yield
        case "reconnecting":
            async with reconnecting(door, alice):
                yield


@asynccontextmanager
async def connecting(
    door: Overheard, alice: Phone, invite: Message | None = None
) -> AsyncIterator[None]:
    """Somebody has answered, at the door, or her who has an `invite`. Her phone takes no further notice
    before the end of the block: media is to come within ten seconds.
    """
    if invite is None:
        await press(ANSWER)
    else:
        await alice.accept(invite, ALICE_HZ)
    await until_call_is(door, "connecting")
    yield
    await until_call_is(door, "connecting")
    await alice.connected("accept" if invite is None else "answer")
    await told(door, "session_joined")


@asynccontextmanager
async def on_hold(door: Overheard, alice: Phone) -> AsyncIterator[None]:
    """Somebody at the door has her wait."""
    await door.ask(command="hold_call", args={"on_hold": True})
    await told(door, "hold_toggled", on_hold=True)
    yield
    await until_call_is(door, "connected")
    await door.ask(command="hold_call", args={"on_hold": False})
    await told(door, "hold_toggled", on_hold=False)


@asynccontextmanager
async def reconnecting(door: Overheard, alice: Phone) -> AsyncIterator[None]:
    """The network is gone for as long as the block lasts: a call that is lost has half a minute."""
    with nothing_comes_through():
        await told(door, "connection_lost")
        yield
        await until_call_is(door, "reconnecting")
    await told(door, "connection_restored")
    await door.until_mqtt(connected=True)
    await alice.online_again()


async def until_call_is(door: Overheard, state: str) -> None:
    """Wait for it: on a busy computer a call may have been lost for a moment."""
    await door.until_status(
        lambda status: status["call"] is not None and status["call"]["state"] == state
    )


# -------------------- they talk


async def sees(alice: Phone) -> None:
    """The phone gets pictures from now on."""
    seen = alice.media.pictures
    await alice.media.until(lambda: alice.media.pictures >= seen + 3)


async def hears(alice: Phone) -> None:
    """The phone hears what is said before the door's microphone from now on."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            alice.media.samples.clear()
            await alice.media.until(lambda: len(alice.media.samples) > 25)
            if abs(alice.media.tone_hz() - DOOR_HZ) < 10:
                return


async def they_see_and_hear_each_other(door: Overheard, alice: Phone) -> None:
    """The picture as it was configured, and what is said on each side on the other one."""
    async with somebody_says(DOOR_HZ):
        await sees(alice)
        assert alice.media.latest is not None
        assert (alice.media.latest.width, alice.media.latest.height) == (256, 192)
        assert bars(alice.media.latest) == BARS
        await until_heard(ALICE_HZ)
        await hears(alice)
    await until_all_is_well(door)


async def until_all_is_well(door: Overheard) -> None:
    """Wait for it: on a busy computer a card or a camera may have given nothing for seconds."""
    await door.until_status(lambda status: failures(status) == {})


async def is_had_back(door: Overheard, pin: int) -> None:
    """Once who has it lets it go."""
    assert PINS[pin] in failures(await door.status())
    await let_go_of(pin)
    await door.until_status(lambda status: PINS[pin] not in failures(status))


async def hangs_up_at_the_door(door: Overheard, alice: Phone) -> None:
    await press(LEAVE)
    assert (await alice.hear("end"))["body"]["reason"] == "hang_up"
    assert (await told(door, "call_ended"))["reason"] == "local_hang_up"
    await until_lit(LED, False)
