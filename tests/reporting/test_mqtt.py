"""The device's own topics, on a broker that lives in the test."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from appliance.bus import Bus
from appliance.calls.inputs import FaultReported, Input, LinkState
from appliance.commands import Command, MuteAudio, Unlock
from appliance.config import Device, Mqtt
from appliance.errors import Refused
from appliance.events import AudioMuted, CallButtonClicked, OutgoingCallStarted
from appliance.messages import Address
from appliance.model import Gesture, Json
from appliance.reporting import asking, shares
from appliance.reporting.asking import OnRequest
from appliance.reporting.mqtt import DeviceTopics, states
from appliance.signaling.base import Publication, Return, Subscription
from appliance.signaling.loopback import LoopbackBroker, LoopbackLink
from appliance.signaling.rejected import Rejected
from tests.reporting.test_metrics import call

BASE = "appliance/device/front-door"
STATUS: dict[str, Any] = {
    "media": {"audio_muted": False, "video_paused": False, "audio_mode": "speaker"},
    "panel": {"relays": {"door": "released", "gate": None}, "inputs": {"front": "on"}},
    "failures": {},
    "faults": {"buttons.call": "stuck_button"},
    "call": None,
    "do_not_disturb": False,
}


@dataclass
class Onlooker:
    """Somebody else at the broker."""

    link: LoopbackLink
    heard: dict[str, list[tuple[Any, bool]]] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def hear(self, topic: str, count: int = 1) -> Any:
        """The count-th payload on a topic below the device's."""
        full = f"{BASE}/{topic}"
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(lambda: len(self.heard.get(full, [])) >= count)
        return self.heard[full][count - 1][0]


ALICE = Address("alice", "phone")
SIGNED = b"eyJ.eyJ."


@dataclass
class Order:
    """What came out of a signature."""

    args: dict[str, Any]
    id: str = "r1"
    client: str = "page"
    sender: Address = ALICE


def opened(name: str, payload: bytes) -> Order | None:
    """A stand-in for signaling: `eyJ.eyJ.<what>`."""
    match payload.removeprefix(SIGNED):
        case b"forged":
            raise Rejected("forged", "the key did not sign this")
        case b"again":
            return None
        case b"guest":
            return Order({}, sender=Address("guest", "phone"))
        case b"bad":
            return Order({"relais": "door"})
    return Order({"relay": "door"} if name == "unlock" else {})


@dataclass
class Scene:
    topics: DeviceTopics
    onlooker: Onlooker
    status: dict[str, Any]
    commands: list[Command]
    faults: list[FaultReported]
    bus: Bus

    def asks(self, name: str, payload: bytes, *, retain: bool = False) -> None:
        self.onlooker.link.publish(f"{BASE}/command/{name}", payload, retain=retain)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    broker = LoopbackBroker()
    status = json.loads(json.dumps(STATUS))
    commands: list[Command] = []
    faults: list[FaultReported] = []

    async def carry_out(command: Command, origin: str) -> Json:
        assert origin == "mqtt"
        commands.append(command)
        if isinstance(command, Unlock) and command.relay == "broken":
            raise ZeroDivisionError
        if isinstance(command, Unlock) and command.relay != "door":
            raise Refused("unknown_relay", "no relay is called that")
        return {"done": command.NAME}

    def post(arrived: Input) -> None:
        assert isinstance(arrived, FaultReported)
        faults.append(arrived)

    def connect(
        will_topic: str,
        topic_filter: str,
        on_state: Callable[[LinkState], None],
        on_request: OnRequest,
    ) -> LoopbackLink:
        return broker.connect(
            "front-door-device",
            on_state=on_state,
            on_message=lambda topic, payload, kept: on_request(topic, payload, kept, None),
            on_fault=lambda *_: None,
            will=Publication(will_topic, b"offline", retain=True),
            subscriptions=[Subscription(topic_filter, retained=True)],
        )

    async with onlooking(broker) as onlooker:
        topics = DeviceTopics(
            Device(id="front-door", name="Front door", board="simulated"),
            Mqtt(plain_commands=("unlock", "mute_audio", "generate_token")),
            version="1",
            capabilities=["audio"],
            status=lambda: status,
            command=carry_out,
            post=post,
            connect=connect,
            public_key="public",
            open_order=opened,
            may=lambda uid, name: uid == "alice",
        )
        bus = Bus("front-door")
        bus.sinks.append(topics.see)
        async with topics:
            await onlooker.hear("availability")
            yield Scene(topics, onlooker, status, commands, faults, bus)
        assert await onlooker.hear("availability", 2) == "offline"


class onlooking:  # noqa: N801 - reads as a verb in `async with`
    def __init__(self, broker: LoopbackBroker) -> None:
        self._broker = broker

    async def __aenter__(self) -> Onlooker:
        connected = asyncio.Event()
        self._link = self._broker.connect(
            "onlooker",
            on_state=lambda state: connected.set() if state is LinkState.CONNECTED else None,
            on_message=self._take,
            on_fault=lambda *_: None,
            subscriptions=[Subscription(f"{BASE}/#")],
        )
        self._onlooker = Onlooker(self._link)
        self._tasks = await asyncio.TaskGroup().__aenter__()
        await self._link.__aenter__()
        await connected.wait()
        return self._onlooker

    def _take(self, topic: str, payload: bytes, retained: bool) -> None:
        text = payload.decode("utf-8", "replace")
        body = json.loads(text) if text.startswith("{") else text
        self._onlooker.heard.setdefault(topic, []).append((body, retained))
        self._tasks.create_task(self._tell())

    async def _tell(self) -> None:
        async with self._onlooker.changed:
            self._onlooker.changed.notify_all()

    async def __aexit__(self, *exc: Any) -> None:
        await self._link.__aexit__(*exc)
        await self._tasks.__aexit__(*exc)


async def test_the_device_says_what_it_is_and_what_it_does(scene: Scene) -> None:
    assert (await scene.onlooker.hear("info"))["public_key"] == "public"
    assert await scene.onlooker.hear("state/relay_door") == "released"
    assert await scene.onlooker.hear("state/call") == "idle"
    scene.status["media"]["audio_muted"] = True
    scene.topics.refresh()
    assert await scene.onlooker.hear("state/microphone", 2) == "muted"
    assert len(scene.onlooker.heard[f"{BASE}/state/relay_door"]) == 1, "only what changed"


async def test_events_are_told_below_their_family(scene: Scene) -> None:
    item = scene.bus.publish(AudioMuted(), "c")
    assert await scene.onlooker.hear("event/media/audio_muted") == item


async def test_each_ring_is_a_doorbell_event(scene: Scene) -> None:
    scene.bus.publish(CallButtonClicked("bell", Gesture.PRESS))
    item = scene.bus.publish(OutgoingCallStarted(call(answered=False)), "c")
    assert await scene.onlooker.hear("doorbell") == {
        "event_type": "ring",
        "button": "bell",
        "call_id": "c",
        "time": item["time"],
    }
    scene.bus.publish(CallButtonClicked("bell", Gesture.PRESS))
    scene.bus.publish(AudioMuted(), "c")
    scene.bus.publish(OutgoingCallStarted(call(answered=False)), "d")
    assert (await scene.onlooker.hear("doorbell", 2))["button"] is None, "that press rang nobody"


async def test_a_named_command_is_carried_out_and_answered(scene: Scene) -> None:
    scene.asks("unlock", b'{"id": 7, "client": "ha", "args": {"relay": "door"}}')
    assert await scene.onlooker.hear("reply/ha") == {
        "id": 7,
        "name": "unlock",
        "ok": True,
        "result": {"done": "unlock"},
    }
    scene.asks("mute_audio", b"false")
    scene.asks("unlock", b"gate")
    refused = await scene.onlooker.hear("reply/all", 2)
    assert refused["error"] == {"code": "unknown_relay", "message": "no relay is called that"}
    scene.asks("mute_audio", b'{"muted": true}')
    await scene.onlooker.hear("reply/all", 3)
    assert scene.commands == [
        Unlock(relay="door"),
        MuteAudio(muted=False),
        Unlock(relay="gate"),
        MuteAudio(muted=True),
    ]


@pytest.mark.parametrize(
    ("name", "payload", "code"),
    [
        ("hold_call", b"true", "not_plain"),
        ("generate_token", b"{}", "not_plain"),
        ("unlock", b"x" * 5000, "oversized"),
        ("unlock", b'{"relais": "door"}', "bad_command"),
        ("unlock", b'{"id": 1, "args": 3}', "bad_command"),
        ("unlock", b'{"id": 1, "client": "../x"}', "bad_command"),
        ("mute_audio", b"\xff\xfe", "bad_command"),
        ("unlock", b"[" * 3000, "bad_command"),
        ("unlock", b"", "bad_command"),
        ("unlock", b" \n", "bad_command"),
        ("unlock", b"\xc2\xa0", "bad_command"),
        ("unlock", b'{"id": [[1]]}', "bad_command"),
        ("unlock", b'{"id": true}', "bad_command"),
        ("unlock", b'{"id": ' + b"[" * 900 + b"]" * 900 + b"}", "bad_command"),
    ],
)
async def test_what_is_not_taken(scene: Scene, name: str, payload: bytes, code: str) -> None:
    scene.asks(name, payload)
    scene.asks("unlock", b"{}")
    await until_commands(scene, 1)
    assert [fault.code for fault in scene.faults] == [code]
    assert scene.commands == [Unlock()], "and the next one is"


async def test_a_signed_command_is_carried_out_though_it_is_named_nowhere(scene: Scene) -> None:
    scene.asks("generate_token", SIGNED + b"x")
    reply = await scene.onlooker.hear("reply/page")
    assert (reply["id"], reply["ok"]) == ("r1", False), "its arguments are wanting"
    scene.asks("hold_call", SIGNED + b"x")
    assert (await scene.onlooker.hear("reply/page", 2))["result"] == {"done": "hold_call"}
    scene.asks("unlock", SIGNED + b"x")
    assert (await scene.onlooker.hear("reply/page", 3))["result"] == {"done": "unlock"}
    assert scene.commands[-1] == Unlock(relay="door")


@pytest.mark.parametrize("what", [b"forged", b"again"])
async def test_a_signed_command_that_is_not_believed_is_not_answered(
    scene: Scene, what: bytes
) -> None:
    scene.asks("unlock", SIGNED + what)
    scene.asks("mute_audio", b"true")
    await until_commands(scene, 1)
    assert scene.commands == [MuteAudio(muted=True)]
    assert [fault.code for fault in scene.faults] == (["forged"] if what == b"forged" else [])
    assert f"{BASE}/reply/page" not in scene.onlooker.heard


async def test_a_signed_command_needs_the_right(scene: Scene) -> None:
    scene.asks("unlock", SIGNED + b"guest")
    reply = await scene.onlooker.hear("reply/page")
    assert reply["error"]["code"] == "not_allowed"
    assert [fault.code for fault in scene.faults] == ["not_allowed"]
    assert scene.commands == []


async def test_a_signed_command_with_wrong_arguments_is_told_so(scene: Scene) -> None:
    scene.asks("unlock", SIGNED + b"bad")
    assert (await scene.onlooker.hear("reply/page"))["error"]["code"] == "bad_command"


async def test_a_response_topic_below_its_own_replies_is_obeyed(scene: Scene) -> None:
    answered: list[bytes | None] = []
    publish = scene.topics._link.publish

    def marked(topic: str, payload: bytes, **named: Any) -> bool:
        answered.append(named.get("correlation"))
        return publish(topic, payload, **named)

    scene.topics._link.publish = marked  # type: ignore[method-assign]
    topic = f"{BASE}/command/unlock"
    scene.topics._asking.arrived(topic, b"{}", False, Return(f"{BASE}/reply/mine", b"mark"))
    assert (await scene.onlooker.hear("reply/mine"))["ok"]
    assert answered == [b"mark"]


@pytest.mark.parametrize(
    "elsewhere",
    [
        "somewhere/else",
        "appliance/call/alice/front-door",
        f"{BASE}/state/relay_door",
        f"{BASE}/reply/",
        f"{BASE}/reply/a/b",
        f"{BASE}/reply/../state",
        f"{BASE}/reply/+",
        f"{BASE}/reply",
        "",
    ],
)
async def test_a_response_topic_elsewhere_is_told_and_not_obeyed(
    scene: Scene, elsewhere: str
) -> None:
    topic = f"{BASE}/command/unlock"
    scene.topics._asking.arrived(topic, b"{}", False, Return(elsewhere))
    assert (await scene.onlooker.hear("reply/all"))["ok"], "it is answered where answers go"
    assert [fault.code for fault in scene.faults] == ["bad_response_topic"]


async def test_a_plain_text_with_two_dots_is_no_signature(scene: Scene) -> None:
    scene.asks("unlock", b"a.b.c")
    assert (await scene.onlooker.hear("reply/all"))["error"]["code"] == "unknown_relay"


async def until_commands(scene: Scene, count: int) -> None:
    async with asyncio.timeout(20), scene.onlooker.changed:
        await scene.onlooker.changed.wait_for(lambda: len(scene.commands) >= count)


async def test_a_command_that_fails_harms_nobody(scene: Scene) -> None:
    scene.asks("unlock", b"broken")
    reply = await scene.onlooker.hear("reply/all")
    assert reply["error"]["code"] == "failed"
    assert [fault.code for fault in scene.faults] == ["failed"]
    scene.asks("mute_audio", b"true")
    assert (await scene.onlooker.hear("reply/all", 2))["ok"]


@pytest.mark.parametrize("payload", [b"{}", SIGNED + b"x"])
async def test_a_retained_command_is_a_replay(payload: bytes) -> None:
    faults: list[Input] = []
    broker = LoopbackBroker()
    async with onlooking(broker) as onlooker:
        onlooker.link.publish(f"{BASE}/command/unlock", payload, retain=True)
        await onlooker.hear("command/unlock")
        topics = DeviceTopics(
            Device(id="front-door"),
            Mqtt(plain_commands=("unlock",)),
            version="1",
            capabilities=[],
            status=lambda: STATUS,
            command=never,
            post=faults.append,
            open_order=opened,
            may=lambda uid, name: True,
            connect=lambda will, topics, state, request: broker.connect(
                "front-door-device",
                on_state=state,
                on_message=lambda *message: request(*message, None),
                on_fault=lambda *_: None,
                subscriptions=[Subscription(topics)],
            ),
        )
        async with topics:
            await onlooker.hear("availability")
    assert [fault.code for fault in faults if isinstance(fault, FaultReported)] == ["retained"]


async def test_a_flood_of_one_command_keeps_no_other_from_being_carried_out(scene: Scene) -> None:
    began_s = time.monotonic()
    for number in range(3000):
        scene.asks("mute_audio", b"true")
        scene.asks(f"made_up_{number}", b"true")
    scene.asks("unlock", b"door")
    async with asyncio.timeout(60):
        while not any(isinstance(one, Unlock) for one in scene.commands):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    # a share fills again meanwhile, and on a machine that is busy that is some while
    most = 2 * shares.BURST + shares.RATE_PER_S * (time.monotonic() - began_s)
    assert 1 < len(scene.commands) < most
    refused = scene.topics._asking._refused
    assert refused["flooded"] + refused["not_plain"] + len(scene.commands) == 6001
    assert refused["not_plain"] < most
    assert len(scene.faults) < most, "and told in brief"


async def test_commands_that_take_their_time_leave_room_for_others(scene: Scene) -> None:
    """One source has only so many under way."""
    held = asyncio.Event()
    carry_out = scene.topics._asking._command

    async def slowly(command: Command, origin: str) -> Json:
        if not isinstance(command, Unlock):
            await held.wait()
        return await carry_out(command, origin)

    scene.topics._asking._command = slowly
    for _ in range(30):
        scene.asks("mute_audio", b"true")
    scene.asks("unlock", b"door")
    assert (await scene.onlooker.hear("reply/all"))["name"] == "unlock"
    assert scene.topics._asking._refused["flooded"] == 30 - asking.UNDER_WAY_OF_EACH
    held.set()
    await scene.onlooker.hear("reply/all", 1 + asking.UNDER_WAY_OF_EACH)


async def test_what_never_gets_to_the_loop_is_counted_and_told(scene: Scene) -> None:
    one = scene.topics._asking
    for _ in range(500):
        one._shares.lets(f"{BASE}/command/mute_audio", b"true", 1.0)
        one._shares.lets(f"{BASE}/command/made_up", b"true", 1.0)
    scene.asks("mute_audio", b"true")
    async with asyncio.timeout(20):
        while one._refused["flooded"] < 2 * (500 - shares.TIMES * shares.BURST):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert {fault.where for fault in scene.faults} == {
        f"{BASE}/command/mute_audio",
        f"{BASE}/command/+",
    }
    assert {fault.code for fault in scene.faults} == {"flooded"}


async def test_the_end_waits_for_no_command() -> None:
    began = asyncio.Event()

    async def never_ending(command: Command, origin: str) -> Json:
        began.set()
        return await asyncio.get_running_loop().create_future()

    broker = LoopbackBroker()
    async with onlooking(broker) as onlooker:
        topics = DeviceTopics(
            Device(id="front-door"),
            Mqtt(plain_commands=("unlock",)),
            version="1",
            capabilities=[],
            status=lambda: STATUS,
            command=never_ending,
            post=lambda _: None,
            connect=lambda will, topics, state, request: broker.connect(
                "front-door-device",
                on_state=state,
                on_message=lambda *message: request(*message, None),
                on_fault=lambda *_: None,
                subscriptions=[Subscription(topics)],
            ),
        )
        async with asyncio.timeout(20), topics:
            await onlooker.hear("availability")
            onlooker.link.publish(f"{BASE}/command/unlock", b"{}")
            await began.wait()


async def never(command: Command, origin: str) -> Json:
    raise AssertionError(f"{command} was carried out")


def test_a_state_that_is_not_known_is_not_told() -> None:
    found = states(STATUS)
    assert "relay_gate" not in found
    assert found["camera"] == "on"
    assert states({**STATUS, "failures": {"camera": "generic"}})["camera"] == "failed"
    health = json.loads(states(STATUS)["health"])
    assert health == {"failures": {}, "faults": {"buttons.call": "stuck_button"}}
