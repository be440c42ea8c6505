"""What waits at a port is read at once: asyncio reads one packet of each, however much has come.

Where other threads keep the interpreter, the loop comes round thirty times in a second, which is less than
the packets of one call: what came would be read seconds later, and consent would expire meanwhile.
"""

from __future__ import annotations

import socket
from asyncio import BaseTransport
from collections.abc import Iterator
from typing import Any

SOCKET = "_sock"
"""Where asyncio's transport has its socket: what it gives away cannot be read from."""
MAX_BYTES = 65536
MOST = 64
"""So many packets are read before the loop goes on: a flood does not keep it."""


def waiting(transport: BaseTransport) -> Iterator[tuple[bytes, tuple[Any, ...]]]:
    """Give what else has come: data, and from where. What is wrong with a socket asyncio tells."""
    port = getattr(transport, SOCKET, None)
    if not isinstance(port, socket.socket):
        return  # that of who is relayed: the relay's client has the port
    for _ in range(MOST):
        if transport.is_closing():
            return
        try:
            packet = port.recvfrom(MAX_BYTES)
        except OSError:
            return
        yield packet
