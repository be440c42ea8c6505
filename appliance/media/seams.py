"""Everything of aiortc that is not public and yet needed here.

No other module may touch a private name of aiortc; `self_check` names those that are touched, and fails
loudly where another aiortc no longer has them.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address
from types import FunctionType
from typing import Any

import aioice
import aiortc
import pylibsrtp
from aioice import Connection, ice, stun
from aioice.ice import StunProtocol
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver, clock
from aiortc.codecs.h264 import H264Encoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsTransport,
    RtpRouter,
    SRTPProtectionProfile,
    State,
)
from aiortc.rtcicetransport import RTCIceTransport, candidate_from_aioice
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpreceiver import NackGenerator, StreamStatistics
from aiortc.rtcrtpsender import random_sequence_number
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_RTPFB_NACK,
    RTP_HISTORY_SIZE,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtpPacket,
    is_rtcp,
    wrap_rtx,
)
from aiortc.sdp import candidate_to_sdp
from aiortc.utils import random32
from OpenSSL import SSL

from appliance.errors import ApplianceError
from appliance.media.admission import Admission, Gate
from appliance.media.feedback import Feedback, full_intra_requests
from appliance.media.governor import Cause
from appliance.media.ice_servers import Server
from appliance.media.playout import VoicePacket
from appliance.media.resending import judge
from appliance.media.sending import Packet, SentPacket, Stream, ntp_now, once_for_all_peers
from appliance.media.tracks import PacketTrack
from appliance.media.voice_packets import voice_packet

logger = logging.getLogger(__name__)

CONNECT = "_RTCPeerConnection__connect"
"""What aiortc starts without an owner as soon as there is a description of each side."""

IS_CLOSED = "_RTCPeerConnection__isClosed"
"""What a second closing waits for: None before the first."""

ESTIMATOR = "_RTCRtpReceiver__remote_bitrate_estimator"
"""What a receiver of video counts the last second in, by the millisecond: a thousand objects."""

DECODER_QUEUE = "_RTCRtpReceiver__decoder_queue"
"""What of a receiver's pictures waits for its thread."""

OVERLAID = ("_handle_rtcp_packet", "_send_rtcp", "_run_rtp", "_retransmit")
"""What of a sender is replaced here."""

JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
"""Where a receiver keeps what reorders its packets: the slot for a playout buffer of our own."""

MISSING = "_RTCRtpReceiver__nack_generator"
"""Where it keeps which packets of video have not come."""

HISTORY = "_RTCRtpSender__rtp_history"
"""Where a sender keeps its last packets, by their sequence number modulo `RTP_HISTORY_SIZE`."""

OF_A_SENDER = "_RTCRtpSender__"
"""Before the private names of a sender that its own loop uses."""

TRACK = OF_A_SENDER + "track"
NTP_TIME, RTP_TIME = OF_A_SENDER + "ntp_timestamp", OF_A_SENDER + "rtp_timestamp"
PACKETS, OCTETS = OF_A_SENDER + "packet_count", OF_A_SENDER + "octet_count"

NO_TRACK_S = 0.02
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

WAY = "_appliance_way"
"""Where a connection has what is known of its packets."""
FIRST_RTP, LAST_RTP = 128, 191
"""The first bytes of RTP and RTCP (RFC 7983, section 7)."""
SEEN_EVERY = 32
"""That a source is there is noted with so many packets once: it is asked for ten seconds of it."""
CODECS = "_RTCRtpReceiver__codecs"
STREAMS = "_RTCRtpReceiver__remote_streams"
SEEN = "_RTCRtpReceiver__active_ssrc"
RECEIVED_BYTES, RECEIVED_PACKETS = "_RTCDtlsTransport__rx_bytes", "_RTCDtlsTransport__rx_packets"
SENT_BYTES, SENT_PACKETS = "_RTCDtlsTransport__tx_bytes", "_RTCDtlsTransport__tx_packets"

VIDEO_BUFFER_PACKETS = 512
"""As aiortc's own."""

_LOOP_NAMES = (
    "rtp_started",
    "rtp_exited",
    "rtp_history",
    "rtp_header_extensions_map",
    "mid",
    "encoder",
    "ntp_timestamp",
    "rtp_timestamp",
    "octet_count",
    "packet_count",
    "track",
)
_COUNTS = (RECEIVED_BYTES, RECEIVED_PACKETS, SENT_BYTES, SENT_PACKETS)
_RTX_NAMES = ("rtx_payload_type", "rtx_sequence_number")


class UnknownAiortc(ApplianceError):
    """The installed aiortc is not the one that this module knows."""

    code = "unknown_aiortc"


def self_check() -> None:
    """See that all private names still exist and are used as they were. Raises UnknownAiortc."""
    used: tuple[tuple[str, object], ...] = (
        ("receiver", _original("received", StunProtocol.datagram_received)),
        ("data_received", _original("received", StunProtocol.datagram_received)),
        ("_queue", Connection.data_received),
        ("local_candidate", _original("received", StunProtocol.datagram_received)),
        *((name, RTCRtpReceiver._handle_rtp_packet) for name in (CODECS, STREAMS, SEEN)),
        *((name, RTCDtlsTransport._get_stats) for name in _COUNTS),
        ("_rx_srtp", RTCDtlsTransport._recv_next),
        ("_tx_srtp", RTCDtlsTransport._send_rtp),
        ("_state", RTCDtlsTransport._send_rtp),
        ("_send", RTCDtlsTransport._send_rtp),
        ("_recv", RTCDtlsTransport._recv_next),
        ("recv", RTCIceTransport.__init__),
        ("send", RTCIceTransport.__init__),
        ("transport", StunProtocol.send_data),
        # see handshakes
        ("set_verify", _original("context", RTCCertificate._create_ssl_context)),
        ("check_incoming", Connection.request_received),
        ("_check_list", _original("incoming", Connection.check_incoming)),
        ("check_complete", Connection.check_start),
        ("_nominated", _original("complete", Connection.check_complete)),
        ("_pair_remote_candidate", Connection._add_remote_candidate),
        ("_network_host", Connection._add_remote_candidate),
        ("_create_ssl_context", RTCDtlsTransport.start),
        ("set_cipher_list", _original("context", RTCCertificate._create_ssl_context)),
        ("_handle_rtp_data", RTCDtlsTransport._recv_next),
        ("_handle_rtcp_data", RTCDtlsTransport._recv_next),
        ("route_rtp", RTCDtlsTransport._handle_rtp_data),
        (DECODER_QUEUE, RTCRtpReceiver._handle_rtp_packet),
        ("_handle_rtcp_packet", RTCDtlsTransport._handle_rtcp_data),  # called on the sender itself
        ("_ssrc", RTCRtpSender.__init__),
        ("_send_rtcp", RTCRtpSender._run_rtcp),  # on itself, with each sender report
        (HISTORY, RTCRtpSender._retransmit),
        ("RTP_HISTORY_SIZE", RTCRtpSender._retransmit),
        (JITTER_BUFFER, RTCRtpReceiver._handle_rtp_packet),
        (MISSING, RTCRtpReceiver._handle_rtp_packet),
        (ESTIMATOR, RTCRtpReceiver._handle_rtp_packet),
        ("_early_checks", Connection.connect),
        ("_enabled", RTCRtpReceiver._handle_rtp_packet),
        ("_rtp_router", RTCDtlsTransport._handle_rtp_data),
        ("ssrc_table", RtpRouter.route_rtp),
        ("route_rtcp", RTCDtlsTransport._handle_rtcp_data),
        ("senders", RtpRouter.route_rtcp),
        (CONNECT, RTCPeerConnection.setRemoteDescription),
        (IS_CLOSED, RTCPeerConnection.close),
        ("_set_mline_index", RTCPeerConnection.setRemoteDescription),
        ("_run_rtp", RTCRtpSender.send),
        ("_retransmit", RTCRtpSender._handle_rtcp_packet),
        ("_send_rtp", RTCRtpSender._run_rtp),
        *(
            (name, RTCDtlsTransport._send_rtp)
            for name in ("_tx_srtp", "_send", SENT_BYTES, SENT_PACKETS)
        ),
        ("_enabled", RTCRtpSender._next_encoded_frame),
        ("_split_bitstream", H264Encoder.pack),
        ("_packetize", H264Encoder.pack),
        *((OF_A_SENDER + name, RTCRtpSender._run_rtp) for name in _LOOP_NAMES),
        *((OF_A_SENDER + name, RTCRtpSender._retransmit) for name in _RTX_NAMES),
        ("_rtx_ssrc", RTCRtpSender._retransmit),
        ("_connection", RTCIceTransport.start),
        ("_nominated", aioice.Connection.query_consent),
        ("local_candidate", ice.server_reflexive_candidate),
        ("build_request", aioice.Connection.query_consent),
        ("_local_candidates", aioice.Connection.gather_candidates),
        ("_protocols", _original("pair", Connection._pair_remote_candidate)),
        ("_find_pair", _original("pair", Connection._pair_remote_candidate)),
        ("_early_checks_done", aioice.Connection.connect),
        ("_check_list_done", aioice.Connection.close),
        ("_closing", aioice.Connection.close),
        ("_remote_candidates", aioice.Connection.connect),
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
        (RTCRtpSender._run_rtp, ["self", "codec"]),
        (RTCRtpSender._retransmit, ["self", "sequence_number"]),
        (RTCDtlsTransport._send_rtp, ["self", "data"]),
        (StreamStatistics.add, ["self", "packet"]),
        (StunProtocol.send_data, ["self", "data", "addr"]),
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
    pc.remove_all_listeners()
    closing = getattr(pc, IS_CLOSED)
    if closing is not None and not closing.done():
        closing.set_result(True)
    _untie(pc)
    return faults


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
        incoming=Connection.check_incoming,
        complete=Connection.check_complete,
        pair=Connection._pair_remote_candidate,
        context=RTCCertificate._create_ssl_context,
    )
    StunProtocol.datagram_received = _received  # type: ignore[method-assign, assignment]
    Connection.check_incoming = _check_incoming  # type: ignore[method-assign, assignment]
    Connection.check_complete = _check_complete  # type: ignore[method-assign, assignment]
    Connection._pair_remote_candidate = _pair_remote_candidate  # type: ignore[method-assign, assignment]
    RTCCertificate._create_ssl_context = _strong_context  # type: ignore[method-assign, assignment]


overlaid: dict[str, Callable[..., Any]] = {}
"""What was there before the guard."""


def _original(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    return overlaid.get(name, function)


class _Way:
    """What of a connection is let in, and which of it is taken where it comes in."""

    __slots__ = ("admission", "dtls", "gate", "takers")

    def __init__(self) -> None:
        """Nobody is heard so far."""
        self.gate = Gate()
        self.admission: Admission | None = None
        self.dtls: RTCDtlsTransport | None = None
        self.takers: dict[object, Callable[[VoicePacket], None]] = {}


def _way(connection: Connection) -> _Way:
    # kept by the connection itself: it is asked for with each packet, and ends with it
    way: _Way | None = vars(connection).get(WAY)
    if way is None:
        way = vars(connection)[WAY] = _Way()
    return way


def _received(protocol: StunProtocol, data: bytes, address: tuple[Any, ...]) -> None:
    if data[:1] > LAST_STUN or data[4:8] != STUN_COOKIE:
        connection = protocol.receiver
        way = _way(connection)
        if not data or not _is_heard(connection, way, data, address):
            return
        try:
            if not _take(connection, way, data) and connection._queue.qsize() < MAX_UNREAD:
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


def _is_heard(connection: Connection, way: _Way, data: bytes, address: tuple[Any, ...]) -> bool:
    """Whether it is let in now."""
    loop = asyncio.get_running_loop()
    if not way.gate.hears((address[0], address[1]), data, loop.time()):
        return False
    if data[0] == ALERT and data[3:5] == FIRST_EPOCH:
        # anybody can write it, with the other side's address; where nothing else comes it is heard
        loop.call_later(ALERT_WAITS_S, connection.data_received, data, 1)
        return False
    return True


def _take(connection: Connection, way: _Way, data: bytes) -> bool:
    """Take a packet of sound where it comes in: a task that waits for it would wake the loop up again.

    All that aiortc's receiver does with one is done here too. It gets the first of each source, and
    whatever is not as usual.
    """
    dtls = way.dtls
    if dtls is None or not FIRST_RTP <= data[0] <= LAST_RTP or is_rtcp(data):
        return False
    receiver: Any = dtls._rtp_router.ssrc_table.get(int.from_bytes(data[8:12], "big"))
    take = way.takers.get(receiver)
    if take is None or dtls._state is not State.CONNECTED or not receiver._enabled:
        return False
    told = vars(receiver)
    ice = dtls.transport
    if ice._recv != connection.recv or "_handle_rtp_packet" in told:  # somebody looks
        return False
    kind = data[1] & 0x7F
    if kind not in told[CODECS]:
        return False
    counted: Any = vars(dtls)
    counted[RECEIVED_BYTES] += len(data)
    counted[RECEIVED_PACKETS] += 1
    try:
        packet = voice_packet(dtls._rx_srtp.unprotect(data))
    except pylibsrtp.Error:
        packet = None  # it is nobody's, or comes again
    if packet is not None:
        way.gate.verified(data)
        statistics = told[STREAMS].get(packet.ssrc)
        if statistics is None:
            statistics = told[STREAMS][packet.ssrc] = StreamStatistics(told[CODECS][kind].clockRate)
        statistics.add(packet)
        if not packet.sequence_number % SEEN_EVERY:
            told[SEEN][packet.ssrc] = clock.current_datetime()
        take(packet)
    return True


def take_at_once(receiver: RTCRtpReceiver, take: Callable[[VoicePacket], None]) -> None:
    """Give the sound of `receiver` to `take` as soon as it comes; to be called when all is agreed."""
    dtls = receiver.transport
    way = _way(dtls.transport._connection)
    way.dtls, way.takers[receiver] = dtls, take


def _check_incoming(
    connection: Connection, message: stun.Message, address: tuple[str, int], protocol: StunProtocol
) -> None:
    """Somebody who knows the password checks the way from there: he is heard, unless it is one too many."""
    gate, where = _way(connection).gate, (_written(address[0]), address[1])
    if gate.may_knock(where):
        gate.validated(where)
        overlaid["incoming"](connection, message, address, protocol)


def _check_complete(connection: Connection, pair: ice.CandidatePair) -> None:
    if pair.state == ice.CandidatePair.State.SUCCEEDED:
        _way(connection).gate.validated(pair.remote_addr)
    overlaid["complete"](connection, pair)


def _pair_remote_candidate(connection: Connection, candidate: aioice.Candidate) -> None:
    host = candidate._network_host or candidate.host
    if _way(connection).gate.may_knock((_written(host), candidate.port)):
        overlaid["pair"](connection, candidate)


def _strong_context(
    certificate: RTCCertificate, srtp_profiles: list[SRTPProtectionProfile]
) -> SSL.Context:
    """aiortc's, without what encrypts and authenticates apart, or by less than DTLS 1.2 (RFC 9325)."""
    context: SSL.Context = overlaid["context"](certificate, srtp_profiles)
    context.set_min_proto_version(DTLS_1_2)
    context.set_cipher_list(CIPHERS)
    return context


def admit(transport: RTCDtlsTransport) -> Admission:
    """Let an admission look at each RTP packet that has verified, before it is received; give it.

    What has not verified aiortc drops before that. To do so twice changes nothing.
    """
    router: RtpRouter = transport._rtp_router
    way = _way(transport.transport._connection)
    if way.admission is not None:
        return way.admission
    admission = way.admission = Admission()
    route, loop = router.route_rtp, asyncio.get_running_loop()
    gate = way.gate
    on_rtp, on_rtcp = transport._handle_rtp_data, transport._handle_rtcp_data

    def admitted(packet: RtpPacket) -> Any:
        known = router.ssrc_table.get(packet.ssrc)
        waiting = 0 if known is None else getattr(known, DECODER_QUEUE).qsize()
        if not admission.admits(packet.ssrc, packet.sequence_number, waiting, loop.time()):
            return None
        return route(packet)

    def rtp(data: bytes, arrival_time_ms: int) -> Awaitable[None]:
        gate.verified(data)
        return on_rtp(data, arrival_time_ms)

    def rtcp(data: bytes) -> Awaitable[None]:
        gate.verified(data)
        return on_rtcp(data)

    router.route_rtp = admitted  # type: ignore[method-assign]
    transport._handle_rtp_data = rtp  # type: ignore[method-assign, assignment]
    transport._handle_rtcp_data = rtcp  # type: ignore[method-assign, assignment]
    return admission


def left_out(pc: RTCPeerConnection) -> Counter[str]:
    """How many packets were not let in or not received so far, by why."""
    found: Counter[str] = Counter()
    for transport in {one.sender.transport for one in pc.getTransceivers()}:
        connection = transport.transport._connection
        way = _way(connection)
        if way.admission is not None:
            found += way.gate.counts + way.admission.counts
            found["not verified"] += max(0, way.gate.unverified - connection._queue.qsize())
    return +found


def _written(host: str) -> str:
    """As the system writes an address."""
    try:
        return str(ip_address(host))
    except ValueError:
        return host


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
    request = connection.build_request(pair, nominate=False)
    key = connection.remote_password.encode()
    try:
        async with asyncio.timeout(within_s):
            await pair.protocol.request(request, pair.remote_addr, integrity_key=key)
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


def send_ready_made(sender: RTCRtpSender, twice: Callable[[], bool] = lambda: False) -> None:
    """Let `sender` send what is encoded already by a loop that does no more than that.

    Sound is sent a second time, behind the packet after it, while `twice` says so: who has got a packet
    throws the second one away by its number (RFC 3711, section 3.3.2). Its statistics, its reports and what
    it keeps for those who miss something are as they would be. To be called before it is connected.
    """

    def of(name: str) -> Any:
        return getattr(sender, OF_A_SENDER + name)

    history: dict[int, SentPacket] = of("rtp_history")

    async def run(codec: RTCRtpCodecParameters) -> None:
        of("rtp_started").set()
        try:
            await _Sending(sender, codec, history, twice).run()
        except (asyncio.CancelledError, ConnectionError, MediaStreamError):
            pass  # it was stopped, or there is nothing more: as in its own
        except Exception:
            logger.exception("what is encoded cannot be sent")
        if sender.track is not None:
            sender.track.stop()
            setattr(sender, OF_A_SENDER + "track", None)
        of("rtp_exited").set()

    async def again(sequence_number: int) -> None:
        kept = history.get(sequence_number % RTP_HISTORY_SIZE)
        if kept is None or kept.sequence_number != sequence_number:
            return
        data = kept.data
        if of("rtx_payload_type") is not None:
            number = of("rtx_sequence_number")
            setattr(sender, OF_A_SENDER + "rtx_sequence_number", (number + 1) & 0xFFFF)
            extensions = of("rtp_header_extensions_map")
            packet = wrap_rtx(
                RtpPacket.parse(data, extensions), of("rtx_payload_type"), number, sender._rtx_ssrc
            )
            data = packet.serialize(extensions)
        await sender.transport._send_rtp(data)

    sender._run_rtp = run  # type: ignore[method-assign]
    sender._retransmit = again  # type: ignore[method-assign]


class _Sending:
    """The stream of one sender, and what is told of it."""

    def __init__(
        self,
        sender: RTCRtpSender,
        codec: RTCRtpCodecParameters,
        history: dict[int, SentPacket],
        twice: Callable[[], bool],
    ) -> None:
        self._sender, self._history = sender, history
        self._twice = twice if sender.kind == "audio" else lambda: False
        self._sealed = b""
        """The latest packet as it was encrypted, while each is sent twice."""
        self._told: dict[str, Any] = vars(sender)

        def empty(sent_at: int) -> bytes:
            packet = RtpPacket(payload_type=codec.payloadType or 0, ssrc=sender._ssrc)
            packet.extensions.abs_send_time = sent_at
            packet.extensions.mid = self._told[OF_A_SENDER + "mid"]
            return packet.serialize(self._told[OF_A_SENDER + "rtp_header_extensions_map"])

        self._stream = Stream(empty, random_sequence_number(), random32())
        self._payloads = _pictures if sender.kind == "video" else _sound
        self._packets = self._octets = 0

    async def run(self) -> None:
        """Send what the track has, until it has nothing more."""
        while True:
            track: MediaStreamTrack | None = self._told[TRACK]
            if track is None:
                await asyncio.sleep(NO_TRACK_S)  # as in its own loop: nothing tells of one
                continue
            if isinstance(track, PacketTrack):
                track.send_at_once = self._at_once
            packet: Any = await track.recv()
            if not self._sender._enabled:
                continue
            assert isinstance(packet, Packet)
            now = ntp_now()
            for sent in self._made(packet, now):
                self._note(sent)
                await self._send(sent.data)
            self._tell(now)

    def _at_once(self, packet: Packet) -> bool:
        """Send it without waking up `run`, which gets what is not as usual."""
        sender = self._sender
        if not sender._enabled:
            return True
        dtls = sender.transport
        ice: RTCIceTransport = dtls.transport
        connection = ice._connection
        pair = connection._nominated.get(1)
        if pair is None or dtls._state is not State.CONNECTED:
            return False
        if ice._send != connection.send or "_send_rtp" in vars(dtls):  # somebody looks
            return False
        now, protect, counted = ntp_now(), dtls._tx_srtp.protect, vars(dtls)
        send, address = pair.protocol.transport.sendto, pair.remote_addr
        for sent in self._made(packet, now):
            self._note(sent)
            try:
                data = protect(sent.data)
            except (pylibsrtp.Error, ValueError):
                return False  # it fails there too, and is told
            for one in self._with_before(data):
                send(one, address)
                counted[SENT_BYTES] += len(one)
                counted[SENT_PACKETS] += 1
        self._tell(now)
        return True

    async def _send(self, data: bytes) -> None:
        """Send it as aiortc does, and the one before it once more where that is wanted."""
        dtls = self._sender.transport
        if not self._twice():
            self._sealed = b""
            await dtls._send_rtp(data)
            return
        counted = vars(dtls)
        for one in self._with_before(dtls._tx_srtp.protect(data)):
            await dtls.transport._send(one)
            counted[SENT_BYTES] += len(one)
            counted[SENT_PACKETS] += 1

    def _with_before(self, sealed: bytes) -> tuple[bytes, ...]:
        """An encrypted packet and, while each is to be sent twice, the one before it.

        Encrypting a number twice is refused (RFC 3711, section 9.1), hence the very same bytes.
        """
        before, self._sealed = self._sealed, bytes(sealed) if self._twice() else b""
        return (sealed, before) if before and self._sealed else (sealed,)

    def _made(self, packet: Packet, now: int) -> list[SentPacket]:
        return self._stream.packets(self._payloads(packet), packet.pts, now)

    def _note(self, sent: SentPacket) -> None:
        self._history[sent.sequence_number % RTP_HISTORY_SIZE] = sent
        self._packets += 1
        self._octets += len(sent.data) - sent.head_bytes

    def _tell(self, now: int) -> None:
        told = self._told
        told[NTP_TIME], told[RTP_TIME] = now, self._stream.timestamp
        told[PACKETS], told[OCTETS] = self._packets, self._octets


@once_for_all_peers
def _pictures(unit: bytes) -> list[bytes]:
    return H264Encoder._packetize(H264Encoder._split_bitstream(unit))


def _sound(packet: Packet) -> list[bytes]:
    return [packet.data]


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
