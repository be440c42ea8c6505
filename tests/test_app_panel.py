"""The panel of a whole appliance, without broker and network: what a visitor and the house feel."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.calls.effects import Sound
from appliance.commands import SetDoNotDisturb, Unlock
from appliance.config import InputPin, Mqtt, Panel
from appliance.errors import Refused
from appliance.model import Gesture
from appliance.panel.inputs import InputPin as InputSwitch
from tests.panel.chatter import burst
from tests.parts.ear import Ear
from tests.parts.house import PATIENCE_S, House, config_for, house

NOBODY = "192.0.2.1"
"""An address for documentation: nobody has it, and nobody answers."""
NAMED = "broker.house.invalid"
"""A name for which the resolver waits without end."""
BOUNCE_MS = 200
"""A loaded machine may stretch the gaps of the chatter: it is not to look like rest."""


class Resolver:
    """One that does not answer about `NAMED`, in whichever thread it is asked, until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = self.answered = 0
        self.let_go = threading.Event()
        self._really = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: Any, *args: Any, **kwargs: Any) -> Any:
        if host != NAMED:
            return self._really(host, *args, **kwargs)
        self.asked += 1
        self.let_go.wait(PATIENCE_S)
        self.answered += 1
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[House]:
    async with without_broker(NOBODY, tmp_path) as one:
        yield one


@asynccontextmanager
async def without_broker(host: str, folder: Path) -> AsyncIterator[House]:
    config = config_for(1, panel=Panel(buzzer="GPIO14"))
    call = replace(config.buttons["call"], bounce_ms=BOUNCE_MS)
    config = replace(
        config,
        mqtt=Mqtt(host=host),
        buttons=config.buttons | {"call": call},
        inputs=config.inputs
        | {
            "hall": InputPin("GPIO15", "exit"),
            "door": replace(config.inputs["door"], left_open_s=0.05),
        },
    )
    async with house(config, folder, connected=False) as one:
        yield one


def contact(door: House, name: str) -> Any:
    button: Any = door.appliance.board._buttons[name]
    return button._contact


def sensor(door: House, name: str) -> InputSwitch:
    found = door.appliance.board._inputs[name]
    assert found is not None
    return found


async def chatter(door: House, *, closed: bool, seed: int) -> None:
    """1 to 20 bounces, 0.1 to 20 ms apart, in a thread as gpiozero's."""
    chance = random.Random(seed)
    gaps = [chance.uniform(0.0001, 0.02) for _ in range(2 * chance.randint(1, 20))]

    def touch() -> None:
        button = contact(door, "call")
        loop = button._loop
        began_s = loop.time()
        for at_s, is_closed in burst(0.0, gaps, closed=closed):
            while loop.time() < began_s + at_s:
                pass
            button.move(closed=is_closed)

    await asyncio.to_thread(touch)


async def test_each_press_rings_once_and_is_answered_by_light_and_chime(door: House) -> None:
    board = door.appliance.board
    chime: Any = board._chime
    ear = chime._output = Ear()
    for seed in range(3):
        door.told.clear()
        ear.heard.clear()
        await chatter(door, closed=True, seed=seed)
        await door.until("outgoing_call_started")
        assert ear.heard == [Sound.CHIME]
        assert board.status()["leds"]["status"]["lit"] is True
        await chatter(door, closed=False, seed=seed + 100)
        await asyncio.sleep(BOUNCE_MS / 1000 + 0.05)  # until it is believed open
        assert door.names().count("call_button_clicked") == 1
        assert door.names().count("outgoing_call_started") == 1
        await door.appliance.session.leave_session()
        await door.until("call_ended")
        await asyncio.sleep(1.0)  # until the bell chimes anew


async def test_light_and_chime_come_while_the_brokers_name_is_looked_up_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(monkeypatch)
    async with without_broker(NAMED, tmp_path) as door:
        try:
            board = door.appliance.board
            chime: Any = board._chime
            ear = chime._output = Ear()
            await door.until_true(lambda: resolver.asked > 0)
            await chatter(door, closed=True, seed=0)
            await door.until("outgoing_call_started")
            assert ear.heard == [Sound.CHIME]
            assert board.status()["leds"]["status"]["lit"] is True
            assert resolver.answered == 0, "it was not waited for"
        finally:
            resolver.let_go.set()


async def test_a_press_is_heard_on_the_buzzer(door: House) -> None:
    board = door.appliance.board
    pin = next(pin for pin in board._buttons["call"]._contact._device.pin_factory.pins.values()  # type: ignore[union-attr]
               if pin.info.name == "GPIO14")  # fmt: skip
    await board.press("call", Gesture.PRESS)
    await door.until_true(lambda: bool(pin.frequency))
    await door.until_true(lambda: not pin.frequency)


async def test_the_exit_button_opens_the_door(door: House) -> None:
    sensor(door, "hall").move(on=True)
    await door.until("input_changed")
    await door.until_true(lambda: door.appliance.board.status()["relays"]["door"] == "energized")
    sensor(door, "hall").move(on=False)


async def test_a_door_whose_pin_is_away_is_refused_once_with_the_reason(door: House) -> None:
    board = door.appliance.board
    relay = board._relays["door"]
    assert relay is not None

    quiet: list[bool] = []

    async def refused() -> tuple[str, str]:
        door.told.clear()
        with pytest.raises(Refused) as caught:
            await door.appliance.session.command(Unlock())
        await door.until("error", lambda item: item["data"]["where"] == "relays.door")
        quiet.append(len(quiet) % 2 == 0)
        await door.appliance.session.command(
            SetDoNotDisturb(on=quiet[-1])
        )  # what came before is told
        await door.until("do_not_disturb_changed")
        errors = [item["data"] for item in door.told if item["type"] == "appliance.error"]
        (error,) = [one for one in errors if one["where"] in ("door", "relays.door")]
        assert error["code"] == caught.value.code
        assert error["message"] == str(caught.value)
        return caught.value.code, str(caught.value)

    board._relays["door"] = None  # as claimed in vain
    assert await refused() == ("relay_unavailable", "The relay door has no working pin.")
    board._relays["door"] = relay
    relay._device.pin.function = "input"  # as when somebody else took it
    for _ in range(2):
        code, why = await refused()
        assert (code, why.split(":")[0]) == ("relay_failed", "The relay door cannot be energized")
    relay._device.pin.function = "output"
    await door.appliance.session.command(Unlock())


async def test_a_door_that_is_left_open_is_told_and_shown_until_it_is_closed(door: House) -> None:
    board = door.appliance.board
    sensor(door, "door").move(on=True)
    told = await door.until("error", lambda item: item["data"]["code"] == "left_open")
    assert told["data"]["where"] == "inputs.door"
    assert door.appliance.session.status()["faults"] == {"inputs.door": "left_open"}
    assert board.status()["leds"]["status"]["pattern"] == "count 1 7", "the broker is away too"
    sensor(door, "door").move(on=False)
    await door.until_true(lambda: door.appliance.session.status()["faults"] == {})
    assert board.status()["leds"]["status"]["pattern"] != "count 1 7"
