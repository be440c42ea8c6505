"""Two ends of ICE that are connected, without the sound and pictures of a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aioice import Connection


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Connection, Connection]]:
    """Who asked for the connection, and who answered."""
    async with asyncio.TaskGroup() as tasks:
        one, other = Connection(ice_controlling=True), Connection(ice_controlling=False)
        for mine, theirs in ((one, other), (other, one)):
            await mine.gather_candidates()
            theirs.remote_username, theirs.remote_password = (
                mine.local_username,
                mine.local_password,
            )
            for candidate in mine.local_candidates:
                await theirs.add_remote_candidate(candidate)
            await theirs.add_remote_candidate(None)
        tasks.create_task(other.connect())
        await one.connect()
    try:
        yield one, other
    finally:
        await one.close()
        await other.close()
