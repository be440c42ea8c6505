"""Whole calls: the appliance on a simulated board, real brokers, and phones that know only the messages."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from msgspec.structs import replace
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from appliance.commands import EndCall, MuteAudio, SendChatMessage
from appliance.config import Security
from appliance.model import Gesture
from appliance.signaling.broker import EmbeddedBroker
from appliance.socket_path import AlreadyRunning
from tests.parts.house import House, config_for, house
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program
from tests.parts.phone import Phone, phone


class Broker:
    """Where a broker is, and which MQTT its phones speak."""

    def __init__(self, port: int, version: int) -> None:
        self.port, self.version = port, version


@pytest.fixture(params=["mosquitto", "embedded"])
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Broker]:
    if request.param == "embedded":
        async with EmbeddedBroker() as embedded:
            yield Broker(embedded.port, 4)
        return
    real = Mosquitto(program("mosquitto"), tmp_path)
    real.start()
    yield Broker(real.port, 5)
    real.kill()


@pytest.fixture
async def door(broker: Broker, tmp_path: Path) -> AsyncIterator[House]:
    async with house(config_for(broker.port), tmp_path) as one:
        yield one


def calling(broker: Broker, uid: str, **options: Any) -> Any:
    return phone(uid, "127.0.0.1", broker.port, version=broker.version, **options)


async def rings_at(door: House, *phones: Phone) -> list[dict[str, Any]]:
    """Press the bell; every phone hears its invite."""
    uids = {one.uid for one in phones}
    await door.until_true(lambda: uids <= door.appliance.engine.state.presence.keys())
    await door.appliance.board.press("call", Gesture.PRESS)
    return [await one.hear("invite") for one in phones]


async def test_the_door_rings_and_the_first_to_answer_talks_with_it(
    broker: Broker, door: House
) -> None:
    async with calling(broker, "alice") as alice, calling(broker, "bob") as bob:
        invites = await rings_at(door, alice, bob)
        assert invites[0]["body"]["callees"] == ["alice", "bob", "carol"]
        await bob.send("ringing", invites[1]["call_id"], {})
        await alice.answer(invites[0], hertz=880)
        cancel = await bob.hear("cancel")
        assert cancel["body"]["reason"] == "answered_elsewhere"

        await alice.media.until(lambda: len(alice.media.counters) > 20)
        assert alice.media.counters == sorted(set(alice.media.counters)), "the counter advances"
        await alice.media.until(lambda: len(alice.media.samples) > 60)
        assert alice.media.tone_hz() == pytest.approx(440, abs=5)
        await hears(door, 880)

        request = {"request_id": "r1", "action": "unlock"}
        await alice.send("request", invites[0]["call_id"], request)
        response = await alice.hear("response")
        assert response["body"]["accepted"] is True
        assert relay(door) == "energized"
        await door.until_true(lambda: relay(door) == "released")

        await alice.send("chat", invites[0]["call_id"], {"text": "Coming!"})
        said = await door.until("chat_message")
        assert said["data"]["text"] == "Coming!"
        await door.appliance.session.command(SendChatMessage(text="Thank you"))
        assert (await alice.hear("chat"))["body"] == {"text": "Thank you"}

        await alice.send("end", invites[0]["call_id"], {"reason": "hang_up", "kicked_by": None})
        ended = await door.until("call_ended")
        assert ended["data"]["reason"] == "remote_hang_up"
        assert_order(
            door.names(),
            "call_button_clicked",
            "outgoing_call_started",
            "outgoing_call_accepted",
            "session_joined",
            "participant_joined",
            "chat_message",
            "participant_left",
            "session_left",
            "call_ended",
        )
        assert door.names()[-1] == "call_ended"


async def test_a_person_calls_the_door_and_the_green_button_answers(
    broker: Broker, door: House
) -> None:
    async with calling(broker, "bob") as bob:
        await bob.call("c" * 32)
        await bob.hear("ringing")
        assert door.appliance.board.status()["chime"] == "playing"
        await door.appliance.board.press("answer", Gesture.PRESS)
        await bob.connected()
        await bob.media.until(lambda: len(bob.media.counters) > 10)
        await door.appliance.session.command(EndCall())
        assert (await bob.hear("end"))["body"]["reason"] == "hang_up"
        assert (await door.until("call_ended"))["data"]["reason"] == "local_hang_up"
        assert_order(
            door.names(),
            "incoming_call_received",
            "incoming_call_accept_button_pressed",
            "incoming_call_accepted",
            "session_joined",
            "session_left",
            "call_ended",
        )


async def test_an_audio_call_has_sound_and_no_picture(broker: Broker, door: House) -> None:
    async with calling(broker, "bob") as bob:
        await bob.call("c" * 32, type_="audio", hertz=990)
        await bob.hear("ringing")
        await door.appliance.session.accept_call()
        await bob.connected()
        await bob.media.until(lambda: len(bob.media.samples) > 60)
        assert bob.media.tone_hz() == pytest.approx(440, abs=5)
        assert bob.media.counters == []
        await hears(door, 990)
        await door.appliance.session.command(MuteAudio(muted=True))
        state = await bob.hear("state")
        assert state["body"] == {"audio_muted": True}
        await bob.media.until(lambda: loudness(bob) < 50)


async def test_declined_here_and_declined_there(broker: Broker, door: House) -> None:
    async with calling(broker, "alice") as alice:
        await alice.call("c" * 32)
        await alice.hear("ringing")
        await door.appliance.board.press("answer", Gesture.HOLD)
        assert (await alice.hear("reject"))["body"]["reason"] == "rejected"
        await door.until("call_ended")
        door.told.clear()

        await door.until_true(lambda: "alice" in door.appliance.engine.state.presence)
        await door.appliance.board.press("bell_alice", Gesture.PRESS)
        invite = await alice.hear("invite")
        await alice.send("reject", invite["call_id"], {"reason": "rejected", "custom_data": None})
        assert (await door.until("call_ended"))["data"]["reason"] == "rejected"


async def test_busy_cancel_and_time_out(broker: Broker, door: House) -> None:
    session = door.appliance.session
    async with calling(broker, "alice") as alice, calling(broker, "bob") as bob:
        await alice.call("c" * 32)
        await alice.hear("ringing")
        await bob.call("d" * 32)
        assert (await bob.hear("reject"))["body"]["reason"] == "busy"
        await alice.send("cancel", "c" * 32, {"reason": "cancelled", "by": None})
        await door.until("call_ended", lambda item: item["subject"] == "c" * 32)

        await session.initiate_call("bob", timeout_s=0.5)
        assert (await bob.hear("cancel"))["body"]["reason"] == "timed_out"
        late = await door.until("outgoing_call_timeout")
        await door.until("call_ended", lambda item: item["subject"] == late["subject"])

        result = await session.initiate_call("bob")
        await bob.hear("invite")
        await session.leave_session()
        assert (await bob.hear("cancel"))["body"]["reason"] == "cancelled"
        ended = await door.until("call_ended", lambda item: item["subject"] == result["call_id"])
        assert ended["data"]["reason"] == "cancelled"


async def test_what_is_wrong_about_a_message_is_told_and_nothing_else_happens(
    broker: Broker, door: House
) -> None:
    async with calling(broker, "alice") as alice:
        call_id = "e" * 32
        invitation = alice.invitation()
        await alice.send("invite", call_id, invitation, epoch="0" * 32)
        await alice.send("invite", call_id, invitation, to="back-door")
        await alice.send("invite", call_id, {**invitation, "call_type": "smell"})
        await alice.send("chat", call_id, {"text": "hello?"})
        await alice.send("invite", call_id, {**invitation, "custom_data": "x" * 40_000})
        for code in ("wrong_epoch", "misaddressed", "malformed", "unknown_call", "oversized"):
            await door.until("error", has_code(code))
        assert door.appliance.engine.state.calls == ()
        await alice.call(call_id)
        await alice.hear("ringing")
        await alice.send("cancel", call_id, {"reason": "cancelled", "by": None})
        await door.until("call_ended")


async def test_of_whom_nobody_believes_for_want_of_a_key_it_warns_at_its_start(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(broker.port)
    for security, said in (
        (Security(unsigned="refuse"), True),
        (Security(unsigned="allow"), False),
    ):
        caplog.clear()
        async with house(replace(config, security=security), tmp_path):
            pass
        assert ("alice has no key: neither rung nor believed" in caplog.text) is said


async def test_stopping_in_a_call_tells_the_other_side(broker: Broker, tmp_path: Path) -> None:
    async with calling_first(broker, tmp_path) as alice:
        assert (await alice.hear("end"))["body"]["reason"] == "hang_up"


@asynccontextmanager
async def calling_first(broker: Broker, folder: Path) -> AsyncIterator[Phone]:
    """A phone that was in a call with a door that has stopped meanwhile."""
    async with AsyncExitStack() as stack:
        async with house(config_for(broker.port), folder) as door:
            alice: Phone = await stack.enter_async_context(calling(broker, "alice"))
            await alice.call("c" * 32)
            await alice.hear("ringing")
            await door.appliance.session.accept_call()
            await alice.connected()
            await door.until("session_joined")
        yield alice


# -------------------- the device's own topics


@pytest.fixture
def outlet(tmp_path: Path) -> Path:
    return tmp_path / "appliance.sock"


async def test_the_same_events_on_the_local_socket(
    broker: Broker, door: House, outlet: Path
) -> None:
    reader, writer = await asyncio.open_unix_connection(outlet)
    writer.write(b'{"id": 1, "subscribe": ["*"]}\n{"id": 2, "press": "call"}\n')
    answered = json.loads(await reader.readline())
    assert answered == {"id": 1, "ok": True, "result": None}
    lines = [json.loads(await reader.readline()) for _ in range(3)]
    names = [line["type"] for line in lines if "type" in line]
    assert names[:2] == ["appliance.call_button_clicked", "appliance.outgoing_call_started"]
    ids = [line["id"] for line in lines if "type" in line]
    told = [item["id"] for item in door.told]
    assert ids == told[told.index(ids[0]) :][: len(ids)]
    writer.close()
    await writer.wait_closed()


# -------------------- small parts


def has_code(code: str) -> Callable[[dict[str, Any]], bool]:
    return lambda item: bool(item["data"]["code"] == code)


def relay(door: House) -> str:
    return str(door.appliance.board.status()["relays"]["door"])


async def hears(door: House, hertz: float) -> None:
    """The phone's tone comes out of the door's loudspeaker."""

    def near() -> bool:
        found = door.appliance.session.status()["media"]["speaker"]["tone_hz"]
        return found is not None and abs(found - hertz) < 10

    await door.until_true(near)


def loudness(one: Phone) -> float:
    return float(abs(one.media.samples[-1]).max())


def assert_order(names: list[str], *expected: str) -> None:
    """Each stands there, the first time after the one before it."""
    places = [names.index(name) for name in expected]
    assert places == sorted(places), names


# -------------------- the end


async def test_it_stops_while_commands_still_come(broker: Broker, tmp_path: Path) -> None:
    config = config_for(broker.port)
    config = replace(config, mqtt=replace(config.mqtt, plain_commands=("mute_audio",)))
    stop = threading.Event()

    def flood() -> None:
        version = (
            MQTTProtocolVersion.MQTTv5 if broker.version == 5 else MQTTProtocolVersion.MQTTv311
        )
        client = paho.Client(CallbackAPIVersion.VERSION2, "flood", protocol=version)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        while not stop.wait(0.005):
            client.publish("appliance/device/front-door/command/mute_audio", b"true")
        client.disconnect()
        client.loop_stop()

    async with house(config, tmp_path) as door:
        flooding = asyncio.get_running_loop().run_in_executor(None, flood)
        await door.until("error", has_code("no_call"))
    stop.set()
    await flooding


async def test_a_second_one_gives_up_before_it_touches_the_first(
    broker: Broker, door: House, tmp_path: Path
) -> None:
    with pytest.raises(AlreadyRunning):
        async with house(config_for(broker.port), tmp_path):
            pass
    assert door.appliance.session.status()["mqtt"] == "connected"
    assert set(door.names()) <= {"push_registration_updated"}
