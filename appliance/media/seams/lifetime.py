"""The tasks in which a connection comes about, and how it and its parts end and are untied."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiortc import RTCIceTransport, RTCPeerConnection, RTCRtpTransceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport

from appliance.media.seams.admitting import WAY

CONNECT = "_RTCPeerConnection__connect"
"""What aiortc starts without an owner as soon as there is a description of each side."""
IS_CLOSED = "_RTCPeerConnection__isClosed"
"""What a second closing waits for: None before the first."""
MONITOR = "_RTCIceTransport__monitor_task"
"""What waits for the end of a connection's ICE, which says so once and to nobody else."""
CONSENT = "_query_consent_task"
"""What asks, every few seconds, whether the other side still wants what is sent (RFC 7675)."""
ESTIMATOR = "_RTCRtpReceiver__remote_bitrate_estimator"
"""What a receiver of video counts the last second in, by the millisecond: a thousand objects."""
OVERLAID = ("_handle_rtcp_packet", "_send_rtcp", "_run_rtp", "_retransmit")
"""What of a sender is replaced here."""


def own_connecting(
    pc: RTCPeerConnection,
    connecting: set[asyncio.Task[None]],
    failed: Callable[[Exception], None],
) -> None:
    """Keep the tasks in which `pc` connects in `connecting`, and tell what they raise."""
    connect = getattr(pc, CONNECT)

    async def owned() -> None:
        task = asyncio.current_task()
        assert task is not None
        connecting.add(task)
        try:
            await connect()
        except IndexError as fault:
            # a further answer is being taken, and aiortc looks its new section up in the one before; it
            # connects once more as soon as that is done
            if pc.signalingState != "have-local-offer":
                failed(fault)
        except Exception as fault:  # DTLS without a fingerprint, ICE without a password, ..
            failed(fault)
        finally:
            connecting.discard(task)

    setattr(pc, CONNECT, owned)


async def close(pc: RTCPeerConnection, limit_s: float) -> list[Exception]:
    """Close `pc`, whatever its parts raise; gives what they have raised.

    Where a part raises (its data channel's does, for an offer that left it half made), aiortc leaves the
    others open; and it says of a connection that it waits for the end of its closing, which then never
    comes. So the others are closed one by one. A part that takes longer than `limit_s` is left behind.
    """
    faults: list[Exception] = []

    async def attempt(work: Awaitable[None]) -> bool:
        try:
            async with asyncio.timeout(limit_s):
                await work
        except Exception as fault:
            faults.append(fault)
            return False
        return True

    if getattr(pc, IS_CLOSED) is not None:
        return faults
    if await attempt(pc.close()):
        _untie(pc)
        return faults
    parts: list[Any] = [
        one for each in pc.getTransceivers() for one in (each.sender, each.receiver)
    ]
    if pc.sctp is not None:
        parts.append(pc.sctp)
    for part in parts:
        await attempt(part.stop())
    carriers = dict.fromkeys(part.transport for part in parts)
    for dtls in carriers:
        await attempt(dtls.stop())
        await attempt(dtls.transport.stop())
        _let_go(dtls.transport)
    pc.remove_all_listeners()
    closing = getattr(pc, IS_CLOSED)
    if closing is not None and not closing.done():
        closing.set_result(True)
    _untie(pc)
    return faults


def _let_go(ice: RTCIceTransport) -> None:
    """Of one whose closing was cut off, or begun and not ended: its sockets, and its own tasks."""
    for protocol in ice._connection._protocols:
        protocol.transport.close()
    waiting: tuple[asyncio.Task[None] | None, ...] = (
        getattr(ice, MONITOR),
        getattr(ice._connection, CONSENT),
    )
    for task in waiting:
        if task is not None:
            task.cancel()


def _untie(pc: RTCPeerConnection) -> None:
    """Undo what ties the parts of a closed connection into rings, so that each goes with its last user.

    Else some two thousand objects of each connection wait for the garbage collector, which stops the loop
    for as long as it looks at all of those that have come together. What it still is asked for (its state,
    its statistics) stays.
    """
    vars(pc).pop(CONNECT, None)
    pc.remove_all_listeners()
    carriers: dict[RTCDtlsTransport, None] = {}
    for transceiver in pc.getTransceivers():
        sender, receiver = transceiver.sender, transceiver.receiver
        for name in OVERLAID:
            vars(sender).pop(name, None)
        setattr(receiver, ESTIMATOR, None)
        carriers |= {sender.transport: None, receiver.transport: None}
    if pc.sctp is not None:
        pc.sctp.remove_all_listeners()
        carriers[pc.sctp.transport] = None
    for dtls in carriers:
        dtls.remove_all_listeners()
        for name in ("route_rtcp", "route_rtp"):
            vars(dtls._rtp_router).pop(name, None)
        for name in ("_handle_rtp_data", "_handle_rtcp_data"):
            vars(dtls).pop(name, None)
        dtls._rtp_router.ssrc_table.clear()
        ice = dtls.transport
        ice.remove_all_listeners()
        ice.iceGatherer.remove_all_listeners()
        connection = ice._connection
        connection._check_list.clear()
        connection._early_checks.clear()
        vars(connection).pop(WAY, None)


async def retire(transceiver: RTCRtpTransceiver) -> None:
    """Stop it for good, and free the place of its media section for another."""
    transceiver._set_mline_index(-1)
    await transceiver.stop()
