"""Whose connections the web server takes: so many, so many of one address, and none that asks for nothing.

Counted where they are accepted and closed, below TLS: a handshake that never ends holds a descriptor too,
and descriptors are what cameras, buttons and the way to the broker live of.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

from appliance.web.addresses import one_of

log = logging.getLogger(__name__)

AT_MOST = 64
OF_ONE_ADDRESS = 32
"""Or of one /64 of IPv6. A browser has six to a server, and one for each view; three of them at one machine
are a house's demo."""
PATIENCE_S = 20.0
"""From the connection to its first request, the handshake of TLS in between."""
SAID_AGAIN_S = 60.0
FULL, CROWDED, SILENT = "full", "address", "silent"
"""Why a connection was closed: there are `AT_MOST`, its address has enough, it asked for nothing."""


class Connections:
    """All that are open just now; for one event loop."""

    def __init__(
        self,
        count: Callable[[str], None] = lambda reason: None,
        *,
        at_most: int = AT_MOST,
        of_one_address: int = OF_ONE_ADDRESS,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`count` is told why each connection was closed that was."""
        self._count = count
        self._at_most = at_most
        self._of_one_address = of_one_address
        self._patience_s = patience_s
        self._open: dict[int, _Connection] = {}
        self._of: Counter[str] = Counter()
        self._closed = 0
        self._said_at_s = -SAID_AGAIN_S

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    async def listen(self, host: str, port: int) -> list[socket.socket]:
        """A socket that listens at each address of the host; raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        listening: list[socket.socket] = []
        without: OSError | None = None
        with contextlib.ExitStack() as undo:
            for family, *_, address in dict.fromkeys(found):
                try:
                    made = socket.create_server(address[:2], family=family)
                except OSError as error:  # localhost has ::1 where the kernel has no IPv6
                    if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                        raise
                    without = error
                    continue
                listening.append(_Listening(made.detach(), self))
                undo.callback(listening[-1].close)
            if not listening:
                raise without or OSError(errno.EADDRNOTAVAIL, f"{host} has no address")
            undo.pop_all()
        return listening

    def has_asked(self, transport: asyncio.BaseTransport | None) -> None:
        """The first request of this connection is there: from now on others look after it."""
        sock = None if transport is None else transport.get_extra_info("socket")
        connection = None if sock is None else self._open.get(sock.fileno())
        if connection is not None:
            connection.limit.cancel()

    def admit(self, accepted: socket.socket, address: str) -> socket.socket | None:
        """The connection as one that is counted until it is closed; None if it was closed at once."""
        address = one_of(address)
        if len(self._open) >= self._at_most:
            refused = FULL
        elif self._of[address] >= self._of_one_address:
            refused = CROWDED
        else:
            connection = _Connection(accepted.detach(), address, self)
            self._open[connection.number] = connection
            self._of[address] += 1
            return connection
        accepted.close()
        self._tell(refused)
        return None

    def watch(self, connection: _Connection) -> asyncio.TimerHandle:
        """The time that it has for its first request begins."""
        loop = asyncio.get_running_loop()
        return loop.call_later(self._patience_s, self._too_late, connection)

    def left(self, connection: _Connection) -> None:
        """It is closed."""
        if self._open.get(connection.number) is connection:
            del self._open[connection.number]
            self._of[connection.address] -= 1
            if not self._of[connection.address]:
                del self._of[connection.address]

    def _too_late(self, connection: _Connection) -> None:
        self._tell(SILENT)
        with contextlib.suppress(OSError):  # its transport reads the end, and closes it
            connection.shutdown(socket.SHUT_RDWR)

    def _tell(self, reason: str) -> None:
        """Count each; say so once in a while, since a log can be filled by asking too."""
        self._count(reason)
        self._closed += 1
        now_s = asyncio.get_running_loop().time()
        if now_s - self._said_at_s >= SAID_AGAIN_S:
            self._said_at_s = now_s
            log.warning(
                "connections to the page were closed (%d so far; this one: %s); %d are open",
                self._closed,
                reason,
                len(self._open),
            )


class _Listening(socket.socket):
    """What asyncio accepts from: it is given those that are let in."""

    def __init__(self, descriptor: int, connections: Connections) -> None:
        super().__init__(fileno=descriptor)
        self._connections = connections

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection; one that is not let in is one that went away before it was accepted."""
        accepted, address = super().accept()
        admitted = self._connections.admit(accepted, address[0])
        if admitted is None:  # one for each turn of the loop: others have theirs in between
            raise ConnectionAbortedError(errno.ECONNABORTED, "not let in")
        return admitted, address


class _Connection(socket.socket):
    """One that is counted until it is closed."""

    def __init__(self, descriptor: int, address: str, connections: Connections) -> None:
        super().__init__(fileno=descriptor)
        self.number = descriptor
        self.address = address
        self._connections = connections
        self.limit = connections.watch(self)

    def close(self) -> None:
        """Close it, and make room for another."""
        self.limit.cancel()
        self._connections.left(self)
        super().close()
