"""The public face: every command is a method, the state is read, listeners come and go."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime

import pytest

from appliance.bus import Bus, Dropped
from appliance.calls.engine import Engine
from appliance.calls.inputs import DeviceFailed, LinkChanged, LinkState
from appliance.calls.moment import Moment
from appliance.commands import COMMANDS
from appliance.errors import Refused
from appliance.events import AudioMuted, AudioUnmuted, VideoPaused
from appliance.listeners import CallListener
from appliance.model import Call, CallState, DeviceException
from appliance.session import CallSession
from tests.calls.test_engine import Everything
from tests.parts.play import HOUSE


@pytest.fixture
async def session() -> AsyncIterator[CallSession]:
    async with Bus("front-door") as bus:
        engine = Engine(HOUSE, bus)
        engine.bind()
        engine.attach(Everything([]))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(engine.run())
            yield CallSession(
                engine,
                bus,
                now=lambda: Moment(asyncio.get_running_loop().time(), datetime.now(UTC), ""),
                device={"id": "front-door"},
                parts={"panel": lambda: {"chime": "silent"}},
            )
            engine.stop()


def test_every_command_is_a_method_with_its_arguments() -> None:
    for name, command in COMMANDS.items():
        method = getattr(CallSession, name)
        assert inspect.iscoroutinefunction(method), name
        assert set(inspect.signature(method).parameters) == {"self", *command.arguments()}, name


async def test_a_call_is_placed_and_seen(session: CallSession) -> None:
    assert [session.state, session.call, session.participants] == [CallState.IDLE, None, ()]
    result = await session.initiate_call("alice", custom_data={"parcel": 1})
    call = session.call
    assert call is not None
    assert call.state is CallState.OUTGOING
    assert call.call_id == result["call_id"]
    assert session.participants == ()
    await session.end_call()
    with pytest.raises(Refused, match="there is no call"):
        await session.end_call()


async def test_the_status_is_that_of_the_interface(session: CallSession) -> None:
    await session.initiate_call("alice")
    status = session.status()
    assert set(status) >= {
        "device",
        "mqtt",
        "call",
        "calls",
        "media",
        "panel",
        "screen",
        "do_not_disturb",
        "missed_calls",
    }
    assert status["panel"] == {"chime": "silent"}
    assert status["call"]["participants"] == []
    assert status["call"]["caller"] == {"uid": "front-door", "name": "Front door"}
    assert [call["call_id"] for call in status["calls"]] == [status["call"]["call_id"]]
    await session.end_call()
    assert session.status()["call"] is None


async def test_failures_are_part_of_the_status(session: CallSession) -> None:
    engine = session._engine
    with session.subscribe(("local_camera_exception",)) as events:
        engine.post(DeviceFailed("camera", DeviceException.DEVICE_UNPLUGGED))
        engine.post(LinkChanged(LinkState.CONNECTED))
        await anext(events)
    assert session.status()["failures"] == {"camera": "device_unplugged"}


async def test_listening_lasts_as_long_as_its_block(session: CallSession) -> None:
    heard: list[str] = []

    class Door(CallListener):
        def on_outgoing_call_started(self, call: Call) -> None:
            heard.append(call.receiver.id)

    with session.listening(Door()):
        await session.initiate_call("alice")
        await session.end_call()
    await session.initiate_call("bob")
    assert heard == ["alice"]


async def test_who_listens_is_removed_when_its_block_raises(session: CallSession) -> None:
    class Door(CallListener):
        def on_outgoing_call_started(self, call: Call) -> None:
            pytest.fail("it is not to hear of this any more")

    door = Door()
    with pytest.raises(RuntimeError, match="of the block"), session.listening(door):
        raise RuntimeError("of the block")
    assert not session.remove_listener(door), "it is gone already"
    await session.initiate_call("alice")


async def test_a_listener_is_replaced_and_removed_by_its_id(session: CallSession) -> None:
    heard: list[str] = []

    class Door(CallListener):
        def __init__(self, name: str) -> None:
            self.name = name

        def on_outgoing_call_started(self, call: Call) -> None:
            heard.append(self.name)

    session.add_listener(Door("old"), "door")
    session.add_listener(Door("new"), listener_id="door")
    await session.initiate_call("alice")
    await session.end_call()
    assert session.remove_listener("door")
    await session.initiate_call("alice")
    assert heard == ["new"]


async def test_a_slow_reader_is_told_what_it_lost(session: CallSession) -> None:
    bus = session._bus
    async with (
        aclosing(session.events("audio_*", limit=2)) as reading,
        asyncio.TaskGroup() as tasks,
    ):
        first = tasks.create_task(reading.__anext__())
        await asyncio.sleep(0)
        for event in (AudioMuted, AudioUnmuted, AudioMuted, VideoPaused, AudioUnmuted, AudioMuted):
            bus.publish(event())
        assert await first == Dropped(3), "two of the five that it asked for fit"
        kept = [await anext(reading), await anext(reading)]
    assert [isinstance(item, dict) and item["sequence"] for item in kept] == ["5", "6"]
    assert not bus.subscriptions, "who reads no more is forgotten"


async def test_events_are_read_with_async_for(session: CallSession) -> None:
    names: list[str] = []

    async def read() -> None:
        async for item in session.events("outgoing_*", "call_ended"):
            assert isinstance(item, dict)
            names.append(item["type"])
            if item["type"].endswith("call_ended"):
                return

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(read())
        await asyncio.sleep(0)
        await session.initiate_call("alice")
        await session.end_call()
    assert names == ["appliance.outgoing_call_started", "appliance.call_ended"]
