"""The link to a real broker in what the stand-in has not: versions, silence, secrets, refusals."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from appliance.calls.inputs import LinkState
from appliance.config import Mqtt
from appliance.signaling import backoff, connection, mqtt, plan
from appliance.signaling.base import Publication, Return, Subscription
from appliance.signaling.broker import EmbeddedBroker
from appliance.signaling.connection import Arrived, Closed
from appliance.signaling.inflow import MAX_PACKET_BYTES
from appliance.signaling.mqtt import ASK_FOR_V5_EVERY, Dialect, MqttLink
from tests.parts import scripted
from tests.parts.certificates import Authority
from tests.parts.mosquitto import Mosquitto, free_port
from tests.parts.need import program
from tests.parts.proxy import proxy_to
from tests.parts.scripted import scripted_broker
from tests.parts.watched import Watched

V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
REFUSED = Closed("broker_refused", "", answered=True, version_refused=True)
SILENT = Closed("broker_silent", "")
LOST = Closed("broker_lost", "", answered=True)
UNREACHABLE = Closed("broker_unreachable", "")


class Seen:
    """What one link told."""

    def __init__(self) -> None:
        self.states: Watched[LinkState] = Watched()
        self.messages: Watched[tuple[str, bytes, bool]] = Watched()
        self.faults: Watched[tuple[str, str]] = Watched()

    def link(
        self,
        config: Mqtt,
        *wanted: Subscription,
        will: Publication | None = None,
        keepalive_s: int = 5,
        random: Callable[[], float] = lambda: 0.0,
    ) -> MqttLink:
        return MqttLink(
            config,
            "door-main",
            on_state=self.states.post,
            on_message=lambda *message: self.messages.post(message),
            on_fault=lambda *fault: self.faults.post(fault),
            will=will,
            subscriptions=wanted,
            keepalive_s=keepalive_s,
            random=random,
        )

    async def connected(self, times: int = 1) -> None:
        await self.states.until(lambda _: self.states.count(LinkState.CONNECTED) >= times)

    async def fault(self, code: str) -> str:
        return (await self.faults.until(lambda fault: fault[0] == code))[1]


@pytest.fixture
def seen() -> Seen:
    return Seen()


def here(port: int) -> Mqtt:
    return Mqtt(host="127.0.0.1", port=port)


@contextlib.contextmanager
def running(directory: Path, configuration: str) -> Iterator[Mosquitto]:
    """A mosquitto with some more configuration."""
    broker = Mosquitto(program("mosquitto"), directory, configuration)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


# -------------------- which MQTT


def test_the_newer_mqtt_is_tried_first_and_the_older_is_remembered() -> None:
    dialect = Dialect()
    assert dialect.choose() is V5
    assert dialect.closed(V5, REFUSED) is True
    for _ in range(ASK_FOR_V5_EVERY):
        assert dialect.choose() is V311
        dialect.ready(V311)
        assert dialect.closed(V311, LOST) is False
    assert dialect.choose() is V5  # it may have been updated
    assert dialect.closed(V5, REFUSED) is True
    assert dialect.choose() is V311


def test_a_broker_that_was_updated_is_spoken_to_in_the_newer_mqtt_again() -> None:
    dialect = Dialect()
    dialect.closed(V5, REFUSED)
    for _ in range(ASK_FOR_V5_EVERY):
        dialect.ready(dialect.choose())
    assert dialect.choose() is V5
    dialect.ready(V5)
    assert dialect.choose() is V5


def test_silence_is_taken_for_not_understanding_but_being_unreachable_is_not() -> None:
    dialect = Dialect()
    assert dialect.closed(V5, UNREACHABLE) is False
    assert dialect.choose() is V5
    assert dialect.closed(V5, SILENT) is True
    assert dialect.choose() is V311
    assert dialect.closed(V311, SILENT) is False  # it does not understand that either
    assert dialect.choose() is V5


@pytest.mark.broker
async def test_mosquitto_is_spoken_to_in_mqtt_5(mosquitto: Mosquitto, seen: Seen) -> None:
    async with seen.link(here(mosquitto.port)) as link:
        await seen.connected()
        assert link.version == "5"
    assert "(p5, c1, k5)" in mosquitto.log


@pytest.mark.broker
async def test_a_connection_from_an_address_that_is_gone_is_given_up_at_once(
    mosquitto: Mosquitto, seen: Seen
) -> None:
    async with seen.link(here(mosquitto.port)) as link:
        await seen.connected()
        link.moved(frozenset())
        link.moved(frozenset({"192.0.2.7"}))
        link.publish("test", b"through the same")
        link.moved(frozenset({"192.0.2.7", "127.0.0.1"}))
        assert "127.0.0.1 is gone" in await seen.fault("broker_lost")
        await seen.connected(2)
        assert seen.states.count(LinkState.CONNECTED) == 2, "and else nothing has ended it"


@pytest.mark.broker
async def test_another_network_is_tried_at_once(
    mosquitto: Mosquitto, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for an hour waits no longer when there is an address, or a way."""
    monkeypatch.setattr(backoff.Attempts, "wait_s", lambda *_: 3600.0)
    mosquitto.kill()
    async with seen.link(here(mosquitto.port)) as link:
        await seen.fault("broker_unreachable")
        mosquitto.start()
        async with asyncio.timeout(30):
            while not seen.states.count(LinkState.CONNECTED):
                link.moved(frozenset())
                await asyncio.sleep(0.05)


@pytest.mark.broker
async def test_where_an_answer_is_wanted_comes_with_a_message_and_its_mark_goes_back(
    mosquitto: Mosquitto,
) -> None:
    states: Watched[LinkState] = Watched()
    heard: Watched[tuple[str, bytes, bool, Return | None]] = Watched()
    answers: Watched[bytes] = Watched()
    loop = asyncio.get_running_loop()
    asker = Client(CallbackAPIVersion.VERSION2, "asker", protocol=MQTTProtocolVersion.MQTTv5)
    subscribed = asyncio.Event()
    asker.on_connect = lambda client, *_: client.subscribe("answers", 1)

    def has_subscribed(*_: Any) -> None:
        loop.call_soon_threadsafe(subscribed.set)

    def answered(_client: Any, _data: Any, packet: Any) -> None:
        loop.call_soon_threadsafe(answers.post, packet.properties.CorrelationData)

    asker.on_subscribe, asker.on_message = has_subscribed, answered
    async with MqttLink(
        here(mosquitto.port),
        "door",
        on_state=states.post,
        on_message=lambda *_: None,
        on_request=lambda *request: heard.post(request),
        on_fault=lambda *_: None,
        subscriptions=[Subscription("asked/+")],
    ) as link:
        await states.until(lambda state: state is LinkState.CONNECTED)
        await asyncio.to_thread(asker.connect, "127.0.0.1", mosquitto.port, 10)
        asker.loop_start()
        try:
            await subscribed.wait()
            wanted = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            wanted.ResponseTopic, wanted.CorrelationData = "answers", b"mark"
            asker.publish("asked/one", b"1", 1, properties=wanted)
            asker.publish("asked/two", b"2", 1)
            await heard.until(lambda request: request[0] == "asked/two")
            assert list(heard) == [
                ("asked/one", b"1", False, Return("answers", b"mark")),
                ("asked/two", b"2", False, None),
            ]
            link.publish("answers", b"", correlation=b"mark")
            assert await answers.until(lambda _: True) == b"mark"
        finally:
            asker.disconnect()
            await asyncio.to_thread(asker.loop_stop)
            del asker


async def test_the_embedded_broker_is_spoken_to_in_the_older_mqtt_at_once(seen: Seen) -> None:
    async with EmbeddedBroker() as broker, seen.link(here(broker.port)) as link:
        await seen.connected()
        assert link.version == "3.1.1"
    assert seen.states == [LinkState.CONNECTING, LinkState.CONNECTED, LinkState.OFFLINE]
    assert seen.faults == []


@pytest.mark.parametrize(
    "to_v5",
    [[scripted.REFUSED_VERSION, scripted.CLOSE], [scripted.CLOSE]],
    ids=["refuses", "hangs up"],
)
async def test_a_broker_that_does_not_understand_is_asked_in_the_older_mqtt(
    to_v5: list[bytes], seen: Seen
) -> None:
    async with scripted_broker(lambda v: to_v5 if v == 5 else [scripted.CONNACK_V3]) as broker:
        async with seen.link(here(broker.port)):
            await seen.connected()
        assert broker.versions == [5, 4]
    assert seen.faults == []


async def test_a_broker_that_is_silent_is_asked_in_the_older_mqtt_too(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 0.2)
    async with scripted_broker(lambda v: [] if v == 5 else [scripted.CONNACK_V3]) as broker:
        async with seen.link(here(broker.port)):
            await seen.connected()
        assert broker.versions == [5, 4]


# -------------------- what a broker may refuse


async def test_who_may_not_in_is_told_so_once_and_keeps_trying(seen: Seen) -> None:
    async with (
        scripted_broker(lambda _: [scripted.NOT_AUTHORIZED_V5, scripted.CLOSE]) as broker,
        seen.link(here(broker.port)),
    ):
        assert "Not authorized" in await seen.fault("broker_not_authorized")
        await broker.versions.until(lambda _: len(broker.versions) >= 4)
    assert len(seen.faults) == 1
    assert seen.states == [LinkState.CONNECTING, LinkState.OFFLINE]
    assert set(broker.versions) == {5}


async def test_another_program_with_our_client_id_is_named_as_the_reason(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "RIVAL_BASE_S", 0.01)
    answers = [scripted.CONNACK_V5, scripted.TAKEN_OVER_V5, scripted.CLOSE]
    async with scripted_broker(lambda _: answers) as broker, seen.link(here(broker.port)):
        assert "door-main" in await seen.fault("session_taken_over")
        await seen.fault("broker_unsteady")
        await seen.connected(6)
    assert [code for code, _ in seen.faults] == ["session_taken_over", "broker_unsteady"]


async def test_connections_that_end_soon_are_noticed_where_no_broker_says_why(seen: Seen) -> None:
    answers = [scripted.CONNACK_V5, scripted.CLOSE]
    async with scripted_broker(lambda _: answers) as broker, seen.link(here(broker.port)):
        assert "door-main" in await seen.fault("broker_unsteady")


async def test_a_refused_subscription_is_named(seen: Seen) -> None:
    suback = bytes([0x90, 5, 0, 1, 0, 1, 0x87])  # the second of two
    async with (
        scripted_broker(lambda _: [scripted.CONNACK_V5, suback]) as broker,
        seen.link(here(broker.port), Subscription("mine"), Subscription("theirs")),
    ):
        sentence = await seen.fault("subscription_refused")
        assert "theirs" in sentence
        assert "mine" not in sentence
    assert LinkState.CONNECTED not in seen.states


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "broker_silent"),
        ([scripted.CONNACK_V5, bytes([0x30, 3, 0, 0xFF, 0])], "broker_lost"),
        ([scripted.CONNACK_V5, bytes([0xF0, 0])], "broker_lost"),
        ([scripted.CONNACK_V5, bytes([0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])], "broker_lost"),
    ],
    ids=["another protocol", "a topic longer than its packet", "AUTH", "a length without end"],
)
async def test_rubbish_from_a_broker_ends_the_connection_and_nothing_else(
    answers: list[bytes], code: str, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 0.2)
    async with scripted_broker(lambda _: answers) as broker, seen.link(here(broker.port)):
        await seen.fault(code)
        await broker.versions.until(lambda _: len(broker.versions) >= 3)


# -------------------- secrets, certificates, names


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """A password file of mosquitto with one user in it: door, s3cret."""
    file = tmp_path / "users"
    tool = program("mosquitto_passwd", "mosquitto")
    subprocess.run([tool, "-b", "-c", file, "door", "s3cret"], check=True, capture_output=True)
    return file


@pytest.mark.broker
async def test_user_and_password_come_from_the_configuration_and_its_file(
    tmp_path: Path, users: Path, seen: Seen
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    with running(tmp_path, f"allow_anonymous false\npassword_file {users}") as broker:
        config = Mqtt(port=broker.port, username="door", password_file=str(secret))
        async with seen.link(config):
            await seen.fault("broker_not_authorized")
            secret.write_text("s3cret\n")  # it is read again for each attempt
            await seen.connected()


@pytest.mark.parametrize("key", ["ca_file", "password_file", "cert_file"])
async def test_a_file_that_is_not_there_is_a_fault_of_its_own(key: str, seen: Seen) -> None:
    changes: dict[str, Any] = {"username": "door", key: "/no/such/file"}
    config = replace(here(1), **changes)
    async with seen.link(config):
        assert "No such file" in await seen.fault("broker_credentials")


@pytest.mark.broker
@pytest.mark.parametrize(
    ("trusted", "issued_for", "believed"),
    [("house", "127.0.0.1", True), ("stranger", "127.0.0.1", False), ("house", "other", False)],
    ids=["ours", "another authority", "another name"],
)
async def test_a_broker_must_prove_who_it_is(
    trusted: str, issued_for: str, believed: bool, tmp_path: Path, seen: Seen
) -> None:
    authorities = {name: Authority(tmp_path, name) for name in ("house", "stranger")}
    files = authorities["house"].issue(issued_for)
    port = free_port()
    listener = f"listener {port} 127.0.0.1\ncertfile {files.certificate}\nkeyfile {files.key}"
    with running(tmp_path, listener):
        async with seen.link(replace(here(port), ca_file=str(authorities[trusted].file))):
            if believed:
                await seen.connected()
            else:
                assert "certificate" in (await seen.fault("broker_tls")).lower()
    assert (LinkState.CONNECTED in seen.states) is believed


async def test_what_tls_has_decrypted_already_is_not_left_lying(tmp_path: Path, seen: Seen) -> None:
    house = Authority(tmp_path, "house")
    files = house.issue("127.0.0.1")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)
    message = bytes([0x30, 4, 0, 1]) + b"t\x00"
    # one record of TLS: the socket is readable once, and then has nothing more to show
    at_once = [scripted.CONNACK_V5 + message * 100]
    async with (
        scripted_broker(lambda _: at_once, context) as broker,
        seen.link(replace(here(broker.port), ca_file=str(house.file)), Subscription("t")),
    ):
        await seen.messages.until(lambda _: len(seen.messages) == 100)


@pytest.mark.broker
async def test_a_device_can_prove_who_it_is_by_a_certificate(tmp_path: Path, seen: Seen) -> None:
    house = Authority(tmp_path, "house")
    broker, device = house.issue("127.0.0.1"), house.issue("door")
    port = free_port()
    listener = (
        f"listener {port} 127.0.0.1\ncafile {house.file}\nrequire_certificate true\n"
        f"certfile {broker.certificate}\nkeyfile {broker.key}"
    )
    config = replace(here(port), ca_file=str(house.file))
    with running(tmp_path, listener):
        async with seen.link(config):
            await seen.states.until(lambda state: state is LinkState.OFFLINE)
        certificate, key = str(device.certificate), str(device.key)
        async with seen.link(replace(config, cert_file=certificate, key_file=key)):
            await seen.connected()


def test_tls_is_spoken_where_a_certificate_is_named_and_on_its_port() -> None:
    for config, tls in (
        (Mqtt(), False),
        (Mqtt(ca_file="x"), True),
        (Mqtt(cert_file="x"), True),
        (Mqtt(port=8883), True),
    ):
        assert plan.Plan(config, "c", V5).tls is tls


async def test_plain_text_beyond_this_machine_is_warned_of(
    seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with seen.link(Mqtt(host="broker.invalid")):
            await seen.fault("broker_unreachable")
        assert "without TLS" in caplog.text
        caplog.clear()
        async with Seen().link(here(1)), Seen().link(Mqtt(host="localhost", port=1)):
            pass
        assert caplog.text == ""


# -------------------- time


@pytest.mark.broker
async def test_a_network_that_swallows_everything_is_noticed(
    mosquitto: Mosquitto, seen: Seen
) -> None:
    async with proxy_to(mosquitto.port) as proxy, seen.link(here(proxy.port), keepalive_s=1):
        await seen.connected()
        proxy.swallowing = True
        await seen.states.until(lambda _: seen.states[-1] is not LinkState.CONNECTED)
        assert "no longer answers" in await seen.fault("broker_lost")
        proxy.swallowing = False
        await seen.connected(times=2)


@pytest.mark.broker
async def test_the_broker_is_told_how_much_is_too_much(mosquitto: Mosquitto, seen: Seen) -> None:
    """It lets through anything; what is larger than we want it keeps from us (MQTT 5, 3.1.2.11.4)."""
    other = Seen()
    async with (
        seen.link(here(mosquitto.port), Subscription("t")) as link,
        MqttLink(
            here(mosquitto.port),
            "other",
            on_state=other.states.post,
            on_message=lambda *_: None,
            on_fault=lambda *_: None,
        ) as sender,
    ):
        await seen.connected()
        await other.connected()
        for size in (MAX_PACKET_BYTES + 1, 10 * MAX_PACKET_BYTES, 1000):
            sender.publish("t", b"x" * size)
        await seen.messages.until(lambda _: True)
        assert [len(payload) for _, payload, _ in seen.messages] == [1000]
        assert link.state is LinkState.CONNECTED


@pytest.mark.broker
async def test_a_message_may_expire_at_the_broker(mosquitto: Mosquitto, seen: Seen) -> None:
    async with _absent(mosquitto.port, "phone") as fetch:
        async with seen.link(here(mosquitto.port)) as link:
            await seen.connected()
            done = asyncio.Event()
            link.publish("to/phone", b"short", expiry_s=0.1)
            link.publish("to/phone", b"long", expiry_s=60.4, acknowledged=done.set)
            await done.wait()
            await asyncio.sleep(2)  # the broker's own clock, which cannot be turned
        arrived = await asyncio.to_thread(fetch)
    assert [(payload, expiry) for payload, expiry in arrived] == [(b"long", arrived[0][1])]
    assert 50 <= arrived[0][1] <= 61


@contextlib.asynccontextmanager
async def _absent(
    port: int, client_id: str
) -> AsyncIterator[Callable[[], list[tuple[bytes, int]]]]:
    """Someone for whom the broker keeps messages; `fetch` comes back and gets the first."""

    def session(
        until: Callable[[Client, list[tuple[bytes, int]]], bool],
    ) -> list[tuple[bytes, int]]:
        got: list[tuple[bytes, int]] = []
        client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=V5)
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 600
        subscribed = threading.Event()
        client.on_connect = lambda *_: client.subscribe("to/phone", 1) and None
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_message = lambda _c, _u, message: got.append(
            (bytes(message.payload), getattr(message.properties, "MessageExpiryInterval", 0))
        )
        client.connect("127.0.0.1", port, clean_start=False, properties=properties)
        while not (subscribed.is_set() and until(client, got)):
            client.loop(0.1)
        client.disconnect()
        return got

    await asyncio.to_thread(session, lambda _client, _got: True)
    yield lambda: session(lambda _client, got: bool(got))


async def test_leaving_takes_a_bounded_time_even_if_the_broker_swallows_everything(
    seen: Seen,
) -> None:
    with socket.socket() as deaf:  # it accepts, since the kernel does, and never says a word
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        async with (
            asyncio.timeout(30),
            seen.link(here(deaf.getsockname()[1]), will=Publication("t", b"x")),
        ):
            await asyncio.sleep(0)
    assert seen.states[-1] is LinkState.OFFLINE


async def test_what_cannot_be_published_is_a_fault_and_harms_nothing(seen: Seen) -> None:
    async with EmbeddedBroker() as broker, seen.link(here(broker.port), Subscription("t")) as link:
        await seen.connected()
        link.publish("not/+/a/topic", b"x")
        assert "not/+/a/topic" in await seen.fault("not_publishable")
        link.publish("t", b"still here", qos=0)
        await seen.messages.until(lambda message: message[1] == b"still here")


async def test_no_more_messages_wait_for_the_loop_than_it_can_take_and_none_is_lost(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "MAX_ARRIVED", 5)
    async with EmbeddedBroker() as broker, seen.link(here(broker.port), Subscription("t")) as link:
        await seen.connected()
        waiting = most = 0
        hand_over = link._loop.call_soon_threadsafe

        def counted(act: Callable[..., object], *arguments: object) -> object:
            nonlocal waiting, most
            if not isinstance(arguments[0], Arrived):
                return hand_over(act, *arguments)

            def acted() -> None:
                nonlocal waiting
                waiting -= 1
                act(*arguments)

            waiting += 1
            most = max(most, waiting)
            return hand_over(acted)

        monkeypatch.setattr(link._loop, "call_soon_threadsafe", counted)
        for number in range(300):
            link.publish("t", b"%d" % number, qos=0)
        await seen.messages.until(lambda message: message[1] == b"299")
        monkeypatch.undo()
        assert [payload for _, payload, _ in seen.messages] == [b"%d" % one for one in range(300)]
        assert 1 <= most <= 5


@pytest.mark.broker
async def test_what_is_published_at_a_time_wakes_the_thread_once(
    mosquitto: Mosquitto, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time costs two changes between threads, and all of it is there when the thread looks."""
    wakes: list[connection.Connection] = []
    wake = connection.Connection.wake

    def counted(one: connection.Connection) -> None:
        wakes.append(one)
        wake(one)

    async with seen.link(here(mosquitto.port), Subscription("all")) as link:
        await seen.connected()
        monkeypatch.setattr(connection.Connection, "wake", counted)
        for number in range(3):
            assert link.publish("all", b"%d" % number)
        await seen.messages.until(lambda _: len(seen.messages) == 3)
        assert len(wakes) == 1
    assert [payload for _, payload, _ in seen.messages] == [b"0", b"1", b"2"]


async def test_what_waits_to_be_sent_is_bounded(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with EmbeddedBroker() as broker, seen.link(here(broker.port)) as link:
        await seen.connected()
        monkeypatch.setattr(mqtt, "MAX_BACKLOG", 0)
        assert not link.publish("t", b"x")
        await seen.fault("link_overloaded")
        monkeypatch.undo()
        assert link.publish("t", b"x")


@pytest.mark.broker
@pytest.mark.parametrize("qos", [0, 1])
async def test_what_waits_within_paho_is_bounded_too(
    mosquitto: Mosquitto, seen: Seen, qos: int
) -> None:
    """A broker that takes nothing, or acknowledges nothing, and thousands of messages for it."""
    async with seen.link(here(mosquitto.port)) as link:
        await seen.connected()
        connection = link._connection
        assert connection is not None
        mosquitto.signal(signal.SIGSTOP)
        try:
            taken = 0
            async with asyncio.timeout(30):
                while link.publish("t", b"x" * 16_384, qos=qos):
                    taken += 1
                    while connection._requests.qsize() > 50:  # noqa: ASYNC110 - it tells nobody
                        await asyncio.sleep(0.001)
            await seen.fault("link_overloaded")
            client = connection._client
            assert client is not None
            assert len(client._out_messages) + len(client._out_packet) <= 2 * mqtt.MAX_BACKLOG
            if qos:
                assert taken <= mqtt.MAX_BACKLOG + 100
        finally:
            mosquitto.signal(signal.SIGCONT)


@pytest.mark.broker
async def test_what_is_far_too_large_is_told_of_and_nothing_else_is_lost(
    mosquitto: Mosquitto, seen: Seen
) -> None:
    """In MQTT 3.1.1, in which a broker is not told what is too much."""
    async with seen.link(here(mosquitto.port), Subscription("t")) as link:
        link._dialect._older = True
        await seen.connected()
        assert link._connection is not None
        link._connection.abandon("the next is of 3.1.1")
        await seen.connected(times=2)
        assert link.version == "3.1.1"
        link.publish("t", b"x" * 300_000)
        link.publish("t", b"small")
        await seen.fault("oversized")
        await seen.messages.until(lambda one: one[1] == b"small")
        assert [one[1] for one in seen.messages] == [b"small"]


async def test_a_broker_that_is_away_for_long_fills_no_log(
    seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    """The same reason is said once in ten minutes; every attempt where somebody looks closely."""
    with caplog.at_level(logging.DEBUG):
        async with seen.link(Mqtt(port=free_port()), random=lambda: 0.01):
            async with asyncio.timeout(30):
                while caplog.text.count("Next attempt") < 6:  # noqa: ASYNC110 - the log tells nobody
                    await asyncio.sleep(0.01)
    levels = [one.levelno for one in caplog.records if "Next attempt" in one.getMessage()]
    assert levels.count(logging.INFO) == 1
    assert levels[0] == logging.INFO


# -------------------- a system that has no more to give


@pytest.mark.parametrize("lacks", ["descriptors", "threads"])
async def test_a_connection_that_cannot_even_begin_is_one_that_ended(
    monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    seen = Seen()
    refused: Watched[str] = Watched()

    def no_descriptor() -> tuple[socket.socket, socket.socket]:
        refused.post(lacks)
        raise OSError(errno.EMFILE, "Too many open files")

    def no_thread(thread: threading.Thread) -> None:
        refused.post(lacks)
        raise RuntimeError("can't start new thread")

    async with EmbeddedBroker() as broker:
        with monkeypatch.context() as patch:
            if lacks == "descriptors":
                patch.setattr(socket, "socketpair", no_descriptor)
            else:
                patch.setattr(threading.Thread, "start", no_thread)
            link = seen.link(Mqtt(port=broker.port))
            await link.__aenter__()
            await refused.until(lambda _: refused.count(lacks) >= 3)
            assert "can be begun" in await seen.fault("broker_unreachable")
        await seen.connected()
        await link.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("broker.localhost", False),
        ("localhost.", False),
        ("192.168.1.2", False),
    ],
)
def test_only_this_machine_is_spoken_to_in_plain_text_without_a_word(
    host: str, is_here: bool
) -> None:
    assert mqtt._is_loopback(host) is is_here
