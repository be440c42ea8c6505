"""What may stand in a session description before a media stack is given it.

A parser of SDP takes seconds for thousands of candidates and looks up host names in them, so that a
stranger could freeze the device or let it ask the DNS: both are refused here.
"""

from __future__ import annotations

from ipaddress import ip_address
from itertools import islice

from appliance.messages import IceCandidate, Message, SessionDescription
from appliance.signaling.rejected import Rejected

MAX_CANDIDATES = 32
"""In one description; a browser with several networks sends about ten."""


def check_descriptions(message: Message) -> None:
    """Raise `Rejected` (malformed) for a description or candidate that is not to be handed on."""
    for name in ("offer", "answer"):
        description = getattr(message, name, None)
        if isinstance(description, SessionDescription):
            _check_description(description, name)
    candidate = getattr(message, "candidate", None)
    if isinstance(candidate, IceCandidate):
        check_candidate(candidate.candidate, "body.candidate.candidate")


def carries_description(message: Message) -> bool:
    """Whether there is an SDP in the message, for which it may be larger than others."""
    return any(
        isinstance(getattr(message, name, None), SessionDescription) for name in ("offer", "answer")
    )


def check_candidate(candidate: str, where: str) -> None:
    """Raise `Rejected` unless `candidate` (RFC 8839, section 5.1) has an address, or is empty.

    A name is taken only in `.local` (mDNS, RFC 6762), which never leaves the house.
    """
    if not candidate:
        return
    fields = candidate.removeprefix("a=").removeprefix("candidate:").split(maxsplit=6)
    if len(fields) < 6:
        raise Rejected("malformed", f"{where} is not an ICE candidate: it has no address and port")
    address = fields[4]
    if address.lower().endswith(".local"):
        return
    try:
        ip_address(address)
    except ValueError:
        raise Rejected(
            "malformed", f"{where} names the host {address[:64]!r}; only addresses are looked at"
        ) from None


def _check_description(description: SessionDescription, name: str) -> None:
    where = f"body.{name}.sdp"
    if description.type != name:
        raise Rejected("malformed", f"body.{name}.type is {description.type}, expected {name}")
    lines = description.sdp.splitlines()
    if not lines or lines[0] != "v=0":
        raise Rejected("malformed", f"{where} does not begin with v=0")
    candidates = (line for line in lines if line.startswith("a=candidate:"))
    for count, line in enumerate(islice(candidates, MAX_CANDIDATES + 1), start=1):
        if count > MAX_CANDIDATES:
            raise Rejected("malformed", f"{where} has more than {MAX_CANDIDATES} candidates")
        check_candidate(line, where)
