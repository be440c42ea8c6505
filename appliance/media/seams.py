"""Everything of aiortc that is not public and yet needed here.

No other module may touch a private name of aiortc; `self_check` names those that are touched, and fails
loudly where another aiortc no longer has them.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

import aiortc
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcdtlstransport import RTCDtlsTransport, RtpRouter
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_RTPFB_NACK,
    RTP_HISTORY_SIZE,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
)

from appliance.errors import ApplianceError
from appliance.media.feedback import Feedback, full_intra_requests
from appliance.media.governor import Cause
from appliance.media.resending import judge

CONNECT = "_RTCPeerConnection__connect"
"""What aiortc starts without an owner as soon as there is a description of each side."""

JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
"""Where a receiver keeps what reorders its packets: the slot for a playout buffer of our own."""

MISSING = "_RTCRtpReceiver__nack_generator"
"""Where it keeps which packets of video have not come."""

HISTORY = "_RTCRtpSender__rtp_history"
"""Where a sender keeps its last packets, by their sequence number modulo `RTP_HISTORY_SIZE`."""

VIDEO_BUFFER_PACKETS = 512
"""As aiortc's own."""


class UnknownAiortc(ApplianceError):
    """The installed aiortc is not the one that this module knows."""

    code = "unknown_aiortc"


def self_check() -> None:
    """See that all private names still exist and are used as they were. Raises UnknownAiortc."""
    used: tuple[tuple[str, object], ...] = (
        ("_handle_rtcp_packet", RTCDtlsTransport._handle_rtcp_data),  # called on the sender itself
        ("_ssrc", RTCRtpSender.__init__),
        ("_send_rtcp", RTCRtpSender._run_rtcp),  # on itself, with each sender report
        (HISTORY, RTCRtpSender._retransmit),
        ("RTP_HISTORY_SIZE", RTCRtpSender._retransmit),
        (JITTER_BUFFER, RTCRtpReceiver._handle_rtp_packet),
        (MISSING, RTCRtpReceiver._handle_rtp_packet),
        ("_enabled", RTCRtpReceiver._handle_rtp_packet),
        ("_rtp_router", RTCDtlsTransport._handle_rtp_data),
        ("ssrc_table", RtpRouter.route_rtp),
        ("route_rtcp", RTCDtlsTransport._handle_rtcp_data),
        ("senders", RtpRouter.route_rtcp),
        (CONNECT, RTCPeerConnection.setRemoteDescription),
        ("_set_mline_index", RTCPeerConnection.setRemoteDescription),
    )
    faults = [
        f"{getattr(function, '__qualname__', function)} no longer uses {name}"
        for name, function in used
        if not isinstance(function, FunctionType) or name not in function.__code__.co_names
    ]
    signatures: tuple[tuple[Callable[..., Any], list[str]], ...] = (
        (RTCRtpSender._handle_rtcp_packet, ["self", "packet"]),
        (RTCRtpSender._send_rtcp, ["self", "packets"]),
        (RTCRtpReceiver._send_rtcp_pli, ["self", "media_ssrc"]),
        (JitterBuffer.add, ["self", "packet"]),
        (RtpRouter.route_rtcp, ["self", "packet"]),
    )
    faults += [
        f"{function.__qualname__} takes other arguments than {names}"
        for function, names in signatures
        if list(inspect.signature(function).parameters) != names
    ]
    if not aiortc.__version__.startswith("1.16."):
        faults.append(f"version {aiortc.__version__} instead of 1.16")
    if faults:
        raise UnknownAiortc(f"this aiortc is not the one that was tested: {'; '.join(faults)}")


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


def observe_rtcp(
    sender: RTCRtpSender, feedback: Feedback, request_keyframe: Callable[[Cause], None]
) -> None:
    """See the feedback on the video before aiortc does, which ignores PLI for ready-made packets.

    What it would do harm with does not get to it: it would send again what is of no use any more, and is
    made for no bandwidth estimate that is cut off.
    """
    handle, send = sender._handle_rtcp_packet, sender._send_rtcp
    history = getattr(sender, HISTORY)

    async def observe(packet: AnyRtcpPacket) -> None:
        cause = feedback.take(packet, sender._ssrc, time.monotonic())
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            verdict = judge(packet.lost, history, RTP_HISTORY_SIZE)
            cause = Cause.LOST if verdict.keyframe else None
            packet.lost = verdict.again
        if cause is not None:
            request_keyframe(cause)
        if not (isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP):
            await handle(packet)

    async def note(packets: list[AnyRtcpPacket]) -> None:
        for packet in packets:
            feedback.sent(packet, time.monotonic())
        await send(packets)

    sender._handle_rtcp_packet = observe  # type: ignore[method-assign]
    sender._send_rtcp = note  # type: ignore[method-assign]


def route_full_intra_requests(sender: RTCRtpSender) -> None:
    """Bring a FIR to the senders that it names, over the connection of `sender`.

    aiortc would bring it to the source 0, which is nobody. To do so twice changes nothing.
    """
    router: RtpRouter = sender.transport._rtp_router
    if "route_rtcp" in vars(router):
        return
    route = router.route_rtcp

    def with_fir(packet: AnyRtcpPacket) -> set[Any]:
        recipients: set[Any] = route(packet)
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_FIR:
            named = (router.senders.get(ssrc) for ssrc, _ in full_intra_requests(packet.fci))
            recipients.update(one for one in named if one is not None)
        return recipients

    router.route_rtcp = with_fir  # type: ignore[method-assign]


def use_jitter_buffer(receiver: RTCRtpReceiver, buffer: JitterBuffer) -> None:
    """Let `buffer` reorder what comes from now on."""
    setattr(receiver, JITTER_BUFFER, buffer)


def receive_video(receiver: RTCRtpReceiver, on: bool, /) -> None:
    """Decode what comes, or take no notice of it."""
    receiver._enabled = on


async def begin_anew(receiver: RTCRtpReceiver) -> None:
    """Go on with the next keyframe, and ask for it (PLI, RFC 4585 section 6.3.1).

    Nothing is kept of before, or it would ask and wait for what was not taken notice of.
    """
    use_jitter_buffer(receiver, JitterBuffer(VIDEO_BUFFER_PACKETS, is_video=True))
    setattr(receiver, MISSING, NackGenerator())
    for source in receiver.getSynchronizationSources():
        await receiver._send_rtcp_pli(source.source)


async def retire(transceiver: RTCRtpTransceiver) -> None:
    """Stop it for good, and free the place of its media section for another."""
    transceiver._set_mline_index(-1)
    await transceiver.stop()


def expect(receiver: RTCRtpReceiver, ssrcs: Iterable[int]) -> None:
    """Bring the packets of these sources to `receiver`.

    Of two receivers of one codec aiortc would drop what is sent again (RFC 4588), since that has a source
    of its own, which only the description names.
    """
    table = receiver.transport._rtp_router.ssrc_table
    for ssrc in ssrcs:
        table[ssrc] = receiver
