"""Devices that believe nobody without a key: calls between them, a guest by its host's word, replays.

All of them are whole appliances on one real broker, to which everybody may write everything.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.config import Camera, Config, Contact, Device, Media, Security
from appliance.errors import Refused
from appliance.model import CallType, Right
from appliance.trust.jws import is_sealed
from appliance.trust.keys import DeviceKey
from tests.parts.house import House, config_for, house
from tests.parts.mosquitto import Mosquitto, mosquitto
from tests.parts.recorder import Kept, Recorder, recording
from tests.parts.told import name_of

__all__ = ["mosquitto"]

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

MAY = (Right.CALL, Right.ANSWER, Right.UNLOCK, Right.MODERATE)
"""The last: as a host it brings in whom the other does not know."""
KNOWS = {
    "front-door": ("gate", "attic"),
    "gate": ("front-door",),
    "attic": ("front-door",),
}
"""Whom each device has as its contacts: two of them know the first only."""


class Village:
    """Devices with keys, and somebody who listens to everything; `log` is the broker's."""

    def __init__(
        self, port: int, folder: Path, recorder: Recorder, log: Callable[[], str] = str
    ) -> None:
        self.log = log
        self.port, self.folder, self.recorder = port, folder, recorder
        self.keys = {uid: DeviceKey.load_or_make(folder / uid / "state", {}) for uid in KNOWS}
        self.stack = AsyncExitStack()

    def config(self, uid: str) -> Config:
        contacts = {
            other: Contact(other.title(), (self.keys[other].public,), MAY) for other in KNOWS[uid]
        }
        return config_for(
            self.port,
            device=Device(id=uid, name=uid.title(), board="simulated"),
            security=Security(unsigned="refuse"),
            contacts=contacts,
            groups={},
            call=replace(config_for(self.port).call, receiver=None, auto_answer=("front-door",))
            if uid != "front-door"
            else replace(config_for(self.port).call, receiver="user:gate"),
            media=Media(width=160, height=90, framerate=10, bitrate_kbps=100),
            cameras={"front": Camera("test-card")},
        )

    async def opens(self, uid: str) -> House:
        return await self.stack.enter_async_context(house(self.config(uid), self.folder / uid))


@pytest.fixture
async def village(mosquitto: Mosquitto, tmp_path: Path) -> AsyncIterator[Village]:
    async with recording(mosquitto.port) as recorder:
        one = Village(mosquitto.port, tmp_path, recorder, lambda: mosquitto.log)
        async with one.stack:
            yield one


async def until_knows(one: House, uid: str) -> None:
    """Presence travels: who is to be rung is seen to be there."""
    await one.until_true(lambda: uid in one.appliance.engine.state.presence)


async def in_session(one: House, *uids: str) -> None:
    def there() -> bool:
        call = one.appliance.session.status()["call"]
        found = {each["uid"]: each["state"] for each in call["participants"]} if call else {}
        return found == dict.fromkeys(uids, "connected")

    await one.until_true(there)


async def rings(door: House, uid: str) -> None:
    await until_knows(door, uid)
    await door.appliance.session.initiate_call(uid, type=CallType.AUDIO)


def errors(one: House) -> list[str]:
    return [item["data"]["code"] for item in one.told if name_of(item) == "error"]


async def test_two_devices_call_each_other_with_signed_messages_alone(village: Village) -> None:
    door, gate = await village.opens("front-door"), await village.opens("gate")
    await rings(door, "gate")
    await in_session(door, "gate")
    await in_session(gate, "front-door")
    await door.appliance.session.unlock()
    await gate.appliance.session.end_call()
    for one in (door, gate):
        await one.until("call_ended")
        assert errors(one) == []
        assert re.fullmatch("[0-9a-f]{32}", mark := one.appliance.mark)
        for link in ("main", "device"):
            uid = one.appliance.config.device.id
            assert f" as {uid}-{link}-{mark} " in village.log(), "no other account can guess it"
    said = village.recorder.inbox()
    assert len(said) > 4
    assert all(is_sealed(one.payload) for one in said), "nothing goes out in plain words"
    seen = door.appliance.contacts.listing()[0]["keys"][0]["last_seen"]
    assert seen is not None


async def test_a_guest_believes_another_by_the_hosts_list_until_one_is_revoked(
    village: Village,
) -> None:
    door = await village.opens("front-door")
    gate, attic = await village.opens("gate"), await village.opens("attic")
    await rings(door, "gate")
    await in_session(door, "gate")
    await until_knows(door, "attic")
    await door.appliance.session.invite("attic")
    await in_session(door, "gate", "attic")
    await in_session(gate, "front-door", "attic")
    await in_session(attic, "front-door", "gate")
    assert "gate" not in attic.appliance.contacts, "it knows it by the host's word alone"
    between = [one for one in village.recorder.inbox() if one.topic.endswith("/call/gate/attic")]
    assert between
    assert all(is_sealed(one.payload) for one in village.recorder.inbox())

    await door.appliance.contacts.revoke("gate")
    ended = await gate.until("call_ended")
    assert ended["data"]["reason"] == "kicked_out"
    await in_session(door, "attic")
    await in_session(attic, "front-door")
    before = len(village.recorder.inbox())
    await gate.appliance.session.initiate_call("front-door", type=CallType.AUDIO)
    async with asyncio.timeout(30):
        while not any(  # noqa: ASYNC110
            one.topic.endswith("/call/front-door/gate") for one in village.recorder.inbox()[before:]
        ):
            await asyncio.sleep(0.05)
    await door.appliance.session.end_call()
    await attic.until("call_ended")
    assert "incoming_call_received" not in door.names(), "the broker sends it nothing of the gate's"
    assert door.appliance.rejected["unknown_sender"] == 0


async def test_all_that_was_said_means_nothing_when_it_is_said_again(village: Village) -> None:
    """At once, and after the one who is meant has been started again."""
    door = await village.opens("front-door")
    async with house(village.config("gate"), village.folder / "gate") as gate:
        await rings(door, "gate")
        await in_session(gate, "front-door")
        await door.appliance.session.end_call()
        await gate.until("call_ended")
        whole = list(village.recorder.inbox())
        gate.told.clear()
        await _again(village, whole)
        await _heard_the_last_of(door, village)
        await _heard_the_last_of(gate, village)
        assert set(gate.names()) <= {"error"}, "no event but what is refused"
        assert not gate.appliance.engine.state.calls
        assert not door.appliance.engine.state.calls
        # ids that are known are passed over in silence, as what QoS 1 delivers twice
        assert gate.appliance.rejected == {"unsigned": 1}
    async with house(village.config("gate"), village.folder / "gate") as gate:
        await until_knows(gate, "front-door")
        gate.told.clear()
        await _again(village, whole)
        await _heard_the_last_of(gate, village)
        assert set(gate.names()) <= {"error"}
        assert gate.appliance.rejected["wrong_epoch"] == len(_to(whole, "gate"))
        assert not gate.appliance.engine.state.calls
        # and all is well between those who mean it
        await rings(door, "gate")
        await in_session(gate, "front-door")
        await door.appliance.session.end_call()
        await gate.until("call_ended")


def _to(said: list[Kept], uid: str) -> list[Kept]:
    return [one for one in said if one.topic.split("/")[2] == uid]


async def _again(village: Village, said: list[Kept]) -> None:
    for one in said:
        await village.recorder.say(one.topic, one.payload)
        await asyncio.sleep(0.055)  # slower than what is held back as a flood


async def _heard_the_last_of(one: House, village: Village) -> None:
    """What comes behind all of it, and is refused, was heard: so was all before."""
    uid = one.appliance.config.device.id
    sender = "front-door" if uid != "front-door" else "gate"
    await village.recorder.say(f"appliance/call/{uid}/{sender}", b"the last")
    await one.until("error", lambda item: item["data"]["code"] == "unsigned")


async def test_a_device_whose_key_is_broken_rings_all_the_same_and_says_so(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "device.key").write_text("not a key")
    config = config_for(mosquitto.port, security=Security(unsigned="allow"))
    async with house(config, tmp_path) as door:
        assert door.appliance.key is None
        [fault] = [one for one in door.appliance.bus.recent if name_of(dict(one)) == "error"]
        assert fault["data"]["code"] == "device_key_unusable"
        assert (state / "device.key").read_text() == "not a key"
        await door.appliance.session.initiate_call()
        await door.until("outgoing_call_started")
        await door.appliance.session.end_call()


async def test_a_contact_without_a_key_is_not_rung_where_signatures_are_wanted(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    config = config_for(mosquitto.port)
    assert config.contacts["alice"].keys == ()
    async with house(replace(config, security=Security(unsigned="refuse")), tmp_path) as door:
        with pytest.raises(Refused, match="nobody"):
            await door.appliance.session.initiate_call("alice")
        await door.appliance.contacts.add("alice", None, DeviceKey.make().public, [])
        await door.appliance.session.initiate_call("alice")
        await door.until("outgoing_call_started")
        await door.appliance.contacts.revoke("alice")
        ended = await door.until("call_ended")
        assert ended["data"]["reason"] == "untrusted"
