"""Names of `.local` in candidates (RFC 6762), looked up beside everything else.

aiortc would look them up one after the other before a description is taken, a second each, and believe
whatever address it is told. So it is not given any: they are asked for all at once, no more than
`MAX_LOCAL_NAMES` of one connection, and what they lead to is looked at as other candidates are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aioice.ice import get_or_create_mdns_protocol, unref_mdns_protocol

from appliance.firewall.blocked import Blocked
from appliance.firewall.candidates import MAX_LOCAL_NAMES, Remote

logger = logging.getLogger(__name__)

LookUp = Callable[[str], Awaitable[str | None]]
"""The address behind a name, or None where nobody answers."""


async def look_up(name: str) -> str | None:
    """Ask the network, once, and wait a second for the answer."""
    asking = object()
    try:
        protocol = await get_or_create_mdns_protocol(asking)
        return await protocol.resolve(name)
    except OSError as fault:  # no socket, or no network that it could be sent to
        logger.info("%s is not looked up: %s", name, fault)
        return None
    finally:
        await unref_mdns_protocol(asking)


class LocalNames:
    """The candidates of one connection that have a name for an address."""

    def __init__(self, found: Callable[[Remote | None], Awaitable[None]], look_up: LookUp) -> None:
        """`found` gets each candidate with its address, or None where there is none to be used."""
        self._found = found
        self._look_up = look_up
        self._waiting: asyncio.Queue[Remote] = asyncio.Queue(MAX_LOCAL_NAMES)
        self._asked = 0

    def let_go(self) -> None:
        """The connection is closed: tell nobody of anything any more, nor keep who would be told."""
        self._found = _told_to_nobody

    def ask(self, candidate: Remote) -> bool:
        """Take one in; False where it is one too many."""
        if self._asked >= MAX_LOCAL_NAMES:
            return False
        self._asked += 1
        self._waiting.put_nowait(candidate)
        return True

    async def run(self) -> None:
        """Look up what was taken in, all at once; to be cancelled at the end."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                candidate = await self._waiting.get()
                tasks.create_task(self._answer(candidate), name=f"look up {candidate.host}")

    async def _answer(self, candidate: Remote) -> None:
        found: Remote | None = None
        address = await self._look_up(candidate.host)
        if address is not None:
            try:
                found = candidate.at(address)
            except Blocked as fault:
                logger.warning("%s is not used: %s", candidate.host, fault)
        await self._found(found)


async def _told_to_nobody(_: Remote | None) -> None:
    """The connection is closed."""
