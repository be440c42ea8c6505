"""The embedded broker: its ports, its quiet, and what it makes of clients that are none."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import socket

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from websockets import Subprotocol
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import InvalidStatus

from appliance.signaling.broker import EmbeddedBroker
from tests.parts.mosquitto import free_port
from tests.parts.scripted import CONNACK_V3, REFUSED_VERSION

CONNECT_V3 = bytes([0x10, 13]) + b"\x00\x04MQTT\x04\x02\x00\x05\x00\x01c"
# with a property and a will, as every client of ours sends it: amqtt alone never answers this
CONNECT_V5 = (
    bytes([0x10, 26])
    + b"\x00\x04MQTT\x05\x26\x00\x05"
    + b"\x05\x11\x00\x00\x00\x00"
    + b"\x00\x01c"
    + b"\x00\x00\x01t\x00\x01x"
)


async def answer_to(port: int, data: bytes, size: int = 4) -> bytes:
    """What the broker answers to these bytes, up to `size` of them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(30):
            return await reader.readexactly(size)
    except asyncio.IncompleteReadError as end:
        return end.partial
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_it_listens_where_it_is_told_to_or_says_where_it_does() -> None:
    port, websocket_port = free_port(), free_port()
    async with EmbeddedBroker(port, websocket_port) as told, EmbeddedBroker() as free:
        assert (told.port, told.websocket_port) == (port, websocket_port)
        assert told.websocket_url == f"ws://127.0.0.1:{websocket_port}/mqtt"
        assert len({port, websocket_port, free.port, free.websocket_port, 0}) == 5
        assert await answer_to(free.port, CONNECT_V3) == CONNACK_V3


@pytest.mark.parametrize(
    ("origin", "is_let_in"),
    [
        (None, True),
        ("http://localhost:8080", True),
        ("http://127.0.0.1:8080", True),
        ("https://[::1]", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://localhost:8080.evil.example", False),
        ("https://evil.example/http://localhost:8080", False),
        ("null", False),
        ("", False),
    ],
)
async def test_pages_of_elsewhere_are_refused(origin: str | None, is_let_in: bool) -> None:
    """A browser lets any page ask loopback; it says which one asks."""
    headers = {} if origin is None else {"Origin": origin}
    async with EmbeddedBroker() as broker:
        asking = connect_websocket(
            broker.websocket_url, subprotocols=[Subprotocol("mqtt")], additional_headers=headers
        )
        if is_let_in:
            async with asking as websocket:
                await websocket.send(CONNECT_V3)
                assert await websocket.recv() == CONNACK_V3
        else:
            with pytest.raises(InvalidStatus, match="403"):
                await asking


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_behind() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for ports in ((taken.getsockname()[1], 0), (0, taken.getsockname()[1])):
            with pytest.raises(OSError, match="in use"):
                await EmbeddedBroker(*ports).__aenter__()


async def test_mqtt_5_is_refused_at_once_so_that_the_older_is_tried() -> None:
    async with EmbeddedBroker() as broker:
        assert await answer_to(broker.port, CONNECT_V5) == REFUSED_VERSION
        async with connect_websocket(
            broker.websocket_url, subprotocols=[Subprotocol("mqtt")]
        ) as page:
            await page.send(CONNECT_V5)
            assert await page.recv() == REFUSED_VERSION


async def test_a_page_connects_by_websocket_in_as_many_frames_as_it_likes() -> None:
    async with (
        EmbeddedBroker() as broker,
        connect_websocket(broker.websocket_url, subprotocols=[Subprotocol("mqtt")]) as page,
    ):
        assert page.subprotocol == "mqtt"
        for byte in CONNECT_V3:
            await page.send(bytes([byte]))
        assert await page.recv() == CONNACK_V3


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x10\x10\x00\x04MQXX" + bytes(9),
    ],
    ids=["HTTP", "a length without end", "another protocol"],
)
async def test_who_is_no_client_is_shown_the_door(data: bytes) -> None:
    async with EmbeddedBroker() as broker:
        assert await answer_to(broker.port, data) == b""
        assert await answer_to(broker.port, CONNECT_V3) == CONNACK_V3


async def test_it_ends_with_clients_still_connected_and_says_nothing(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    lasting = Client(CallbackAPIVersion.VERSION2, "lasting", protocol=MQTTProtocolVersion.MQTTv311)
    halfway = socket.socket()
    try:
        async with EmbeddedBroker() as broker:
            await asyncio.to_thread(lasting.connect, "127.0.0.1", broker.port)
            await asyncio.to_thread(lasting.loop, 1.0)
            await asyncio.to_thread(halfway.connect, ("127.0.0.1", broker.port))
            halfway.send(CONNECT_V3[:5])
            async with connect_websocket(
                broker.websocket_url, subprotocols=[Subprotocol("mqtt")]
            ) as page:
                await page.send(CONNECT_V3)
                await page.recv()
    finally:
        halfway.close()
        with contextlib.suppress(OSError):
            lasting.socket().close()  # type: ignore[union-attr]
    said = {record.name for record in caplog.records} - {"asyncio", "websockets.client"}
    assert said == {"appliance.signaling.broker"}
    assert capfd.readouterr() == ("", "")


async def test_the_levels_of_other_peoples_loggers_are_given_back() -> None:
    stream = logging.StreamHandler(io.StringIO())
    logger = logging.getLogger("amqtt")
    logger.addHandler(stream)
    try:
        before = logger.level
        async with EmbeddedBroker():
            assert logger.level == logging.CRITICAL
        assert logger.level == before
    finally:
        logger.removeHandler(stream)
