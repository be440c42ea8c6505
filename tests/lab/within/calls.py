"""Calls of the daemon that systemd runs, at the kernel's pins, card and camera, with an independent phone.

The guest's pytest is given this file once the appliance has started while other programs held its pins
(`tests/lab/test_calls.py`). The bodies follow one another: what was broken in one works at its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

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
    card_in_use,
    failures,
    front,
    let_go_of,
    lit,
    press,
    shown,
    somebody_says,
    starts,
    starts_while_others_have,
    stops,
    the_camera_is_there,
    told,
    unplug_the_camera,
    until_heard,
    until_lit,
    until_there,
)
from tests.parts.faraway import Overheard
from tests.parts.phone import Phone, phone

pytestmark = pytest.mark.leaves(
    "descriptor", reason="paho's own, closed when nobody has the phone any more: pytest has it"
)

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


async def rings(door: Overheard, alice: Phone) -> dict[str, Any]:
    """The finger at the bell, and what reaches the phone."""
    await press(BUTTON)
    invite = await alice.hear("invite")
    await alice.send("ringing", invite["call_id"], {})
    await told(door, "invitation_user_state_changed")
    return invite


async def sees(alice: Phone) -> None:
    """The phone gets pictures from now on."""
    seen = alice.media.pictures
    await alice.media.until(lambda: alice.media.pictures >= seen + 3)


async def hears(alice: Phone) -> None:
    """The phone hears what is said before the door's microphone from now on."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            alice.media.samples.clear()
            await alice.media.until(lambda: len(alice.media.samples) > 50)
            if abs(alice.media.tone_hz() - DOOR_HZ) < 10:
                return


async def hangs_up_at_the_door(door: Overheard, alice: Phone) -> None:
    await press(LEAVE)
    assert (await alice.hear("end"))["body"]["reason"] == "hang_up"
    assert (await told(door, "call_ended"))["reason"] == "local_hang_up"
    await until_lit(LED, False)


async def until_all_is_well(door: Overheard) -> None:
    """Wait for it: on a busy computer a card or a camera may have given nothing for seconds."""
    await door.until_status(lambda status: failures(status) == {})


async def until_connected(door: Overheard) -> None:
    """Wait for it: on a busy computer a call may have been lost for a moment."""
    await door.until_status(
        lambda status: status["call"] is not None and status["call"]["state"] == "connected"
    )


async def test_pins_that_another_program_holds_are_told_and_work_once_they_are_let_go(
    door: Overheard, alice: Phone
) -> None:
    faults = failures(await door.status())
    assert {where for where, why in faults.items() if why == "pin_unavailable"} == {*PINS.values()}
    # idle: the button, and with it the bell
    await let_go_of(BUTTON)
    await door.until_status(lambda status: "buttons.call" not in failures(status))
    invite = await rings(door, alice)
    # ringing: the light
    assert "leds.status" in failures(await door.status())
    await let_go_of(LED)
    await until_lit(LED, True)
    await until_lit(LED, False)
    # in a call: the door
    await alice.answer(invite, ALICE_HZ)
    await told(door, "session_joined")
    with pytest.raises(RuntimeError, match="door"):
        await door.ask(command="unlock", args={"relay": "door"})
    await let_go_of(DOOR)
    await door.until_status(lambda status: not failures(status))
    await until_connected(door)
    await door.ask(command="unlock", args={"relay": "door"})
    await until_lit(DOOR, True)
    # and from then on it is a whole call
    await they_see_and_hear_each_other(door, alice)
    await hangs_up_at_the_door(door, alice)
    await until_lit(DOOR, False)


@pytest.mark.thorough  # the one before has all of it, but with what is in its way
async def test_a_whole_call(door: Overheard, alice: Phone) -> None:
    invite = await rings(door, alice)
    await until_lit(LED, True)
    await alice.answer(invite, ALICE_HZ)
    await told(door, "session_joined")
    await they_see_and_hear_each_other(door, alice)
    await hangs_up_at_the_door(door, alice)


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


async def test_it_rings_while_the_card_is_in_use_and_has_it_back_in_the_call(
    door: Overheard, alice: Phone
) -> None:
    async with card_in_use():
        invite = await rings(door, alice)
        await told(door, "local_microphone_exception", type="device_occupied")
        await told(door, "error", code="device_occupied", where="audio.speaker")
        busy = {"microphone": "device_occupied", "audio.speaker": "device_occupied"}
        assert failures(await door.status()) == busy
        await alice.answer(invite, ALICE_HZ)
        await told(door, "session_joined")
        await sees(alice)
        await until_connected(door)
    await it_has_its_card_back(door, alice)
    await alice.send("end", invite["call_id"], {"reason": "hang_up", "kicked_by": None})
    assert (await told(door, "call_ended"))["reason"] == "remote_hang_up"


async def it_has_its_card_back(door: Overheard, alice: Phone) -> None:
    """Both are heard, and nothing is wrong any more."""
    await told(door, "local_microphone_exception", type=None)
    async with somebody_says(DOOR_HZ):
        await hears(alice)
        await until_heard(ALICE_HZ)
    await until_all_is_well(door)


async def test_a_call_that_comes_in(door: Overheard, alice: Phone) -> None:
    await alice.call("c" * 32, ALICE_HZ)
    await alice.hear("ringing")
    await until_lit(LED, True)
    assert (await door.status())["media"]["camera_open"] is False, "nobody looks in by ringing"
    await press(ANSWER)
    await alice.connected()
    await told(door, "session_joined")
    await sees(alice)
    await until_heard(ALICE_HZ)
    async with somebody_says(DOOR_HZ):
        await hears(alice)
    await hangs_up_at_the_door(door, alice)
    await door.until_status(lambda status: not status["media"]["camera_open"])
    await until_all_is_well(door)


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
async def test_a_call_that_comes_in_while_the_card_is_in_use_has_sound_once_it_is_not(
    door: Overheard, alice: Phone
) -> None:
    """It cannot be heard to ring, which is told. In a call nobody else can take it: the door has it."""
    async with card_in_use():
        await alice.call("e" * 32, ALICE_HZ)
        await alice.hear("ringing")
        await until_lit(LED, True)
        await told(door, "error", code="device_occupied", where="audio.speaker")
        assert "microphone" not in failures(await door.status()), "nobody listens in by ringing"
        await press(ANSWER)
        await alice.connected()
        await told(door, "session_joined")
        await told(door, "local_microphone_exception", type="device_occupied")
        await sees(alice)
        await until_connected(door)
    await it_has_its_card_back(door, alice)
    await hangs_up_at_the_door(door, alice)


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
            await alice.call("f" * 32, ALICE_HZ)
            await alice.hear("ringing")
        if LED is not talking:
            await until_lit(LED, True)
        assert set(failures(await door.status())) == {PINS[ringing], PINS[talking]}
        await is_had_back(door, ringing)
        if ringing is DOOR:
            await alice.answer(invite, ALICE_HZ)
        else:
            await press(ANSWER)
            await alice.connected()
        await told(door, "session_joined")
        await is_had_back(door, talking)
        await door.ask(command="unlock", args={"relay": "door"})
        await until_lit(DOOR, True)
        await press(BUTTON)
        await told(door, "call_button_clicked", button="call")
        await until_connected(door)
        await until_lit(LED, True)
        await hangs_up_at_the_door(door, alice)
        await until_lit(DOOR, False)


async def is_had_back(door: Overheard, pin: int) -> None:
    """Once who has it lets it go."""
    assert PINS[pin] in failures(await door.status())
    await let_go_of(pin)
    await door.until_status(lambda status: PINS[pin] not in failures(status))


@pytest.mark.thorough
async def test_a_stop_in_a_call_ends_it_and_lets_everything_go() -> None:
    """SIGTERM, while camera, card and all pins are in use and the relay is energized."""
    async with until_there() as door, phone("alice", "127.0.0.1", 1883) as alice:
        await alice.answer(await rings(door, alice), ALICE_HZ)
        await told(door, "session_joined")
        async with somebody_says(DOOR_HZ):
            await hears(alice)
        await sees(alice)
        await door.ask(command="unlock", args={"relay": "door"})
        await until_lit(DOOR, True)
        await stops()
        assert (await alice.hear("end"))["body"]["reason"] == "hang_up"
    assert [shown("Result"), shown("ExecMainStatus")] == ["success", "0"]
    assert not lit(DOOR)
    assert not lit(LED)
    async with card_in_use():  # it has been let go, and so has the camera
        await starts()
    async with until_there() as door, phone("alice", "127.0.0.1", 1883) as alice:
        await alice.answer(await rings(door, alice), ALICE_HZ)
        await told(door, "session_joined")
        await they_see_and_hear_each_other(door, alice)
        await hangs_up_at_the_door(door, alice)


@pytest.mark.parametrize("when", [pytest.param("idle", marks=pytest.mark.thorough), "ringing"])
async def test_a_camera_that_vanishes_before_anybody_looks_leaves_a_call_of_voices(
    when: str,
) -> None:
    """One that comes in opens no camera before it is answered, and nothing ends it."""
    await the_camera_is_there()
    async with front() as door, phone("alice", "127.0.0.1", 1883) as alice:
        if when == "idle":
            await unplug_the_camera()
        await alice.call("d" * 32, ALICE_HZ)
        await alice.hear("ringing")
        await until_lit(LED, True)
        if when == "ringing":
            await unplug_the_camera()
        await press(ANSWER)
        await alice.connected()
        await told(door, "session_joined")
        await is_heard(door, alice)


@pytest.mark.thorough
@pytest.mark.parametrize("when", ["ringing", "in a call"])
async def test_a_camera_that_vanishes_while_it_films_leaves_a_door_that_rings_and_is_heard(
    when: str,
) -> None:
    """One that goes out films while it rings. libcamera may end the program, which is started again."""
    await the_camera_is_there()
    calls = []

    async def it_vanishes(door: Overheard, alice: Phone) -> None:
        invite = await rings(door, alice)
        calls.append(invite["call_id"])
        if when == "in a call":
            await alice.answer(invite, ALICE_HZ)
            await told(door, "session_joined")
            await sees(alice)
            await unplug_the_camera()
        else:
            await door.until_status(lambda status: status["media"]["camera_open"])
            await unplug_the_camera()
            await alice.answer(invite, ALICE_HZ)
            await told(door, "session_joined")
        await is_heard(door, alice)

    lived = await outlived(it_vanishes)
    while not await outlived(it_rings_and_is_heard):
        """Nor need the one live that had heard of the camera."""
    async with front() as door:
        log = await door.ask(call_log=50)
    ends = {one["call_id"]: one["reason"] for one in log}
    assert ends[calls[0]] == ("local_hang_up" if lived else "device_restart")


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
            return not door.gone.is_set()
        finally:
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)


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
