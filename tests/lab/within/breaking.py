"""What vanishes, and what others use and let go, in each state of a call: told there, and no end of it.

The guest's pytest is given this file after `calls.py`. What was broken in one body works at its end; a
camera that is gone is had back by the next that wants it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.lab.within.front import (
    BUTTON,
    DOOR,
    LED,
    PATIENCE_S,
    card_in_use,
    failures,
    front,
    is_plugged,
    press,
    somebody_says,
    starts_while_others_have,
    the_camera_is_there,
    told,
    unplug_the_camera,
    until_heard,
    until_lit,
    until_there,
)
from tests.lab.within.talking import (
    ALICE_HZ,
    DOOR_HZ,
    PINS,
    STATES,
    alice,
    answered,
    calls,
    connecting,
    door,
    hangs_up_at_the_door,
    hears,
    is_had_back,
    on_hold,
    reconnecting,
    rings,
    sees,
    they_see_and_hear_each_other,
    until_all_is_well,
    until_call_is,
)
from tests.lab.within.unit import shell
from tests.parts.faraway import Overheard
from tests.parts.phone import Phone, phone

__all__ = ["alice", "door"]

pytestmark = pytest.mark.leaves(
    "descriptor", reason="paho's own, closed when nobody has the phone any more: pytest has it"
)

BUSY = {"microphone": "device_occupied", "audio.speaker": "device_occupied"}

# -------------------- a card that is in use


async def test_it_rings_while_the_card_is_in_use_and_has_it_back_in_the_call(
    door: Overheard, alice: Phone
) -> None:
    async with card_in_use():
        invite = await rings(door, alice)
        await told(door, "local_microphone_exception", type="device_occupied")
        await told(door, "error", code="device_occupied", where="audio.speaker")
        assert failures(await door.status()) == BUSY
        await alice.answer(invite, ALICE_HZ)
        await told(door, "session_joined")
        await sees(alice)
        await until_call_is(door, "connected")
    await it_has_its_card_back(door, alice)
    await alice.send("end", invite["call_id"], {"reason": "hang_up", "kicked_by": None})
    assert (await told(door, "call_ended"))["reason"] == "remote_hang_up"


@pytest.mark.thorough
async def test_a_card_that_is_let_go_while_it_rings_is_had_before_anybody_answers(
    door: Overheard, alice: Phone
) -> None:
    async with card_in_use():
        invite = await rings(door, alice)
        await told(door, "local_microphone_exception", type="device_occupied")
    await told(door, "local_microphone_exception", type=None)
    await until_all_is_well(door)
    await alice.answer(invite, ALICE_HZ)
    await told(door, "session_joined")
    await they_see_and_hear_each_other(door, alice)
    await hangs_up_at_the_door(door, alice)


@pytest.mark.thorough
@pytest.mark.parametrize("state", STATES)
async def test_a_call_that_comes_in_while_the_card_is_in_use_has_sound_once_it_is_not(
    door: Overheard, alice: Phone, state: str
) -> None:
    """It cannot be heard to ring, which is told. In a call nobody else can take it: the door has it."""
    async with contextlib.AsyncExitStack() as others:
        await others.enter_async_context(card_in_use())
        await calls(alice)
        await until_lit(LED, True)
        await told(door, "error", code="device_occupied", where="audio.speaker")
        assert "microphone" not in failures(await door.status()), "nobody listens in by ringing"
        async with answered(door, alice, state):
            await told(door, "local_microphone_exception", type="device_occupied")
            assert failures(await door.status()) == BUSY
            await others.aclose()
            await door.until_status(lambda status: not BUSY.keys() & failures(status).keys())
    await it_has_its_card_back(door, alice)
    await hangs_up_at_the_door(door, alice)


async def it_has_its_card_back(door: Overheard, alice: Phone) -> None:
    """That is told, both are heard, and nothing is wrong any more."""
    await told(door, "local_microphone_exception", type=None)
    await they_see_and_hear_each_other(door, alice)


# -------------------- pins that others hold


@pytest.mark.thorough
@pytest.mark.parametrize("pins", [(LED, DOOR, BUTTON), (DOOR, BUTTON, LED)])
async def test_each_pin_is_had_back_in_whichever_state_it_is_let_go(
    pins: tuple[int, int, int],
) -> None:
    """While nobody calls, while it rings (out, and for a call that comes in), and in a call."""
    idle, ringing, talking = pins
    await starts_while_others_have(*pins)
    async with front() as door, phone("alice", "127.0.0.1", 1883) as alice:
        await is_had_back(door, idle)
        if ringing is DOOR:
            await door.ask(command="initiate_call", args={})
            invite = await alice.hear("invite")
            await alice.send("ringing", invite["call_id"], {})
        else:
            await calls(alice)
        if LED is not talking:
            await until_lit(LED, True)
        assert set(failures(await door.status())) == {PINS[ringing], PINS[talking]}
        await is_had_back(door, ringing)
        if ringing is DOOR:
            await alice.answer(invite, ALICE_HZ)
        else:
            async with connecting(door, alice):
                """Her phone goes on at once."""
        await told(door, "session_joined")
        await is_had_back(door, talking)
        await all_pins_work(door, alice)


@pytest.mark.thorough
@pytest.mark.parametrize("pins", [(BUTTON, LED, DOOR), (LED, DOOR, BUTTON), (DOOR, BUTTON, LED)])
async def test_each_pin_is_had_back_while_a_call_comes_about_waits_and_is_lost(
    pins: tuple[int, int, int],
) -> None:
    await starts_while_others_have(*pins)
    async with front() as door, phone("alice", "127.0.0.1", 1883) as alice:
        await calls(alice)
        for state, pin in zip((connecting, on_hold, reconnecting), pins, strict=True):
            async with state(door, alice):
                await is_had_back(door, pin)
        await they_see_and_hear_each_other(door, alice)
        await all_pins_work(door, alice)


async def all_pins_work(door: Overheard, alice: Phone) -> None:
    """In a call, which is hung up."""
    await door.ask(command="unlock", args={"relay": "door"})
    await until_lit(DOOR, True)
    await press(BUTTON)
    await told(door, "call_button_clicked", button="call")
    await until_call_is(door, "connected")
    await until_lit(LED, True)
    await hangs_up_at_the_door(door, alice)
    await until_lit(DOOR, False)


# -------------------- a camera that vanishes


@pytest.mark.parametrize("when", [pytest.param("idle", marks=pytest.mark.thorough), "ringing"])
async def test_a_camera_that_vanishes_before_anybody_looks_leaves_a_call_of_voices(
    when: str,
) -> None:
    """One that comes in opens no camera before it is answered, and nothing ends it."""
    await the_camera_is_there()
    async with front() as door, phone("alice", "127.0.0.1", 1883) as alice:
        if when == "idle":
            await unplug_the_camera()
        await calls(alice)
        await until_lit(LED, True)
        if when == "ringing":
            await unplug_the_camera()
        async with connecting(door, alice):
            """Her phone goes on at once."""
        await is_heard(door, alice)


@pytest.mark.thorough
@pytest.mark.parametrize("state", ["ringing", *STATES])
async def test_a_camera_that_vanishes_while_it_films_leaves_a_door_that_rings_and_is_heard(
    state: str,
) -> None:
    """One that goes out films while it rings. libcamera may end the program, which is started again."""
    await the_camera_is_there()
    which = []

    async def it_vanishes(door: Overheard, alice: Phone) -> None:
        invite = await rings(door, alice)
        which.append(invite["call_id"])
        await door.until_status(lambda status: status["media"]["sent"]["camera"] is not None)
        if state == "ringing":
            await films_no_more(door)
            await alice.answer(invite, ALICE_HZ)
            await told(door, "session_joined")
        else:
            async with answered(door, alice, state, invite):
                await films_no_more(door)
        await is_heard(door, alice)

    lived = await outlived(it_vanishes)
    while not await outlived(it_rings_and_is_heard):
        """Nor need the one live that had heard of the camera."""
    async with front() as door:
        log = await door.ask(call_log=50)
    ends = {one["call_id"]: one["reason"] for one in log}
    assert ends[which[0]] == ("local_hang_up" if lived else "device_restart")


async def films_no_more(door: Overheard) -> None:
    """The camera is gone, which is told."""
    await unplug_the_camera()
    await door.until_status(lambda status: "camera" in failures(status))


async def outlived(body: Callable[[Overheard, Phone], Coroutine[Any, Any, None]]) -> bool:
    """Whether the daemon that is there lives to the end of it."""
    loop = asyncio.get_running_loop()
    async with (
        until_there() as door,
        phone("alice", "127.0.0.1", 1883) as alice,
        asyncio.timeout(3 * PATIENCE_S),
    ):
        both = loop.create_task(body(door, alice)), loop.create_task(door.gone.wait())
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not door.gone.is_set():
                await both[0]
            if door.gone.is_set():
                assert not is_plugged(), "it ended before anything was done to it"
                await libcamera_ended_it()
            return not door.gone.is_set()
        finally:
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)


async def libcamera_ended_it() -> None:
    """By its own assertion, and nobody else by anything."""
    lives = [""]
    async with asyncio.timeout(PATIENCE_S):
        while len(lives) < 2:  # systemd tells of an end when it has seen it
            await asyncio.sleep(0.1)
            lives = shell("journalctl -b -u appliance -o cat -n 1000").split("Main process exited")
    *_, last, end = lives
    assert "status=6/ABRT" in end, lives
    assert "assertion" in last, last


async def it_rings_and_is_heard(door: Overheard, alice: Phone) -> None:
    await alice.answer(await rings(door, alice), ALICE_HZ)
    await told(door, "session_joined")
    await is_heard(door, alice)


async def is_heard(door: Overheard, alice: Phone) -> None:
    """Both ways, and what is missing is told."""
    async with somebody_says(DOOR_HZ):
        await hears(alice)
        await until_heard(ALICE_HZ)
    await door.until_status(lambda status: "camera" in failures(status))
    await hangs_up_at_the_door(door, alice)
