"""What ICE is asked for beside aiortc: addresses and relays that come late, and who is at the other end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aioice
from aioice import ice, stun
from aiortc import RTCPeerConnection
from aiortc.rtcicetransport import candidate_from_aioice
from aiortc.sdp import candidate_to_sdp

from appliance.media.ice_servers import Server
from appliance.media.seams.consent import bind


async def gather_own(pc: RTCPeerConnection) -> None:
    """Find the addresses of this device's own; no server is asked."""
    for transceiver in pc.getTransceivers()[:1]:
        await transceiver.sender.transport.transport.iceGatherer.gather()


async def ask_own_address(
    pc: RTCPeerConnection, host: str, port: int, came: Callable[[str], None]
) -> None:
    """Ask a STUN server as whom it sees this device, by each of its IPv4 addresses (RFC 8445, 5.1.1.2)."""
    connection = _ice_of(pc)
    if connection is None:
        return

    async def ask(protocol: ice.StunProtocol) -> None:
        candidate, _ = await ice.server_reflexive_candidate(protocol, (host, port))
        own = (protocol.local_candidate.host, protocol.local_candidate.port)
        if (candidate.host, candidate.port) != own and not connection._closing:
            connection._local_candidates.append(candidate)
            came(candidate_to_sdp(candidate_from_aioice(candidate)))

    asked = [
        ask(one)
        for one in connection._protocols
        if one.local_candidate.type == "host" and "." in one.local_candidate.host
    ]
    for fault in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(fault, BaseException):
            raise fault


async def add_relay(
    pc: RTCPeerConnection, server: Server, wall_s: float, came: Callable[[str], None]
) -> None:
    """Have a TURN server relay (RFC 8656), and try the ways that this opens, late as it may be."""
    connection = _ice_of(pc)
    if connection is None:
        return
    username, password = server.login(wall_s)
    candidate, protocol = await ice.relayed_candidate(
        component=1,
        hide_related_address=False,
        protocol_factory=lambda: ice.StunProtocol(connection),
        turn_server=(server.host, server.port),
        turn_username=username,
        turn_password=password,
        turn_ssl=server.tls,
        turn_transport=server.transport,
    )
    if connection._closing:
        await protocol.close()
        return
    connection._local_candidates.append(candidate)
    connection._protocols.append(protocol)
    if connection._early_checks_done and not connection._check_list_done:
        for remote in connection._remote_candidates:
            connection._pair_remote_candidate(remote)
        connection.sort_check_list()
        for pair in connection._check_list:
            if pair.protocol is protocol:
                connection.check_start_task(pair)
    came(candidate_to_sdp(candidate_from_aioice(candidate)))


async def answers(pc: RTCPeerConnection, within_s: float) -> bool:
    """Ask the other side's ICE whether it is there still: a Binding request, as for consent (RFC 7675)."""
    connection = _ice_of(pc)
    pair = None if connection is None else connection._nominated.get(1)
    if connection is None or pair is None or connection.remote_password is None:
        return False
    try:
        async with asyncio.timeout(within_s):
            await bind(connection, pair)
    except stun.TransactionFailed:
        return True  # it says no, but it says it
    except (TimeoutError, stun.TransactionError, OSError):
        return False
    return True


def own_address(pc: RTCPeerConnection) -> str | None:
    """By which address of this machine media goes; empty where a TURN server is on the way, None before."""
    connection = _ice_of(pc)
    pair = None if connection is None else connection._nominated.get(1)
    if pair is None:
        return None
    own = pair.protocol.local_candidate
    return own.host if own is not None and own.type == "host" else ""


def _ice_of(pc: RTCPeerConnection) -> aioice.Connection | None:
    """Of the transport that all sections share."""
    for transceiver in pc.getTransceivers()[:1]:
        connection: aioice.Connection = transceiver.sender.transport.transport._connection
        return connection
    return None
