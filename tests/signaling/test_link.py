"""The signaling edge as a whole: a door and alice's phone, on every broker that there is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from appliance.calls.effects import FollowList, ForgetCall, Send, SettleMessage
from appliance.calls.inputs import (
    FaultReported,
    Input,
    LinkChanged,
    LinkState,
    MessageExpired,
    MessageReceived,
    PresenceChanged,
)
from appliance.config import Device, Mqtt, Security
from appliance.messages import (
    Accept,
    Address,
    Answer,
    Candidate,
    Chat,
    End,
    Offer,
    Participants,
    Ringing,
)
from appliance.model import Participant
from appliance.signaling import link as edge
from appliance.signaling import mqtt, outbox
from appliance.signaling.base import Connect, Link, Publication, Subscription
from appliance.signaling.broker import EmbeddedBroker
from appliance.signaling.clock import Clock
from appliance.signaling.inbox import SENDER_BURST
from appliance.signaling.link import MqttSignaling
from appliance.signaling.loopback import LoopbackBroker
from appliance.signaling.mqtt import MqttLink
from tests.parts.mosquitto import Mosquitto
from tests.parts.need import program
from tests.parts.proxy import proxy_to
from tests.parts.watched import Watched
from tests.signaling.envelopes import ANSWER, INVITE, OFFER, as_bytes, wire

DOOR = Device(id="door", name="Front door")
PHONE = Address("alice", "phone-1")
INBOX, PRESENCE = "appliance/call/door/alice", "appliance/presence/door/main"


class Door:
    """The edge under test, and what it told the core."""

    def __init__(self, signaling: MqttSignaling, inputs: Watched[Input]) -> None:
        self.signaling = signaling
        self.inputs = inputs

    def send(self, message: Any, to: Address = PHONE, ttl_s: float = 30) -> None:
        self.signaling.perform(Send(to, "c1", message, ttl_s))

    async def connected(self, times: int = 1) -> None:
        inbox = f"appliance/call/{self.signaling._me.uid}/+;endpoint=main"
        state = LinkChanged(LinkState.CONNECTED, inbox)
        await self.inputs.until(lambda _: self.inputs.count(state) >= times)

    async def received(self, text: str) -> MessageReceived:
        found = await self.inputs.until(
            lambda one: isinstance(one, MessageReceived) and one.message == Chat(text)
        )
        assert isinstance(found, MessageReceived)
        return found

    async def fault(self, code: str) -> FaultReported:
        found = await self.inputs.until(
            lambda one: isinstance(one, FaultReported) and one.code == code
        )
        assert isinstance(found, FaultReported)
        return found

    def all(self, kind: type[Input]) -> list[Any]:
        return [one for one in self.inputs if isinstance(one, kind)]


class Phone:
    """Another program of this world, which knows nothing of the edge but its topics and JSON."""

    def __init__(self, uid: str = "alice", endpoint: str = "phone-1") -> None:
        self.uid, self.endpoint = uid, endpoint
        self.seq = 0
        self.door: Watched[dict[str, Any]] = Watched()
        self.heard: Watched[dict[str, Any]] = Watched()
        self.states: Watched[LinkState] = Watched()
        self.link: Link

    def will(self) -> Publication:
        topic = f"appliance/presence/{self.uid}/{self.endpoint}"
        return Publication(topic, as_bytes({"v": 1, "state": "offline"}), retain=True)

    def arrived(self, topic: str, payload: bytes, retained: bool) -> None:
        (self.door if topic == PRESENCE else self.heard).post(json.loads(payload))

    def come(self, epoch: str = "p1") -> None:
        online = {"v": 1, "state": "online", "epoch": epoch, "name": "Alice", "kid": None}
        self.link.publish(self.will().topic, as_bytes(online), retain=True)

    async def epoch(self) -> str:
        said = await self.door.until(lambda said: said["state"] == "online")
        return str(said["epoch"])

    def say(self, type_: str, body: Any = None, **changes: Any) -> None:
        self.seq += 1
        values = {"id": f"{self.endpoint}-{self.seq}", "seq": self.seq, "clock": "unknown"}
        values |= {"from": self.uid, "endpoint": self.endpoint}
        payload = as_bytes(wire(type_, body, **values | changes))
        self.publish(payload)

    def publish(self, payload: bytes, *, retain: bool = False) -> None:
        assert self.link.publish(f"appliance/call/door/{self.uid}", payload, retain=retain)

    async def heard_of(self, type_: str, times: int = 1) -> list[dict[str, Any]]:
        def so_far() -> list[dict[str, Any]]:
            return [one for one in self.heard if one["type"] == type_]

        await self.heard.until(lambda _: len(so_far()) >= times)
        return so_far()


@contextlib.asynccontextmanager
async def door_at(
    connect: Connect, unsigned: Any = "allow", clock: Clock | None = None
) -> AsyncIterator[Door]:
    inputs: Watched[Input] = Watched()
    contacts = {"alice": None, "bob": None}
    async with MqttSignaling(
        DOOR, Mqtt(), Security(unsigned), contacts, inputs.post, connect=connect, clock=clock
    ) as signaling:
        door = Door(signaling, inputs)
        await door.connected()
        yield door


@contextlib.asynccontextmanager
async def phone_at(
    connect: Connect, uid: str = "alice", endpoint: str = "phone-1"
) -> AsyncIterator[Phone]:
    phone = Phone(uid, endpoint)
    async with connect(
        f"{uid}-{endpoint}",
        on_state=phone.states.post,
        on_message=phone.arrived,
        on_fault=lambda *_: None,
        will=phone.will(),
        subscriptions=[
            Subscription(f"appliance/call/{uid}/+", retained=False),
            Subscription(PRESENCE),
        ],
    ) as phone.link:
        await phone.states.until(lambda state: state is LinkState.CONNECTED)
        yield phone


@pytest.fixture
def broker() -> LoopbackBroker:
    return LoopbackBroker()


@pytest.fixture(
    params=["loopback", pytest.param("mosquitto", marks=pytest.mark.broker), "embedded"]
)
async def connect(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Connect]:
    """Each broker in turn."""
    match request.param:
        case "loopback":
            yield LoopbackBroker().connect
        case "mosquitto":
            mosquitto = Mosquitto(program("mosquitto"), tmp_path)
            mosquitto.start()
            yield partial(MqttLink, Mqtt(host="127.0.0.1", port=mosquitto.port))
            mosquitto.kill()
        case "embedded":
            async with EmbeddedBroker() as embedded:
                yield partial(MqttLink, Mqtt(host="127.0.0.1", port=embedded.port))


# -------------------- on every broker


async def test_a_call_goes_to_and_fro(connect: Connect) -> None:
    async with phone_at(connect) as phone, door_at(connect) as door:
        phone.come("p1")
        await door.inputs.until(PresenceChanged)
        door.send(INVITE)
        (invite, *_) = await phone.heard_of("invite")
        assert (invite["from"], invite["to"], invite["endpoint"]) == ("door", "alice", "main")
        assert (invite["to_endpoint"], invite["epoch"]) == ("phone-1", "p1")
        phone.say("ringing", to_endpoint="main", epoch=await phone.epoch())
        assert await door.inputs.until(MessageReceived) == MessageReceived(PHONE, "c1", Ringing())
        phone.say(
            "accept", {"offer": {"type": "offer", "sdp": OFFER.sdp}}, epoch=await phone.epoch()
        )
        await door.inputs.until(
            lambda one: isinstance(one, MessageReceived) and one.message == Accept(offer=OFFER)
        )
        door.send(Answer(ANSWER))
        for _ in range(3):
            door.send(Candidate(None))
        await phone.heard_of("candidate", 3)
        order = [one["type"] for one in phone.heard if one["type"] != "invite"]
        assert order == ["answer", "candidate", "candidate", "candidate"]
        assert door.all(FaultReported) == []


async def test_what_was_retained_in_an_inbox_is_not_acted_on(connect: Connect) -> None:
    async with phone_at(connect) as phone:
        said = as_bytes(wire("chat", {"text": "of last week"}, clock="unknown"))
        kept = asyncio.Event()
        assert phone.link.publish(INBOX, said, retain=True, acknowledged=kept.set)
        async with asyncio.timeout(30):
            await kept.wait()  # else it may be of now
        async with door_at(connect) as door:
            await phone.epoch()
            phone.say("chat", {"text": "of now"}, id="now", seq=9)
            await door.received("of now")
            assert [one.message for one in door.all(MessageReceived)] == [Chat("of now")]
            assert door.signaling.rejected.keys() <= {"retained"}
            assert len(door.all(FaultReported)) == door.signaling.rejected.total()


async def test_a_clean_stop_leaves_the_door_retained_as_offline(connect: Connect) -> None:
    async with phone_at(connect) as witness:
        async with door_at(connect):
            await witness.epoch()
        await witness.door.until(lambda said: said["state"] == "offline")
    async with phone_at(connect, "bob") as later:  # what it hears of the door was retained
        await later.door.until(lambda _: True)
        later.link.publish(PRESENCE, b'{"state": "the end of what was retained"}')
        await later.door.until(lambda said: said["state"].startswith("the end"))
        # amqtt says it more than once
        assert {said["state"] for said in later.door[:-1]} == {"offline"}


async def test_presence_is_told_kept_and_taken_back(connect: Connect) -> None:
    async with phone_at(connect) as phone, phone_at(connect, "alice", "tablet") as tablet:
        tablet.come("t1")
        async with door_at(connect) as door:
            came = await door.inputs.until(PresenceChanged)
            assert came == PresenceChanged("alice", "tablet", online=True, epoch="t1", name="Alice")
            said = await phone.door.until(lambda said: said["state"] == "online")
            assert said.keys() == {"v", "state", "epoch", "name", "kid"}
            assert said["name"] == "Front door"
            assert re.fullmatch("[0-9a-f]{32}", said["epoch"])
        assert await phone.door.until(lambda said: said["state"] == "offline") == {
            "v": 1,
            "state": "offline",
        }


@pytest.mark.broker
async def test_each_of_a_flood_is_counted_though_most_of_it_never_gets_to_the_loop(
    tmp_path: Path,
) -> None:
    mosquitto = Mosquitto(program("mosquitto"), tmp_path)
    mosquitto.start()
    connect = partial(MqttLink, Mqtt(host="127.0.0.1", port=mosquitto.port))
    sent = 600
    async with phone_at(connect) as phone, door_at(connect) as door:
        reached: list[str] = []
        link = door.signaling._link
        assert isinstance(link, MqttLink)
        on_request = link._on_request

        def watch(topic: str, payload: bytes, retained: bool, answer_to: Any) -> None:
            reached.append(topic)
            on_request(topic, payload, retained, answer_to)

        link._on_request = watch
        for number in range(sent):
            phone.link.publish(INBOX, as_bytes(wire("chat", {"text": "x"}, id=f"f{number}")), qos=0)
        phone.link.publish(INBOX, as_bytes(wire("end", {"reason": "hang_up"}, id="last")), qos=0)
        rejected = door.signaling.rejected
        async with asyncio.timeout(30):
            while rejected.total() + len(door.all(MessageReceived)) < sent + 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert rejected["flooded"] > sent / 2
        assert len(door.all(FaultReported)) < 40, "and told in brief"
        assert reached.count(INBOX) < sent / 2
    mosquitto.kill()


@pytest.mark.broker
async def test_a_flood_of_presence_mostly_never_gets_to_the_loop_and_the_last_word_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a contact, whose other phone leaves in its midst; of a stranger the broker sends nothing."""
    monkeypatch.setattr(edge, "HELD_S", 0.2)
    mosquitto = Mosquitto(program("mosquitto"), tmp_path)
    mosquitto.start()
    connect = partial(MqttLink, Mqtt(host="127.0.0.1", port=mosquitto.port))
    sent = 900
    async with (
        phone_at(connect) as phone,
        phone_at(connect, "mallory") as mallory,
        door_at(connect) as door,
    ):
        reached: list[str] = []
        link = door.signaling._link
        assert isinstance(link, MqttLink)
        on_request = link._on_request

        def watch(topic: str, payload: bytes, retained: bool, answer_to: Any) -> None:
            reached.append(topic)
            on_request(topic, payload, retained, answer_to)

        def says(one: Phone, endpoint: str, epoch: str | None) -> None:
            said = {"v": 1, "state": "online" if epoch else "offline", "epoch": epoch}
            topic = f"appliance/presence/{one.uid}/{endpoint}"
            one.link.publish(topic, as_bytes(said), qos=0)

        says(phone, "tablet", "t1")
        await door.inputs.until(lambda one: isinstance(one, PresenceChanged) and one.epoch == "t1")
        link._on_request = watch
        for number in range(sent):
            says(phone, "phone-1", f"e{number}")
            says(mallory, f"m{number}", f"e{number}")
            if number == sent // 2:
                says(phone, "tablet", None)
        await door.inputs.until(
            lambda one: isinstance(one, PresenceChanged) and one.epoch == f"e{sent - 1}"
        )
        await door.inputs.until(
            lambda one: (
                isinstance(one, PresenceChanged) and one.endpoint == "tablet" and not one.online
            )
        )
        rejected = door.signaling.rejected
        async with asyncio.timeout(30):
            while rejected["flooded"] < sent - 300:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert {one.uid for one in door.all(PresenceChanged)} == {"alice"}
        assert len(door.all(PresenceChanged)) < 200
        assert len(door.all(FaultReported)) < 60, "and told in brief"
        assert len(reached) < sent / 2
        assert not any("mallory" in topic for topic in reached)
        assert rejected.keys() == {"flooded"}
        assert rejected["flooded"] < sent, "and of the stranger nothing was there to be left out"
    mosquitto.kill()


SHIPPED = Path(__file__).parents[2] / "config" / "mosquitto" / "appliance.conf"


@pytest.mark.broker
async def test_a_call_is_ended_though_another_floods_the_queue_of_a_device_that_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With QoS 1, of which a broker keeps so much for each reader and drops what comes then."""
    monkeypatch.setattr(mqtt, "MAX_ARRIVED", 100)
    limits = re.findall(r"^max_(?:inflight|queued)_.*$", SHIPPED.read_text(), re.MULTILINE)
    assert len(limits) >= 2
    mosquitto = Mosquitto(program("mosquitto"), tmp_path, "\n".join(limits))
    mosquitto.start()
    connect = partial(MqttLink, Mqtt(host="127.0.0.1", port=mosquitto.port))
    async with door_at(connect) as door:
        # nothing is awaited here: the loop stands still for as long as this takes
        with publisher(mosquitto.port) as bob, publisher(mosquitto.port) as alice:
            said = as_bytes(wire("chat", {"text": "!" * 200}, **{"from": "bob"}))
            for _ in range(4000):
                last = bob.publish("appliance/call/door/bob", said, qos=1)
            last.wait_for_publish(30)
            ended = as_bytes(wire("end", {"reason": "hang_up"}, id="last"))
            alice.publish(INBOX, ended, qos=1).wait_for_publish(30)
            presence = as_bytes({"v": 1, "state": "online", "epoch": "a1"})
            alice.publish("appliance/presence/alice/tablet", presence, 1).wait_for_publish(30)
        await door.inputs.until(
            lambda one: isinstance(one, MessageReceived) and isinstance(one.message, End)
        )
        await door.inputs.until(lambda one: isinstance(one, PresenceChanged) and one.epoch == "a1")
    mosquitto.kill()


@contextlib.contextmanager
def publisher(port: int) -> Iterator[Client]:
    """A client with a thread of its own, which waits for no acknowledgement before it goes on."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(10_000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def watched_arrivals(door: Door) -> list[str]:
    """The topics of whatever the link hands over from here on."""
    arrived: list[str] = []
    link: Any = door.signaling._link
    name = "_on_request" if isinstance(link, MqttLink) else "_on_message"
    hand_over = getattr(link, name)

    def watch(topic: str, *message: Any) -> None:
        arrived.append(topic)
        hand_over(topic, *message)

    setattr(link, name, watch)
    return arrived


# -------------------- out


async def test_an_invite_is_repeated_until_somebody_rings(
    broker: LoopbackBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "REPEAT_S", 0.02)
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        door.send(INVITE)
        first, *more = await phone.heard_of("invite", 3)
        phone.come("p2")
        await door.inputs.until(PresenceChanged)
        await phone.heard.until(lambda one: one["epoch"] == "p2")
        assert {one["id"] for one in more} == {first["id"]}
        assert {one["sent_at"] for one in more} == {first["sent_at"]}
        numbers = [one["seq"] for one in phone.heard]
        assert numbers == sorted(set(numbers))
        phone.say("ringing")
        await door.inputs.until(MessageReceived)
        await asyncio.sleep(0.1)  # five repeats, if there were any
        assert len(phone.heard) <= len(numbers) + 1
    assert door.all(MessageExpired) == []


@pytest.mark.parametrize("effect", [SettleMessage(PHONE, "c1", "accept"), ForgetCall("c1")])
async def test_the_core_can_end_the_repeating(
    effect: Any, broker: LoopbackBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "REPEAT_S", 0.02)
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        door.send(Accept(answer=ANSWER), ttl_s=0.5)
        await phone.heard_of("accept", 2)
        door.signaling.perform(effect)
        await asyncio.sleep(0.6)
        assert door.all(MessageExpired) == []


@pytest.mark.parametrize("there", [True, False], ids=["broker there", "broker away"])
async def test_what_nobody_answers_in_its_time_is_told_of(
    there: bool, broker: LoopbackBroker
) -> None:
    async with door_at(broker.connect) as door:
        if not there:
            broker.stop()
            await door.inputs.until(lambda one: one == LinkChanged(LinkState.OFFLINE))
        door.send(INVITE, ttl_s=0.1)
        door.send(Candidate(None), ttl_s=0.1)
        expired = await door.inputs.until(MessageExpired)
        assert expired == MessageExpired(PHONE, "c1", INVITE, sent=there)
        assert len(door.signaling._outbox) == 0
        assert len(door.all(MessageExpired)) == 1


async def test_whoever_has_come_back_too_is_written_to_under_the_present_epoch_alone(
    broker: LoopbackBroker,
) -> None:
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        phone.come("p1")
        await door.inputs.until(PresenceChanged)
        broker.stop()
        await door.inputs.until(lambda one: one == LinkChanged(LinkState.OFFLINE))
        door.send(Offer(OFFER, 2, "reconnect"))
        broker.start()
        await phone.states.until(lambda _: phone.states.count(LinkState.CONNECTED) == 2)
        phone.come("p2")
        await phone.heard.until(lambda one: one["epoch"] == "p2")
        sent_s = time.monotonic()
        first = phone.heard[0]
        assert len(phone.heard) == 1 or first["epoch"] == "p1", "she came before or after the door"
        phone.come("p3")
        await phone.heard.until(lambda one: one["epoch"] == "p3")
        assert {one["id"] for one in phone.heard} == {first["id"]}
        if time.monotonic() - sent_s < outbox.REPEAT_S:
            assert len(phone.heard) <= 3, "not in a second, but at once"


async def test_what_is_said_while_the_broker_is_away_is_said_when_it_is_back(
    broker: LoopbackBroker,
) -> None:
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        broker.stop()
        await door.inputs.until(lambda one: one == LinkChanged(LinkState.OFFLINE))
        for text in "abc":
            door.send(Chat(text))
        door.send(Chat("too late"), ttl_s=0.01)
        await asyncio.sleep(0.05)
        broker.start()
        await phone.heard_of("chat", 3)
        assert [one["body"]["text"] for one in phone.heard] == ["a", "b", "c"]


async def test_a_list_of_participants_tells_their_epochs(broker: LoopbackBroker) -> None:
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        phone.come("p1")
        await door.inputs.until(PresenceChanged)
        those = (Participant("door", "Door", "main"), Participant("alice", "Alice", "phone-1"))
        door.send(Participants("s1", 1, those))
        (told,) = await phone.heard_of("participants")
        assert [one["epoch"] for one in told["body"]["participants"]] == [await phone.epoch(), "p1"]


class StandingClock(Clock):
    """Nothing is repeated or expires, however slow the machine is."""

    def monotonic_s(self) -> float:
        return 1000.0


async def test_what_cannot_be_sent_is_a_fault_and_its_fate_is_told(broker: LoopbackBroker) -> None:
    async with door_at(broker.connect, clock=StandingClock()) as door:
        door.send(Chat("x" * 5000))
        assert (await door.fault("oversized")).call_id == "c1"
        assert door.all(MessageExpired) == []
        for _ in range(outbox.CAPACITY):
            door.send(INVITE)
        door.send(INVITE)
        await door.fault("outbox_full")
        assert door.all(MessageExpired) == [MessageExpired(PHONE, "c1", INVITE, sent=False)]


async def test_a_last_word_just_before_the_end_is_still_sent(broker: LoopbackBroker) -> None:
    async with phone_at(broker.connect) as phone:
        async with door_at(broker.connect) as door:
            door.send(End("hang_up"))
            door.signaling.perform(ForgetCall("c1"))
        await phone.heard_of("end")


# -------------------- in


async def test_a_message_that_comes_twice_is_received_once(broker: LoopbackBroker) -> None:
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        broker.duplicate_next()
        phone.say("chat", {"text": "once"})
        phone.say("chat", {"text": "then"})
        await door.received("then")
        assert [one.message for one in door.all(MessageReceived)] == [Chat("once"), Chat("then")]
        assert door.all(FaultReported) == []
        assert door.signaling.rejected == {}


async def test_who_asks_again_is_answered_again_since_the_answer_may_have_been_lost(
    broker: LoopbackBroker,
) -> None:
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        phone.come("p1")
        accept = {"offer": {"type": "offer", "sdp": OFFER.sdp}, "custom_data": None}
        epoch = await phone.epoch()
        phone.say("accept", accept, id="the-accept", epoch=epoch)
        await door.inputs.until(MessageReceived)
        door.send(Answer(ANSWER))
        [first] = await phone.heard_of("answer")
        phone.say("accept", accept, id="the-accept", epoch=epoch)
        _, second = await phone.heard_of("answer", 2)
        assert second["id"] == first["id"], "the same message"
        assert second["seq"] > first["seq"], "in a new place"
        assert len(door.all(MessageReceived)) == 1, "acted on once"


async def test_what_is_for_another_endpoint_is_no_ones_business(broker: LoopbackBroker) -> None:
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        phone.say("chat", {"text": "theirs"}, to_endpoint="other", epoch="whatever")
        phone.say("chat", {"text": "ours"}, to_endpoint="main")
        await door.received("ours")
        assert len(door.all(MessageReceived)) == 1
        assert door.all(FaultReported) == []


SPOILT: list[tuple[str, Callable[[Phone], None], str | None]] = [
    ("malformed", lambda phone: phone.publish(b"hello"), None),
    ("malformed", lambda phone: phone.say("end", {"reason": 5}), "c1"),
    ("oversized", lambda phone: phone.publish(b"{" * 40_000), None),
    ("unsupported_version", lambda phone: phone.say("ringing", v=2), None),
    ("unknown_type", lambda phone: phone.say("dance"), None),
    ("misaddressed", lambda phone: phone.say("ringing", **{"from": "bob"}), "c1"),
    ("wrong_epoch", lambda phone: phone.say("ringing", epoch="old"), "c1"),
    ("unverifiable", lambda phone: phone.publish(b"eyJh.eyJ2.c2ln"), None),
]


@pytest.mark.parametrize(("code", "spoil", "call_id"), SPOILT, ids=[one[0] for one in SPOILT])
async def test_what_is_not_believed_is_told_with_code_sentence_and_place_and_counted(
    code: str, spoil: Callable[[Phone], None], call_id: str | None, broker: LoopbackBroker
) -> None:
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        spoil(phone)
        fault = await door.fault(code)
        assert (fault.where, fault.call_id) == (INBOX, call_id)
        assert fault.message.endswith(".")
        phone.say("chat", {"text": "and on it goes"})
        await door.received("and on it goes")
        assert door.signaling.rejected == {code: 1}
        assert len(door.all(MessageReceived)) == 1


async def test_a_step_back_is_a_replay_but_not_for_who_has_connected_anew(
    broker: LoopbackBroker,
) -> None:
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        phone.come("p1")
        phone.say("chat", {"text": "a"}, seq=10)
        phone.say("chat", {"text": "b"}, seq=9)
        await door.fault("replayed")
        phone.come("p2")
        phone.say("chat", {"text": "c"}, seq=1)
        await door.received("c")
        assert [one.message for one in door.all(MessageReceived)] == [Chat("a"), Chat("c")]


async def test_what_is_too_old_by_clocks_that_are_right_is_refused(
    broker: LoopbackBroker, tmp_path: Path
) -> None:
    flag = tmp_path / "synchronized"
    flag.touch()
    async with (
        phone_at(broker.connect) as phone,
        door_at(broker.connect, clock=Clock(flag)) as door,
    ):
        phone.say("chat", {"text": "late"}, clock="synced", sent_at=1)
        await door.fault("outdated")
        phone.say("chat", {"text": "who knows"}, clock="unknown", sent_at=1)
        await door.received("who knows")


async def test_a_stranger_is_not_listened_to(connect: Connect) -> None:
    """Nor is what it says ever sent here: behind it comes what a contact says."""
    async with (
        phone_at(connect, "mallory") as mallory,
        phone_at(connect) as alice,
        door_at(connect) as door,
    ):
        arrived = watched_arrivals(door)
        mallory.come()
        said = as_bytes(wire("chat", {"text": "let me in"}, **{"from": "mallory"}))
        acknowledged = asyncio.Event()
        topic = "appliance/call/door/mallory"
        assert mallory.link.publish(topic, said, acknowledged=acknowledged.set)
        async with asyncio.timeout(30):
            await acknowledged.wait()
        alice.say("chat", {"text": "hello"})
        await door.received("hello")
        assert [one.sender.uid for one in door.all(MessageReceived)] == ["alice"]
        assert {topic for topic in arrived if "mallory" in topic} == set()
        assert door.signaling.rejected == {}


async def test_what_somebody_says_whom_nobody_knows_is_refused_where_a_broker_sends_it(
    broker: LoopbackBroker,
) -> None:
    async with door_at(broker.connect) as door:
        said = as_bytes(wire("chat", {"text": "let me in"}, **{"from": "mallory"}))
        door.signaling._arrived("appliance/call/door/mallory", said, False)
        fault = await door.fault("unknown_sender")
        assert "mallory" in fault.message
        assert door.all(MessageReceived) == []


async def test_a_flood_is_counted_in_full_told_of_in_brief_and_drowns_nobody(
    broker: LoopbackBroker,
) -> None:
    async with (
        phone_at(broker.connect) as alice,
        phone_at(broker.connect, "bob") as bob,
        door_at(broker.connect) as door,
    ):
        for _ in range(2000):
            alice.say("chat", {"text": "!"})
        bob.say("chat", {"text": "sorry to interrupt"})
        await door.received("sorry to interrupt")
        heard = len(door.all(MessageReceived)) - 1
        assert SENDER_BURST <= heard < 2 * SENDER_BURST
        assert door.signaling.rejected == {"flooded": 2000 - heard}
        assert 1 <= len(door.all(FaultReported)) < 10


async def test_a_call_is_ended_through_a_flood_and_strangers_take_nothing_from_anybody(
    broker: LoopbackBroker,
) -> None:
    async with (
        phone_at(broker.connect) as alice,
        phone_at(broker.connect, "mallory") as mallory,
        phone_at(broker.connect, "bob") as bob,
        door_at(broker.connect) as door,
    ):
        for _ in range(1000):
            alice.say("chat", {"text": "!"})
            mallory.say("chat", {"text": "!"})
        alice.say("end", {"reason": "hang_up"})
        bob.say("chat", {"text": "the last"})
        await door.received("the last")
        ends = [one for one in door.all(MessageReceived) if isinstance(one.message, End)]
        assert [one.sender.uid for one in ends] == ["alice"]
        assert door.signaling.rejected.keys() == {"flooded"}
        assert len(door.all(FaultReported)) < 50, "a flood of refusals is no flood of reports"


async def test_who_comes_and_goes_too_often_is_looked_at_later(
    broker: LoopbackBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "HELD_S", 0.05)
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        for number in range(500):
            phone.come(f"e{number}")
        await door.inputs.until(
            lambda one: isinstance(one, PresenceChanged) and one.epoch == "e499"
        )
        assert len(door.all(PresenceChanged)) < 100
        assert door.signaling.rejected["flooded"] > 400


async def test_who_becomes_a_contact_is_seen_and_heard_and_who_is_none_any_more_is_not(
    connect: Connect,
) -> None:
    """Though it was there before, and though another comes and goes all the time."""
    async with (
        phone_at(connect, "carol") as carol,
        phone_at(connect, "mallory") as mallory,
        phone_at(connect) as alice,
        door_at(connect) as door,
    ):
        carol.come("c1")
        for number in range(100):
            mallory.endpoint = f"tab-{number}"
            mallory.come(f"m{number}")
        contacts = door.signaling._contacts
        assert isinstance(contacts, dict)
        contacts["carol"] = None
        door.signaling.follow_contacts()
        await door.inputs.until(lambda one: isinstance(one, PresenceChanged))
        carol.say("chat", {"text": "it is me"}, epoch=await carol.epoch())
        await door.received("it is me")
        assert [one.uid for one in door.all(PresenceChanged)] == ["carol"]

        del contacts["carol"]
        door.signaling.follow_contacts()
        arrived = watched_arrivals(door)
        # the second comes through a broker that has been told by then
        for text in ("one", "two"):
            carol.say("chat", {"text": "still here"})
            alice.say("chat", {"text": text})
            await door.received(text)
            arrived.clear() if text == "one" else None
        assert {topic for topic in arrived if "carol" in topic} == set()


async def test_our_own_absence_said_a_thousand_times_is_contradicted_a_few_times(
    broker: LoopbackBroker,
) -> None:
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        await phone.epoch()
        told = len(phone.door)
        for _ in range(1000):
            phone.link.publish(PRESENCE, as_bytes({"v": 1, "state": "offline"}), retain=True)
        phone.say("chat", {"text": "the last"})
        await door.received("the last")
        await phone.door.until(lambda said: len(phone.door) >= told + 1000)
        await phone.door.until(lambda said: said["state"] == "online" and phone.door[-1] == said)
        online = [said for said in list(phone.door)[told:] if said["state"] == "online"]
        assert len(online) < 100


async def test_refusing_what_is_unsigned_means_both_ways(broker: LoopbackBroker) -> None:
    async with phone_at(broker.connect) as phone, door_at(broker.connect, "refuse") as door:
        phone.say("ringing", epoch=await phone.epoch())
        assert (await door.fault("unsigned")).where == INBOX
        door.send(INVITE)
        assert await door.inputs.until(MessageExpired) == MessageExpired(
            PHONE, "c1", INVITE, sent=False
        )
        assert "appliance/call/alice/door" in {one.where for one in door.all(FaultReported)}
        assert door.all(MessageReceived) == []
        assert phone.heard == []


# -------------------- presence and the link


async def test_each_connection_has_an_epoch_of_its_own(broker: LoopbackBroker) -> None:
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        first = await phone.epoch()
        broker.partition("door-main")
        await phone.door.until(lambda said: said["state"] == "offline")
        broker.heal("door-main")
        await door.connected(times=2)
        await phone.door.until(lambda said: said.get("epoch", first) != first)
        phone.say("chat", {"text": "to the past"}, epoch=first)
        await door.fault("wrong_epoch")
        states = [one.state for one in door.all(LinkChanged)]
        assert states == ["connecting", "connected", "connecting", "offline", "connected"]


async def test_who_left_while_the_broker_was_away_is_known_to_be_gone(
    broker: LoopbackBroker,
) -> None:
    async with door_at(broker.connect) as door:
        async with phone_at(broker.connect) as phone:
            phone.come()
            await door.inputs.until(PresenceChanged)
            broker.stop()
        broker.start()
        gone = await door.inputs.until(
            lambda one: isinstance(one, PresenceChanged) and not one.online
        )
        assert gone == PresenceChanged("alice", "phone-1", online=False)


async def test_who_stayed_while_our_own_link_was_away_is_told_of_again_once(
    broker: LoopbackBroker,
) -> None:
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        phone.come("p1")
        await door.inputs.until(PresenceChanged)
        broker.partition("door-main")
        await door.inputs.until(lambda one: one == LinkChanged(LinkState.OFFLINE))
        broker.heal("door-main")
        await door.connected(times=2)
        phone.say("chat", {"text": "still here"}, epoch=None)
        await door.received("still here")
        told = [one for one in door.inputs if isinstance(one, (PresenceChanged, LinkChanged))]
        here = PresenceChanged("alice", "phone-1", online=True, epoch="p1", name="Alice")
        assert told.count(here) == len(door.all(PresenceChanged)) == 2
        assert told[-1] == here  # after the last word on the link, with which all are forgotten


@pytest.mark.broker
async def test_who_stayed_is_told_of_again_when_a_real_connection_was_cut(tmp_path: Path) -> None:
    broker = Mosquitto(program("mosquitto"), tmp_path)
    broker.start()
    near = partial(MqttLink, Mqtt(host="127.0.0.1", port=broker.port))
    try:
        async with proxy_to(broker.port) as proxy, phone_at(near) as phone:
            phone.come("p1")
            far = partial(MqttLink, Mqtt(host="127.0.0.1", port=proxy.port))
            async with door_at(far) as door:
                await door.inputs.until(PresenceChanged)
                proxy.cut()
                await door.connected(times=2)
                await door.inputs.until(lambda _: len(door.all(PresenceChanged)) >= 2)
                here = PresenceChanged("alice", "phone-1", online=True, epoch="p1", name="Alice")
                assert door.all(PresenceChanged) == [here, here]
    finally:
        broker.kill()


async def test_a_will_that_comes_late_does_not_make_us_absent(broker: LoopbackBroker) -> None:
    async with phone_at(broker.connect) as phone, door_at(broker.connect):
        epoch = await phone.epoch()
        phone.link.publish(
            PRESENCE, as_bytes({"v": 1, "state": "offline"}).replace(b" ", b""), retain=True
        )
        await phone.door.until(lambda said: said["state"] == "offline")
        await phone.door.until(lambda _: len(phone.door) >= 3)
        assert (phone.door[-1]["state"], phone.door[-1]["epoch"]) == ("online", epoch)


async def test_a_presence_that_is_none_is_a_fault(broker: LoopbackBroker) -> None:
    async with phone_at(broker.connect) as phone, door_at(broker.connect) as door:
        phone.link.publish("appliance/presence/alice/phone-1", b"here!", retain=True)
        fault = await door.fault("malformed")
        assert fault.where == "appliance/presence/alice/phone-1"
        assert door.all(PresenceChanged) == []


@pytest.mark.broker
async def test_a_ring_outlives_the_brokers_death_and_is_heard_once(tmp_path: Path) -> None:
    broker = Mosquitto(program("mosquitto"), tmp_path)
    broker.start()
    connect = partial(MqttLink, Mqtt(host="127.0.0.1", port=broker.port))
    try:
        async with phone_at(connect) as phone, door_at(connect) as door:
            broker.kill()
            await door.inputs.until(lambda one: one == LinkChanged(LinkState.CONNECTING))
            door.send(INVITE)
            broker.start()
            invites = await phone.heard_of("invite")
            await door.connected(times=2)
            phone.say("ringing")
            await door.inputs.until(MessageReceived)
            assert len({one["id"] for one in invites}) == 1
            assert door.all(MessageExpired) == []
    finally:
        broker.kill()


def test_it_names_the_effects_that_are_its_own() -> None:
    assert (Send, SettleMessage, ForgetCall, FollowList) == MqttSignaling.EFFECTS
    assert edge.ENDPOINT == "main"
