"""The watchdog is fed as long as nobody hangs: threads that really do, and a real notify socket."""

from __future__ import annotations

import asyncio
import math
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gpiozero import OutputDevice
from paho.mqtt.client import Client

from appliance import config
from appliance.calls.inputs import LinkState
from appliance.config import Mqtt
from appliance.panel.door import Relay
from appliance.panel.matrix import Matrix
from appliance.service.heartbeats import Heartbeats, feed
from appliance.signaling.mqtt import MqttLink
from tests.panel.crossings import Crossings
from tests.panel.inbox import Inbox
from tests.panel.wires import MockWires
from tests.parts.mosquitto import Mosquitto, mosquitto
from tests.parts.watched import Watched

__all__ = ["mosquitto"]

PATIENCE_S = 30.0
LIMIT_S = 0.05


class Systemd:
    """The end of the notify socket that systemd holds."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(PATIENCE_S)

    def hears(self) -> str:
        return self.socket.recv(4096).decode()

    async def until(self, said: Callable[[str], object]) -> str:
        while not said(word := await asyncio.to_thread(self.hears)):
            pass
        return word

    def forget(self) -> None:
        """What was said so far."""
        self.socket.setblocking(False)
        try:
            while self.socket.recv(4096):
                pass
        except BlockingIOError:
            self.socket.settimeout(PATIENCE_S)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    listener = Systemd(tmp_path / "notify")
    with listener.socket:
        yield listener


@asynccontextmanager
async def fed(beats: Heartbeats) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        feeding = tasks.create_task(feed(beats, 0.01))
        yield
        feeding.cancel()


class Jam:
    """What a thread gets stuck in until it is let go."""

    def __init__(self) -> None:
        self.hit = threading.Event()
        self._free = threading.Event()

    def hold(self) -> None:
        self.hit.set()
        assert self._free.wait(PATIENCE_S)

    def let_go(self) -> None:
        self._free.set()


async def starves_and_recovers(systemd: Systemd, beats: Heartbeats, name: str, jam: Jam) -> None:
    """Fed no more while the thread hangs, which is told, and fed again once it does not."""
    assert await asyncio.to_thread(jam.hit.wait, PATIENCE_S)
    systemd.forget()
    told = await systemd.until(lambda word: word.startswith("STATUS="))
    assert told == f"STATUS=the watchdog is not fed, since this hangs: {name}"
    systemd.forget()
    for _ in range(20):
        await asyncio.sleep(0.01)
    systemd.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        systemd.hears()
    systemd.socket.settimeout(PATIENCE_S)
    jam.let_go()
    assert await systemd.until(lambda word: word == "WATCHDOG=1")


async def test_who_only_waits_hangs_not(systemd: Systemd, inbox: Inbox) -> None:
    wires = MockWires()
    relay = Relay("door", config.Relay(pin=22), factory=wires.factory, post=inbox.post, max_on_s=9)
    matrix = keypad()
    beats = Heartbeats(LIMIT_S)
    beats.watch("relay door", relay.held_up_s)
    beats.watch("keypad", matrix.held_up_s)
    await asyncio.to_thread(time.sleep, 5 * LIMIT_S)
    assert beats.hanging() == ()
    async with fed(beats):
        for _ in range(3):
            assert await asyncio.to_thread(systemd.hears) == "WATCHDOG=1"
    relay.release()
    matrix.release()
    assert beats.hanging() == (), "nor who was closed"


@pytest.fixture
async def inbox() -> Inbox:
    return Inbox()


def keypad(pins: Any = None) -> Matrix:
    return Matrix(
        [5, 6],
        [12, 16],
        factory=pins or Crossings([5, 6], [12, 16]),
        changed=lambda *_: None,
        failed=lambda _: None,
    )


async def test_a_relay_whose_driver_never_returns(
    systemd: Systemd, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was to be released, and is not: the thread hangs in the pin's driver."""
    wires, jam = MockWires(), Jam()
    relay = Relay(
        "door",
        config.Relay(pin=22, pulse_s=0.05),
        factory=wires.factory,
        post=inbox.post,
        max_on_s=9,
    )
    really: Any = OutputDevice.value

    def write(device: OutputDevice, value: Any) -> None:
        if not value:
            jam.hold()
        really.fset(device, value)

    monkeypatch.setattr(OutputDevice, "value", property(really.fget, write))
    beats = Heartbeats(LIMIT_S)
    beats.watch("relay door", relay.held_up_s)
    async with fed(beats):
        relay.pulse()
        await starves_and_recovers(systemd, beats, "relay door", jam)
    monkeypatch.undo()
    relay.release()


async def test_a_relay_whose_thread_is_gone(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    wires = MockWires()
    relay = Relay("door", config.Relay(pin=22), factory=wires.factory, post=inbox.post, max_on_s=9)
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    really = relay._thread
    monkeypatch.setattr(relay, "_thread", ended)
    assert relay.held_up_s() == math.inf
    monkeypatch.setattr(relay, "_thread", really)
    relay.release()


async def test_a_keypad_whose_driver_never_returns(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins, jam = Crossings([5, 6], [12, 16]), Jam()
    matrix = keypad(pins)
    really = Matrix._scan

    def scan(self: Matrix) -> Any:
        jam.hold()
        return really(self)

    monkeypatch.setattr(Matrix, "_scan", scan)
    beats = Heartbeats(LIMIT_S)
    beats.watch("keypad", matrix.held_up_s)
    async with fed(beats):
        matrix.hold((0, 0))
        await starves_and_recovers(systemd, beats, "keypad", jam)
        matrix.hold(None)
    matrix.release()


@pytest.mark.broker
async def test_the_thread_of_the_broker_that_hangs(
    systemd: Systemd, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is connected it is at its socket each second; while it connects, nobody waits for it."""
    jam, jammed = Jam(), threading.Event()
    really = Client.loop_misc

    def misc(client: Client) -> Any:
        if jammed.is_set():
            jammed.clear()
            jam.hold()
        return really(client)

    monkeypatch.setattr(Client, "loop_misc", misc)
    states: Watched[LinkState] = Watched()
    link = MqttLink(
        Mqtt(host=mosquitto.host, port=mosquitto.port),
        "door-main",
        on_state=states.post,
        on_message=lambda *_: None,
        on_fault=lambda *_: None,
    )
    beats = Heartbeats(1.6)  # a quiet connection is looked at each second
    beats.watch("broker", link.held_up_s)
    assert link.held_up_s() == 0
    async with link, fed(beats):
        await states.until(lambda state: state is LinkState.CONNECTED)
        assert await systemd.until(lambda word: word == "WATCHDOG=1")
        jammed.set()
        await starves_and_recovers(systemd, beats, "broker", jam)
    assert beats.hanging() == ()
