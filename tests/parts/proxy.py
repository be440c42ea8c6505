"""A TCP proxy in front of loopback that breaks connections, or holds them up, on command."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

HELD_BYTES = 128 * 1024
"""What the kernel takes in while the way back stands still; of itself it would take some 30 MB."""


class Proxy:
    """Passes bytes on, until told to `cut` (reset) or to `swallow` them (a black hole).

    What comes back waits where it is while `way_back` is not set.
    """

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.swallowing = False
        self.connections = 0
        self.way_back = asyncio.Event()
        self.way_back.set()
        self._target_port = target_port
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Reset every connection, without a word to either side."""
        for writer in self._writers:
            writer.transport.abort()

    async def _pass_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._pass_on(reader, writer, self.way_back)

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        way: asyncio.Event | None = None,
    ) -> None:
        try:
            while data := await reader.read(65536):
                if way is not None:
                    await way.wait()
                if not self.swallowing:
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def _reached(self) -> socket.socket:
        """A connection to what is behind, in which the kernel holds little."""
        way = socket.socket()
        try:
            way.setblocking(False)
            way.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HELD_BYTES)
            await asyncio.get_running_loop().sock_connect(way, ("127.0.0.1", self._target_port))
        except BaseException:
            way.close()
            raise
        return way

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writers = {writer}
        try:
            there, back = await asyncio.open_connection(sock=await self._reached())
            writers.add(back)
            self._writers |= writers
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass_on(reader, back))
                tasks.create_task(self._pass_back(there, writer))
        except OSError:
            pass  # nobody listens behind it: the client finds its connection closed
        finally:
            self._writers -= writers
            for one in writers:
                one.close()
                with contextlib.suppress(OSError):
                    await one.wait_closed()


@contextlib.asynccontextmanager
async def proxy_to(target_port: int, host: str = "127.0.0.1") -> AsyncIterator[Proxy]:
    """A proxy in front of a loopback port of this machine; its own is `port`, at `host`."""
    proxy = Proxy(target_port)
    server = await asyncio.start_server(proxy._connected, host, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.way_back.set()
        proxy.cut()
        await server.wait_closed()
