"""The broker of `appliance demo`: amqtt in this process, on loopback, over TCP and WebSocket.

amqtt speaks MQTT 3.1.1 only, and reads a CONNECT of MQTT 5 as if it were one: it then answers wrongly
or not at all. So the listeners are ours, and look at a client's first packet before amqtt does.
This module needs the extra `demo`, so only `appliance demo` imports it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from amqtt.adapters import (
    ReaderAdapter,
    StreamReaderAdapter,
    StreamWriterAdapter,
    WebSocketsReader,
    WebSocketsWriter,
    WriterAdapter,
)
from amqtt.broker import Broker
from websockets import Subprotocol
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

logger = logging.getLogger(__name__)

FIRST_PACKET_S = 5.0
SHUTDOWN_S = 5.0
_CONNECT = 0x10
_MQTT_3_1_1 = 4
_CONNACK_UNACCEPTABLE_PROTOCOL = bytes([0x20, 2, 0, 1])
"""MQTT 3.1.1, section 3.2.2.3: what a server says to a version that it does not know."""

_PAGES_HERE = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?")
"""The origins of pages of this machine: a browser says which page asks."""

_NOISY = ("amqtt", "transitions", "websockets")
_CONFIG: dict[str, Any] = {
    "listeners": {"default": {"type": "external", "bind": ""}},
    # without the plug-ins that log every packet and publish $SYS
    "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
}


class EmbeddedBroker:
    """A broker for this machine alone: any program and page of it may connect, nothing is kept.

    The ports are those given, or free ones for 0; they are known once the block is entered.
    """

    def __init__(self, port: int = 0, websocket_port: int = 0, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = port
        self.websocket_port = websocket_port
        self._stack = contextlib.AsyncExitStack()
        self._connections: set[asyncio.Task[Any]] = set()
        self._sockets: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        """Listen. Raises OSError if a port is taken."""
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(_quiet())
            stack.push_async_callback(self._end_connections)
            self._broker = await stack.enter_async_context(_amqtt())
            server = await asyncio.start_server(self._tcp_connected, self.host, self.port)
            stack.callback(server.close)
            self.port = server.sockets[0].getsockname()[1]
            self.websocket_port = await self._listen_for_websockets(stack)
            self._stack = stack.pop_all()
        logger.info("Embedded broker on %s:%d and ws:%d", self.host, self.port, self.websocket_port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the listeners and every connection."""
        await self._stack.aclose()

    @property
    def websocket_url(self) -> str:
        """Where a page on this machine connects."""
        return f"ws://{self.host}:{self.websocket_port}/mqtt"

    async def _listen_for_websockets(self, stack: contextlib.AsyncExitStack) -> int:
        server = await serve(
            self._websocket_connected,
            self.host,
            self.websocket_port,
            subprotocols=[Subprotocol("mqtt")],
            process_request=_pages_of_this_machine,
            compression=None,
        )
        stack.push_async_callback(server.wait_closed)
        stack.callback(server.close)
        port: int = next(iter(server.sockets)).getsockname()[1]
        return port

    async def _tcp_connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._sockets.add(writer)
        try:
            await self._serve(StreamReaderAdapter(reader), StreamWriterAdapter(writer))
        finally:
            self._sockets.discard(writer)
            writer.close()  # not waited for: amqtt has waited, and cancelled what is waited on

    async def _websocket_connected(self, websocket: ServerConnection) -> None:
        await self._serve(WebSocketsReader(websocket), WebSocketsWriter(websocket))

    async def _serve(self, reader: ReaderAdapter, writer: WriterAdapter) -> None:
        """One client, from its first packet to its end; its faults are its own."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            async with asyncio.timeout(FIRST_PACKET_S):
                first, version = await _first_packet(reader)
            if version != _MQTT_3_1_1:
                writer.write(_CONNACK_UNACCEPTABLE_PROTOCOL)
                await writer.drain()
                return
            await self._broker.external_connected(_Replaying(reader, first), writer, "default")
        except (ValueError, TimeoutError) as fault:
            logger.debug("Not an MQTT client: %s", fault)
        except Exception as fault:  # amqtt lets its sockets' and its own errors through
            logger.debug("A client's connection ended: %r", fault)
        finally:
            self._connections.discard(task)

    async def _end_connections(self) -> None:
        """Those that amqtt did not end when it shut down; a cancelled one would be an error to asyncio."""
        for writer in self._sockets:
            writer.transport.abort()
        if self._connections:
            await asyncio.wait(self._connections, timeout=SHUTDOWN_S)


def _pages_of_this_machine(connection: ServerConnection, request: Request) -> Response | None:
    """Whatever page is open in a browser reaches loopback: those from elsewhere are refused."""
    origin = request.headers.get("Origin")
    if origin is None or _PAGES_HERE.fullmatch(origin):
        return None
    return connection.respond(HTTPStatus.FORBIDDEN, "This broker is for pages of this machine.\n")


@contextlib.asynccontextmanager
async def _amqtt() -> AsyncIterator[Any]:
    broker = Broker(_CONFIG)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.shutdown()


async def _first_packet(reader: ReaderAdapter) -> tuple[bytes, int]:
    """The bytes of a CONNECT up to its protocol level, and that level (MQTT 3.1.1, section 3.1)."""
    data: bytes = await _read(reader, 1)
    if data[0] != _CONNECT:
        raise ValueError("the first packet is not a CONNECT")
    for _ in range(4):  # the remaining length: a byte at a time while its highest bit is set
        data += await _read(reader, 1)
        if data[-1] < 0x80:
            break
    head = await _read(reader, 2 + len(b"MQTT") + 1)
    if head[2:6] != b"MQTT":
        raise ValueError("the protocol is not MQTT")
    return data + head, head[-1]


async def _read(reader: ReaderAdapter, size: int) -> bytes:
    data: bytes = await reader.read(size)
    if len(data) < size:
        raise ValueError("the client broke off in its first packet")
    return data


class _Replaying(ReaderAdapter):  # type: ignore[misc]
    """A reader from which `first` has been read already: gives that, then the rest."""

    def __init__(self, reader: ReaderAdapter, first: bytes) -> None:
        self._reader = reader
        self._first = first

    async def read(self, n: int = -1) -> bytes:
        """Read `n` bytes, fewer at the end."""
        data, self._first = self._first[:n], self._first[n:]
        if len(data) < n:
            data += await self._reader.read(n - len(data))
        return data

    def feed_eof(self) -> None:
        """Let the reader know of the end."""
        self._reader.feed_eof()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep to errors what amqtt and its libraries log; each client would be worth ten lines."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
