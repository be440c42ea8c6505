"""What waits at a port is read when the loop comes round, and never more than keeps it from the rest."""

from __future__ import annotations

import asyncio
import socket
import struct

from aioice.turn import TurnClientUdpProtocol

from appliance.media.seams.draining import MOST
from appliance.media.seams.guarding import guard
from tests.media.seams.ends import connected

RTP = bytes([128]) + bytes(199)
CHANNEL, FROM = 0x4000, ("192.0.2.7", 5004)


async def rounds(many: int) -> None:
    """The loop looks so often at what is ready."""
    for _ in range(many):
        await asyncio.sleep(0)


async def test_what_came_while_the_loop_was_away_is_read_at_once() -> None:
    guard()
    async with connected() as (one, other):
        for _ in range(MOST):
            await one.send(RTP)
        await rounds(3)
        assert [await other.recv() for _ in range(other._queue.qsize())] == [RTP] * MOST


async def test_a_flood_does_not_keep_the_loop() -> None:
    guard()
    async with connected() as (one, other):
        for _ in range(3 * MOST):
            await one.send(RTP)
        seen = []
        for _ in range(8):
            before = other._queue.qsize()
            await rounds(1)
            seen.append(other._queue.qsize() - before)
        assert max(seen) == MOST + 1, "with the one that asyncio had read"
        assert sum(seen) == 3 * MOST, "and none is lost"


async def test_nothing_is_read_of_what_is_closed_meanwhile() -> None:
    guard()
    async with connected() as (one, other):
        taken: list[bytes] = []

        def take(data: bytes, component: int) -> None:
            taken.append(data)
            for protocol in other._protocols:
                protocol.transport.close()

        other.data_received = take  # type: ignore[method-assign]
        for _ in range(MOST):
            await one.send(RTP)
        await rounds(3)
        assert taken == [RTP]


async def test_what_is_relayed_is_read_as_quickly() -> None:
    guard()
    taken: list[tuple[bytes, tuple[str, int]]] = []

    class Taker(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            taken.append((data, addr))

    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        transport, client = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: TurnClientUdpProtocol(server.getsockname(), "user", "secret", 600, 600),
            remote_addr=server.getsockname(),
        )
        client.receiver, client.channel_to_peer = Taker(), {CHANNEL: FROM}
        for _ in range(MOST):
            server.sendto(
                struct.pack("!HH", CHANNEL, len(RTP)) + RTP, transport.get_extra_info("sockname")
            )
        await rounds(3)
        transport.close()
        await rounds(2)
    assert taken == [(RTP, FROM)] * MOST
