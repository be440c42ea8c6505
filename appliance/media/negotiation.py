"""What is offered, and what is looked at in the other side's description before aiortc sees it.

aiortc's parser throws many kinds of errors, takes seconds for thousands of candidates, and looks host
names up in the DNS (5 s each). So all that is bounded here.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterator

from aiortc import RTCRtpSender
from aiortc.codecs import CODECS
from aiortc.exceptions import OperationError
from aiortc.rtcpeerconnection import filter_preferred_codecs, find_common_codecs
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from aiortc.sdp import SessionDescription as ParsedDescription

from appliance.media.base import BadDescription, NoCommonCodec
from appliance.media.sections import Description, Identity
from appliance.messages import IceCandidate, SessionDescription

H264_PROFILE = "42e01f"
"""Constrained baseline, level 3.1 (RFC 6184): what every browser decodes, and what is encoded here."""

MAX_SDP_BYTES = 32 * 1024
MAX_CANDIDATES = 64
MAX_SECTIONS = 8

_SECTION = re.compile(r"^m=(audio|video|application) ", re.MULTILINE)
_ANY_SECTION = re.compile(r"^m=", re.MULTILINE)
_CANDIDATE_LINE = re.compile(r"^a=candidate:.*(?:\r?\n|$)", re.MULTILINE)


def opus_only() -> list[RTCRtpCodecCapability]:
    """The codecs for sound."""
    codecs = RTCRtpSender.getCapabilities("audio").codecs
    return [codec for codec in codecs if codec.mimeType == "audio/opus"]


def h264_only() -> list[RTCRtpCodecCapability]:
    """The codecs for pictures: the one profile that is encoded here, and retransmission (RFC 4588)."""
    return [
        codec
        for codec in RTCRtpSender.getCapabilities("video").codecs
        if codec.mimeType == "video/rtx"
        or (
            codec.mimeType == "video/H264"
            and codec.parameters.get("profile-level-id") == H264_PROFILE
            and codec.parameters.get("packetization-mode") == "1"
        )
    ]


@contextlib.contextmanager
def what_came(what: str) -> Iterator[None]:
    """Whatever aiortc trips over in what the other side sent becomes BadDescription."""
    try:
        yield
    except OperationError as fault:  # raised only where no codec is common
        raise NoCommonCodec(
            f"the {what} has no codec in common: H.264 constrained baseline and Opus are wanted"
        ) from fault
    except Exception as fault:  # its parser raises KeyError, StopIteration, AssertionError, ..
        raise BadDescription(f"the {what} cannot be used: {fault!r:.200}") from fault


def sections_of(description: SessionDescription, expected: str) -> list[str]:
    """The kinds of the media sections (audio, video, application), in order.

    Raises BadDescription if the description is not of the `expected` type or out of bounds.
    """
    if description.type != expected:
        raise BadDescription(f"an {expected} was expected, and this is: {description.type[:20]}")
    if len(description.sdp.encode(errors="replace")) > MAX_SDP_BYTES:
        raise BadDescription(f"the {expected} has more than {MAX_SDP_BYTES} bytes")
    kinds = _SECTION.findall(description.sdp)
    if not kinds or len(kinds) != len(_ANY_SECTION.findall(description.sdp)):
        raise BadDescription(f"the {expected} has no media section, or one of an unknown kind")
    if len(kinds) > MAX_SECTIONS:
        raise BadDescription(f"the {expected} has more than {MAX_SECTIONS} media sections")
    if len(_CANDIDATE_LINE.findall(description.sdp)) > MAX_CANDIDATES:
        raise BadDescription(f"the {expected} has more than {MAX_CANDIDATES} candidates")
    return kinds


def without_host_names(sdp: str) -> str:
    """The description without the candidates that would need a DNS look-up."""
    return _CANDIDATE_LINE.sub(lambda line: line[0] if _has_address(line[0]) else "", sdp)


def checked_candidate(candidate: IceCandidate) -> str | None:
    """The candidate's attribute for aiortc, or None where it is of no use: TCP, a host name.

    Raises BadDescription for what is no candidate (RFC 8839, section 5.1).
    """
    line = candidate.candidate.removeprefix("a=").removeprefix("candidate:")
    if len(line) > 512 or len(line.split()) < 8 or " typ " not in line:
        raise BadDescription("this is not an ICE candidate")
    if candidate.sdp_mid is None and candidate.sdp_m_line_index is None:
        raise BadDescription("the candidate does not say for which media section it is")
    if line.split()[2].lower() != "udp" or not _has_address(line):
        return None
    return line


def usable(described: Description) -> list[int]:
    """The sections that can be agreed to: sound and pictures, in a codec that both sides have.

    Raises BadDescription for what aiortc cannot read.
    """
    numbers = [
        number
        for number, section in enumerate(described.sections)
        if section.kind in ("audio", "video")
        and not section.is_rejected
        and "a=rtcp-mux" in section.lines
    ]
    with what_came(f"description with {len(numbers)} media sections"):
        parsed = ParsedDescription.parse(described.only(*numbers).text)
    preferred = {"audio": opus_only(), "video": h264_only()}
    return [
        number
        for number, media in zip(numbers, parsed.media, strict=True)
        if filter_preferred_codecs(
            find_common_codecs(CODECS[media.kind], media.rtp.codecs), preferred[media.kind]
        )
    ]


def check_same_transport(known: Identity, came: Identity) -> None:
    """See that a further description is of the connection that stands. Raises BadDescription."""
    if known[:2] != came[:2]:
        raise BadDescription(
            "this would restart ICE: a connection of the next generation is wanted instead"
        )
    if known[2] != came[2]:
        raise BadDescription("the certificate's fingerprint is not that of this connection")


def _has_address(line: str) -> bool:
    """Whether the candidate's host is an IP address, or a name of RFC 6762 (`.local`)."""
    fields = line.split()
    host = fields[4] if len(fields) > 4 else ""
    if host.lower().endswith(".local"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
