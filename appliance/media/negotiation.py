"""What is offered, and what is looked at in the other side's description before aiortc sees it.

The firewall is asked here as well: not every description comes by a message. What it lets through may
still be of no use, or more than aiortc can take, which is found out here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

from aiortc import RTCRtpSender
from aiortc.codecs import CODECS
from aiortc.exceptions import OperationError
from aiortc.rtcpeerconnection import filter_preferred_codecs, find_common_codecs
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from aiortc.sdp import SessionDescription as ParsedDescription

from appliance.firewall.blocked import Blocked
from appliance.firewall.candidates import Remote, check_candidate
from appliance.firewall.descriptions import check_description
from appliance.media.base import BadDescription, NoCommonCodec
from appliance.media.sections import Description, Identity
from appliance.messages import IceCandidate, SessionDescription

H264_PROFILE = "42e01f"
"""Constrained baseline, level 3.1 (RFC 6184): what every browser decodes, and what is encoded here.

The level is what is received here; with `level-asymmetry-allowed` what is sent is bound by the level that
the other side says (section 8.2.2), whatever this says. The SPS of what is sent says its own.
"""


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


def read(description: SessionDescription, expected: Literal["offer", "answer"]) -> Description:
    """What the other side describes, taken apart, if it is of the `expected` type and harmless.

    Raises BadDescription.
    """
    if description.type != expected:
        raise BadDescription(f"an {expected} was expected, and this is: {description.type[:20]}")
    try:
        check_description(description.sdp, expected, f"the {expected}")
    except Blocked as fault:
        raise BadDescription(str(fault)) from None
    return Description.parse(description.sdp)


def checked_candidate(candidate: IceCandidate) -> Remote | None:
    """The candidate, or None where it is of no use: over TCP. Raises BadDescription."""
    if candidate.sdp_mid is None and candidate.sdp_m_line_index is None:
        raise BadDescription("the candidate does not say for which media section it is")
    try:
        remote = check_candidate(candidate.candidate, "the candidate")
    except Blocked as fault:
        raise BadDescription(str(fault)) from None
    return remote if remote.transport == "udp" else None


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
