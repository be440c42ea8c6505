"""Where a connection can be reached from outside: asked of servers beside everything else.

aiortc would ask them before it describes a connection, and wait 5 s for one that does not answer. Here the
addresses of this device's own make the description; what servers say within `PATIENCE_S` is in it too, and
what the others say follows as candidates (trickle ICE, RFC 8838). A dead server costs a call `PATIENCE_S`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from aiortc import RTCPeerConnection

from appliance.media.ice_servers import Server
from appliance.media.seams import ice
from appliance.messages import IceCandidate

logger = logging.getLogger(__name__)

PATIENCE_S = 0.015
LIMIT_S = 8.0
"""Who has not answered by then is asked no longer; a connection has ten seconds to come about."""


class Gathering:
    """Of one connection: `prepare` before its first description, `run` beside it."""

    def __init__(
        self,
        pc: RTCPeerConnection,
        servers: Sequence[Server],
        found: Callable[[str | None], None],
    ) -> None:
        """`found` gets each candidate that comes late (the value of its attribute), and None at the end."""
        self._pc, self._servers, self._found = pc, tuple(servers), found
        self._begun, self._all_asked = asyncio.Event(), asyncio.Event()
        self._prepared = self._is_described = False
        self._early: list[str] = []

    def let_go(self) -> None:
        """The connection is closed: tell nobody of anything any more, nor keep who would be told."""
        self._found = lambda _: None

    @property
    def is_complete(self) -> bool:
        """Whether nothing more will be found."""
        return not self._servers or self._all_asked.is_set()

    async def prepare(self) -> None:
        """Find this device's own addresses, and give the servers a moment."""
        if self._prepared or not self._servers:
            return
        self._prepared = True
        await ice.gather_own(self._pc)
        self._begun.set()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._all_asked.wait()
        except TimeoutError:
            logger.debug("not all servers have answered: what they say will follow")

    def described(self, sdp: str) -> None:
        """The description is made: what came too late for it is told, and all that comes from now on."""
        if self._is_described or not self._servers:
            return
        self._is_described = True
        for candidate in self._early:
            if candidate not in sdp:
                self._found(candidate)

    async def run(self) -> None:
        """Ask every server; to be cancelled at the end, or when the connection stands."""
        await self._begun.wait()
        async with asyncio.TaskGroup() as asking:
            for server in self._servers:
                asking.create_task(self._ask(server), name=f"ask {server}")
        self._all_asked.set()
        if self._is_described:
            self._found(None)

    async def _ask(self, server: Server) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                if server.relays:
                    await ice.add_relay(self._pc, server, time.time(), self._came)
                else:
                    await ice.ask_own_address(self._pc, server.host, server.port, self._came)
        except (
            Exception
        ) as fault:  # of whatever the network, the resolver, the server and aioice raise
            logger.info("%s has not told an address: %r", server, fault)

    def _came(self, candidate: str) -> None:
        """Before there is a description, it will be in it."""
        if self._is_described:
            self._found(candidate)
        else:
            self._early.append(candidate)


def as_message(candidate: str, mid: str | None) -> IceCandidate:
    """A candidate's attribute as it is told to the other side (W3C `RTCIceCandidateInit`)."""
    return IceCandidate(f"candidate:{candidate}", mid, 0)
