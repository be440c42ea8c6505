"""Nobody is filmed or heard in the dark: whole appliances whose privacy LED works, fails, and is lost.

That no device is open while the LED is dark is watched in every test with a `house`; these are those in
which it has most to see.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.commands import EndCall, InitiateCall, LeaveSession, SwitchCamera
from appliance.model import Gesture
from appliance.signaling.broker import EmbeddedBroker
from tests.parts.house import House, config_for, house
from tests.parts.phone import Phone, phone
from tests.parts.privacy import PrivacyWatch

PIN = "GPIO23"


@pytest.fixture
async def broker() -> AsyncIterator[EmbeddedBroker]:
    async with EmbeddedBroker() as embedded:
        yield embedded


@pytest.fixture
async def door(broker: EmbeddedBroker, tmp_path: Path) -> AsyncIterator[House]:
    async with house(config_for(broker.port), tmp_path) as one:
        yield one


@asynccontextmanager
async def bob(door: House) -> AsyncIterator[Phone]:
    async with phone("bob", "127.0.0.1", door.appliance.config.mqtt.port, version=4) as one:
        yield one


async def answered(door: House, one: Phone, call_id: str = "c" * 32) -> None:
    """Bob has called, and the door has answered."""
    await one.call(call_id)
    await one.hear("ringing")
    await door.appliance.board.press("answer", Gesture.PRESS)
    await one.connected()
    await door.until("session_joined")


def led(door: House) -> dict[str, Any]:
    status: dict[str, Any] = door.appliance.session.status()["panel"]["leds"]["privacy"]
    return status


def is_open(door: House) -> tuple[bool, bool]:
    media = door.appliance.session.status()["media"]
    return media["microphone_open"], media["camera_open"]


def pin_of(door: House) -> Any:
    return door.appliance.board._privacy.lights["privacy"]._device.pin  # type: ignore[union-attr]


async def test_it_is_lit_while_devices_may_be_open(door: House) -> None:
    assert led(door) == {"pattern": "off", "lit": False}
    async with bob(door) as one:
        await answered(door, one)
        await one.media.until(lambda: len(one.media.counters) > 10)
        assert led(door) == {"pattern": "on", "lit": True}
        assert is_open(door) == (True, True)
        await door.appliance.session.command(SwitchCamera())
        await door.until("camera_facing_changed")
        await door.appliance.session.command(EndCall())
        await door.until_true(lambda: not led(door)["lit"])
        assert is_open(door) == (False, False)
    assert door.privacy.opened == 3, "a microphone and two cameras"
    assert door.privacy.darkened == 1


async def test_calls_that_follow_at_once_leave_no_gap(door: House) -> None:
    """Devices that are wanted again while they close, in every order that comes about."""
    session = door.appliance.session
    for number in range(12):
        await session.command(InitiateCall(receiver="bob"))
        await asyncio.sleep(0.004 * number)
        await session.command(LeaveSession())
        await asyncio.sleep(0.001 * (number % 4))
    await door.until_true(lambda: not led(door)["lit"])
    assert is_open(door) == (False, False)
    assert door.privacy.opened > 0


async def test_where_it_cannot_be_lit_nothing_opens_and_the_call_goes_on(door: House) -> None:
    pin_of(door).function = "input"  # as when somebody else took it
    async with bob(door) as one:
        await answered(door, one)
        told = await door.until("local_camera_exception")
        assert told["data"]["type"] == "permission_not_granted"
        assert "privacy LED privacy is dark" in told["data"]["message"]
        await door.until("local_microphone_exception")
        error = await door.until("error")
        assert error["data"]["code"] == "privacy_led_failed"
        assert door.appliance.session.status()["faults"] == {"leds.privacy": "privacy_led_failed"}
        assert is_open(door) == (False, False)
        assert door.privacy.opened == 0
        pin_of(door).function = "output"
        await one.media.until(lambda: len(one.media.counters) > 10)
        assert led(door)["lit"] is True, "it works, and so do the devices"
        assert door.appliance.session.status()["faults"] == {}
        await door.appliance.session.command(EndCall())


async def test_where_it_is_lost_in_a_call_the_devices_close(door: House) -> None:
    async with bob(door) as one:
        await answered(door, one)
        await one.media.until(lambda: len(one.media.counters) > 10)
        door.privacy.suspended = True  # it takes a look until that is noticed
        pin_of(door).function = "input"
        pin_of(door).drive_low()
        closed = (False, False)
        await door.until_true(lambda: is_open(door) == closed and not door.privacy.open)
        door.privacy.suspended = False
        told = await door.until("local_camera_exception")
        assert told["data"]["type"] == "permission_not_granted"
        pin_of(door).function = "output"
        seen = len(one.media.counters)
        await one.media.until(lambda: len(one.media.counters) > seen + 10)
        await door.appliance.session.command(EndCall())


async def test_the_watch_sees_what_must_not_be() -> None:
    """It is no use if it cannot fail."""

    class Pin:
        state = False
        function = "output"

        def _change_state(self, value: bool) -> bool:
            self.state = value
            return True

    class Device:
        released = False

        async def close(self) -> None:
            """It hangs: so it returns, and is not released."""

    watch = PrivacyWatch.__new__(PrivacyWatch)
    watch._begun, watch._beginning, watch.darkened = {}, set(), 0
    watch.violations, watch.suspended = [], False
    pin, hangs = Pin(), Device()
    watch._pins = [pin]
    change = watch._watched(pin._change_state)
    change(True)
    watch._begun[1] = hangs
    await watch._closing(hangs, hangs.close)()
    assert watch.violations == []
    change(False)
    assert watch.violations == ["an LED went dark"]
    change(True)
    pin.function = "input"
    watch._given_back(lambda: None)()
    assert watch.violations == ["an LED went dark", "the pin of an LED was given back"]
    hangs.released = True
    assert watch.open == set()
