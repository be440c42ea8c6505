"""Of all connections: who is heard at a port, at whom ICE knocks, who consents, how hands are shaken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import aioice
from aioice import Connection, ice, stun
from aioice.ice import StunProtocol
from aioice.turn import TurnClientUdpProtocol
from aiortc.rtcdtlstransport import RTCCertificate, SRTPProtectionProfile
from OpenSSL import SSL

from appliance.media.seams.admitting import Way, way_of
from appliance.media.seams.consent import query_consent
from appliance.media.seams.draining import waiting
from appliance.media.seams.receiving import is_taken

logger = logging.getLogger(__name__)

LAST_STUN = b"\x03"
"""What begins with a higher byte is not STUN (RFC 7983, section 7),"""
STUN_COOKIE = bytes.fromhex("2112a442")
"""nor what has not this at its fifth (RFC 8489, section 5)."""
ALERT, FIRST_EPOCH = 21, bytes(2)
"""A record of DTLS that says that something is wrong, and that nobody has signed (RFC 6347, 4.1)."""
ALERT_WAITS_S = 1.0
"""So long a handshake has to come to its end all the same; what is encrypted is no longer ended by it."""
DTLS_1_2 = 0xFEFD
CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305"
)
"""The first is what everybody must have (RFC 8827, section 6.5)."""
MAX_UNREAD = 1024
"""Packets that wait for DTLS and SRTP: more than a second of a call."""


def guard() -> None:
    """Let in what a gate lets in, knock where it may be, and shake hands by strong ciphers alone.

    aioice takes data from anywhere, and keeps it for when it is connected: whoever finds the port could
    begin a handshake before the other side does, be refused for its certificate, and the call with it.
    Who is heard has shown ICE's password from where he writes. It is so for every connection of this
    program from the first call on.
    """
    if StunProtocol.datagram_received is _received:
        return
    overlaid.update(
        received=StunProtocol.datagram_received,
        relayed=TurnClientUdpProtocol.datagram_received,
        incoming=Connection.check_incoming,
        complete=Connection.check_complete,
        pair=Connection._pair_remote_candidate,
        consent=Connection.query_consent,
        context=RTCCertificate._create_ssl_context,
    )
    StunProtocol.datagram_received = _received  # type: ignore[method-assign, assignment]
    TurnClientUdpProtocol.datagram_received = _relayed  # type: ignore[method-assign, assignment]
    Connection.check_incoming = _check_incoming  # type: ignore[method-assign, assignment]
    Connection.check_complete = _check_complete  # type: ignore[method-assign, assignment]
    Connection._pair_remote_candidate = _pair_remote_candidate  # type: ignore[method-assign, assignment]
    Connection.query_consent = query_consent  # type: ignore[method-assign, assignment]
    RTCCertificate._create_ssl_context = _strong_context  # type: ignore[method-assign, assignment]


overlaid: dict[str, Callable[..., Any]] = {}
"""What was there before the guard."""


def original(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """What of aioice or aiortc was there under `name`, be it guarded or not."""
    return overlaid.get(name, function)


def _received(protocol: StunProtocol, data: bytes, address: tuple[Any, ...]) -> None:
    _take(protocol, data, address)
    for more, sender in waiting(protocol.transport):
        _take(protocol, more, sender)


def _relayed(protocol: TurnClientUdpProtocol, data: bytes, address: tuple[Any, ...]) -> None:
    overlaid["relayed"](protocol, data, address)
    for more, sender in waiting(protocol.transport):
        overlaid["relayed"](protocol, more, sender)


def _take(protocol: StunProtocol, data: bytes, address: tuple[Any, ...]) -> None:
    if data[:1] > LAST_STUN or data[4:8] != STUN_COOKIE:
        connection = protocol.receiver
        way = way_of(connection)
        if not data or not _is_heard(connection, way, data, address):
            return
        try:
            if not is_taken(connection, way, data) and connection._queue.qsize() < MAX_UNREAD:
                connection.data_received(data, protocol.local_candidate.component)
        except Exception as fault:
            logger.debug("a packet of %d bytes is not taken: %r", len(data), fault)
        return
    try:
        overlaid["received"](protocol, data, address)
    except (
        Exception
    ) as fault:  # it would be told as an error of the loop, once for each packet of a flood
        logger.debug("a packet of %d bytes is not understood: %r", len(data), fault)


def _is_heard(connection: Connection, way: Way, data: bytes, address: tuple[Any, ...]) -> bool:
    """Whether it is let in now."""
    loop = asyncio.get_running_loop()
    if not way.gate.hears((address[0], address[1]), data, loop.time()):
        return False
    if data[0] == ALERT and data[3:5] == FIRST_EPOCH:
        # anybody can write it, with the other side's address; where nothing else comes it is heard
        loop.call_later(ALERT_WAITS_S, connection.data_received, data, 1)
        return False
    return True


def _check_incoming(
    connection: Connection, message: stun.Message, address: tuple[str, int], protocol: StunProtocol
) -> None:
    """Somebody who knows the password checks the way from there: he is heard, unless it is one too many."""
    gate, where = way_of(connection).gate, (_written(address[0]), address[1])
    if gate.may_knock(where):
        gate.validated(where)
        overlaid["incoming"](connection, message, address, protocol)


def _check_complete(connection: Connection, pair: ice.CandidatePair) -> None:
    if pair.state == ice.CandidatePair.State.SUCCEEDED:
        way_of(connection).gate.validated(pair.remote_addr)
    overlaid["complete"](connection, pair)


def _pair_remote_candidate(connection: Connection, candidate: aioice.Candidate) -> None:
    host = candidate._network_host or candidate.host
    if way_of(connection).gate.may_knock((_written(host), candidate.port)):
        overlaid["pair"](connection, candidate)


def _written(host: str) -> str:
    """As the system writes an address."""
    try:
        return str(ip_address(host))
    except ValueError:
        return host


def _strong_context(
    certificate: RTCCertificate, srtp_profiles: list[SRTPProtectionProfile]
) -> SSL.Context:
    """aiortc's, without what encrypts and authenticates apart, or by less than DTLS 1.2 (RFC 9325)."""
    context: SSL.Context = overlaid["context"](certificate, srtp_profiles)
    context.set_min_proto_version(DTLS_1_2)
    context.set_cipher_list(CIPHERS)
    return context
