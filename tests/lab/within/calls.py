"""Calls of the daemon that systemd runs, at the kernel's pins, card and camera, with an independent phone.

The guest's pytest is given this file once the appliance has started while other programs held its pins
(`tests/lab/test_calls.py`). The bodies follow one another: what was broken in one works at its end.
"""

from __future__ import annotations

import pytest

from tests.lab.within.front import (
    BUTTON,
    DOOR,
    LED,
    card_in_use,
    failures,
    let_go_of,
    lit,
    shown,
    somebody_says,
    starts,
    stops,
    told,
    until_heard,
    until_lit,
    until_there,
)
from tests.lab.within.talking import (
    ALICE_HZ,
    DOOR_HZ,
    PINS,
    alice,
    answered,
    calls,
    door,
    hangs_up_at_the_door,
    hears,
    is_had_back,
    rings,
    sees,
    they_see_and_hear_each_other,
    until_all_is_well,
    until_call_is,
)
from tests.parts.faraway import Overheard
from tests.parts.phone import Phone, phone

__all__ = ["alice", "door"]

pytestmark = pytest.mark.leaves(
    "descriptor", reason="paho's own, closed when nobody has the phone any more: pytest has it"
)


async def test_pins_that_another_program_holds_are_told_and_work_once_they_are_let_go(
    door: Overheard, alice: Phone
) -> None:
    faults = failures(await door.status())
    assert {where for where, why in faults.items() if why == "pin_unavailable"} == {*PINS.values()}
    # idle: the button, and with it the bell
    await is_had_back(door, BUTTON)
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
    await until_call_is(door, "connected")
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


async def test_a_call_that_comes_in(door: Overheard, alice: Phone) -> None:
    await calls(alice)
    await until_lit(LED, True)
    assert (await door.status())["media"]["camera_open"] is False, "nobody looks in by ringing"
    async with answered(door, alice, "in a call"), somebody_says(DOOR_HZ):
        await until_heard(ALICE_HZ)
        await hears(alice)
    await hangs_up_at_the_door(door, alice)
    await door.until_status(lambda status: not status["media"]["camera_open"])
    await until_all_is_well(door)


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
