"""Ports of this machine's loopback in a place of a network lab, by sockets in the file system.

So a browser there has a page of its own machine, which browsers trust, and nothing of it goes over the
network.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.parts.netlab import Place

BRIDGE = """
import asyncio, sys
async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
def to(path):
    async def come(reader, writer):
        there = await asyncio.open_unix_connection(path)
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))
    return come
async def main():
    servers = [await asyncio.start_server(to(path), "127.0.0.1", int(port))
               for port, path in zip(sys.argv[1::2], sys.argv[2::2])]
    print("ready", flush=True)
    await asyncio.gather(*(one.serve_forever() for one in servers))
asyncio.run(main())
"""


@asynccontextmanager
async def bridged(place: Place, folder: Path, *ports: int) -> AsyncIterator[None]:
    """These ports of this machine's loopback are on that of the place, too."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            """The other side is gone."""
        finally:
            writer.close()

    async with AsyncExitStack() as stack:
        words: list[str] = []
        for port in ports:

            async def come(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int = port
            ) -> None:
                there = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

            path = folder / f"{port}.sock"
            server = await asyncio.start_unix_server(come, path)
            stack.callback(server.close)
            words += [str(port), str(path)]
        process = await asyncio.create_subprocess_exec(
            *place.command(sys.executable, "-c", BRIDGE, *words), stdout=asyncio.subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()
            await process.communicate()
