"""A broker that answers by a script: the odd ones that no real broker can be asked to be."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from tests.parts.watched import Watched

CONNACK_V3 = bytes([0x20, 2, 0, 0])
CONNACK_V5 = bytes([0x20, 3, 0, 0, 0])
REFUSED_VERSION = bytes([0x20, 2, 0, 1])
"""What a broker of MQTT 3.1.1 says to a CONNECT of MQTT 5."""
NOT_AUTHORIZED_V5 = bytes([0x20, 3, 0, 0x87, 0])
TAKEN_OVER_V5 = bytes([0xE0, 2, 0x8E, 0])

CLOSE = b"close"
"""In a script: hang up. Without it the broker keeps silent from then on."""


def version_of(connect: bytes) -> int:
    """The protocol level of a CONNECT packet: 4 or 5."""
    return connect[connect.index(b"MQTT") + 4]


@dataclass
class Scripted:
    """What has happened: the version of each CONNECT, in order."""

    port: int
    versions: Watched[int] = field(default_factory=Watched)


@contextlib.asynccontextmanager
async def scripted_broker(
    script: Callable[[int], list[bytes]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[Scripted]:
    """A server that answers a CONNECT of each version with what `script` gives for it."""
    writers: set[asyncio.StreamWriter] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            packet = await reader.read(4096)
            if packet:
                scripted.versions.post(version_of(packet))
                for answer in script(scripted.versions[-1]):
                    if answer == CLOSE:
                        return
                    writer.write(answer)
            while await reader.read(4096):
                pass
        except OSError:
            pass
        finally:
            writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    scripted = Scripted(server.sockets[0].getsockname()[1])
    try:
        yield scripted
    finally:
        server.close()
        for writer in list(writers):
            writer.transport.abort()
        await server.wait_closed()
