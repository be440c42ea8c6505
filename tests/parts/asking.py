"""A peer of aiortc's that asks for a lost picture until it has it, as a browser does.

aiortc asks once, as soon as it notices (NACK, RFC 4585 section 6.2.1). Where that is lost too, or what is
sent again, it shows nothing until 512 more packets have come: of a small picture that is most of a minute.
"""

from __future__ import annotations

import asyncio

from aiortc import RTCPeerConnection, RTCRtpReceiver

EVERY_S = 0.1


async def ask_again(connection: RTCPeerConnection) -> None:
    """For what is missing, until the connection is closed."""
    while connection.connectionState != "closed":
        for transceiver in connection.getTransceivers():
            if transceiver.kind == "video":
                await _ask_for_what_is_missing(transceiver.receiver)
        await asyncio.sleep(EVERY_S)


async def _ask_for_what_is_missing(receiver: RTCRtpReceiver) -> None:
    told = vars(receiver)
    missing = sorted(told["_RTCRtpReceiver__nack_generator"].missing)
    of_repairs = told["_RTCRtpReceiver__rtx_ssrc"]  # RFC 4588: they have a source of their own
    for ssrc in told["_RTCRtpReceiver__remote_streams"]:
        if missing and ssrc not in of_repairs:
            await receiver._send_rtcp_nack(ssrc, missing)
