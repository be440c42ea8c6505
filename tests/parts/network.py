"""A network that loses packets, in the way of one connection of aiortc's and within this process."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from aiortc import RTCPeerConnection


class Network:
    """Between a connection and the rest of the world, both ways, from entering to leaving.

    Of what is lost at random the checks of ICE are not: they would only be made again.
    """

    def __init__(self, pc: RTCPeerConnection, seed: int = 1) -> None:
        """`pc` has been connected."""
        self.loss = 0.0
        """Which part of the packets is lost, at random, on their way out and in."""
        self.is_down = False
        self.takes_next = 0
        """So many of the next packets on their way out are lost."""
        self.lost = self.passed = 0
        """Packets on their way out."""
        self._ice = pc.getTransceivers()[0].sender.transport.transport
        self._rng = random.Random(seed)

    def __enter__(self) -> Self:
        send, recv = self._ice._send, self._ice._recv

        async def lossy_send(data: bytes) -> None:
            if self.takes_next or self._takes():
                self.takes_next = max(0, self.takes_next - 1)
                self.lost += 1
            else:
                self.passed += 1
                await send(data)

        async def lossy_recv() -> bytes:
            while True:
                data = await recv()
                if not self._takes():
                    return data

        self._before = send, recv
        self._ice._send, self._ice._recv = lossy_send, lossy_recv
        self._checks = [
            without_checks(protocol, lambda: not self.is_down)
            for protocol in self._ice._connection._protocols
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ice._send, self._ice._recv = self._before
        for undo in self._checks:
            undo()

    async def outage(self, seconds: float) -> float:
        """Nothing gets through for so long; gives when it was over, in seconds of `time.time`."""
        self.is_down = True
        await asyncio.sleep(seconds)
        self.is_down = False
        return time.time()

    def _takes(self) -> bool:
        return self.is_down or self._rng.random() < self.loss


def without_checks(protocol: Any, passes: Callable[[], bool] = lambda: False) -> Callable[[], None]:
    """Let nothing of ICE's checks out of a protocol of aioice's but while it `passes`; how to undo that."""
    send = protocol.send_stun

    def send_stun(message: Any, addr: Any) -> None:
        if passes():
            send(message, addr)

    def undo() -> None:
        protocol.__dict__.pop("send_stun", None)

    protocol.send_stun = send_stun
    return undo


def connection_of(peer: Any) -> RTCPeerConnection:
    """The connection of aiortc's within one of ours."""
    pc: RTCPeerConnection = peer._pc
    return pc
