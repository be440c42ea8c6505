"""A TCP proxy in front of loopback that breaks connections on command."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Proxy:
    """Passes bytes on, until told to `cut` (reset) or to `swallow` them (a black hole)."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.swallowing = False
        self.connections = 0
        self._target_port = target_port
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Reset every connection, without a word to either side."""
        for writer in self._writers:
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if not self.swallowing:
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writers = {writer}
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
            writers.add(back)
            self._writers |= writers
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass_on(reader, back))
                tasks.create_task(self._pass_on(there, writer))
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
        proxy.cut()
        await server.wait_closed()
