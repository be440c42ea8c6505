"""Whether the installed aiortc and aioice still have, and use, the private names that are touched here."""

from __future__ import annotations

import inspect
from asyncio import selector_events
from collections.abc import Callable
from types import FunctionType
from typing import Any

import aioice
import aiortc
from aioice import Connection, ice
from aioice.ice import StunProtocol
from aioice.turn import TurnClientMixin
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, clock
from aiortc.codecs.h264 import H264Encoder
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport, RtpRouter
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtcrtpreceiver import StreamStatistics

from appliance.errors import ApplianceError
from appliance.media.seams.admitting import DECODER_QUEUE
from appliance.media.seams.draining import SOCKET
from appliance.media.seams.guarding import original
from appliance.media.seams.lifetime import CONNECT, CONSENT, ESTIMATOR, IS_CLOSED, MONITOR
from appliance.media.seams.receiving import (
    CODECS,
    JITTER_BUFFER,
    MISSING,
    RECEIVED_BYTES,
    RECEIVED_PACKETS,
    SEEN,
    STREAMS,
)
from appliance.media.seams.rtcp import HISTORY
from appliance.media.seams.sending import OF_A_SENDER, SENT_BYTES, SENT_PACKETS
from appliance.media.seams.timing import NOW

_datagrams: Any = vars(selector_events)["_SelectorDatagramTransport"]
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
    """The installed aiortc is not the one that this folder knows."""

    code = "unknown_aiortc"


def self_check() -> None:
    """See that all private names still exist and are used as they were. Raises UnknownAiortc."""
    used: tuple[tuple[str, object], ...] = (
        ("receiver", original("received", StunProtocol.datagram_received)),
        ("data_received", original("received", StunProtocol.datagram_received)),
        ("_queue", Connection.data_received),
        ("local_candidate", original("received", StunProtocol.datagram_received)),
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
        (SOCKET, _datagrams._read_ready),
        ("datagram_received", _datagrams._read_ready),
        # see handshakes
        ("set_verify", original("context", RTCCertificate._create_ssl_context)),
        ("check_incoming", Connection.request_received),
        ("_check_list", original("incoming", Connection.check_incoming)),
        ("check_complete", Connection.check_start),
        ("_nominated", original("complete", Connection.check_complete)),
        ("_pair_remote_candidate", Connection._add_remote_candidate),
        ("_network_host", Connection._add_remote_candidate),
        ("_create_ssl_context", RTCDtlsTransport.start),
        ("set_cipher_list", original("context", RTCCertificate._create_ssl_context)),
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
        (MONITOR, RTCIceTransport.stop),
        ("_protocols", Connection.close),
        (CONSENT, Connection.close),
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
        ("query_consent", aioice.Connection.connect),
        ("_nominated", original("consent", Connection.query_consent)),
        ("local_candidate", ice.server_reflexive_candidate),
        ("build_request", original("consent", Connection.query_consent)),
        ("_local_candidates", aioice.Connection.gather_candidates),
        ("_protocols", original("pair", Connection._pair_remote_candidate)),
        ("_find_pair", original("pair", Connection._pair_remote_candidate)),
        ("_early_checks_done", aioice.Connection.connect),
        ("_check_list_done", aioice.Connection.close),
        ("_closing", aioice.Connection.close),
        ("_remote_candidates", aioice.Connection.connect),
        (NOW, clock.current_ms),
        (NOW, clock.current_ntp_time),
        ("current_ms", RTCDtlsTransport._recv_next),
        ("time", StreamStatistics.add),
        ("time", RTCRtpSender._handle_rtcp_packet),
        ("time", TurnClientMixin.send_data),
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
