"""Which messages bring a session description or a candidate, and that the firewall is asked about each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from appliance.firewall.blocked import Blocked
from appliance.firewall.candidates import check_candidate
from appliance.firewall.descriptions import check_description
from appliance.messages import IceCandidate, Message, SessionDescription
from appliance.signaling.rejected import Rejected

KINDS: tuple[Literal["offer", "answer"], ...] = ("offer", "answer")


def check_descriptions(message: Message) -> None:
    """Raise `Rejected`, with the firewall's code, for what is not to be handed on."""
    for name in KINDS:
        description = getattr(message, name, None)
        if isinstance(description, SessionDescription):
            if description.type != name:
                raise Rejected(
                    "malformed", f"body.{name}.type is {description.type}, expected {name}"
                )
            with _rejected():
                check_description(description.sdp, name, f"body.{name}.sdp")
    candidate = getattr(message, "candidate", None)
    if isinstance(candidate, IceCandidate) and candidate.candidate:  # an empty one is the last
        with _rejected():
            check_candidate(candidate.candidate, "body.candidate.candidate")


def carries_description(message: Message) -> bool:
    """Whether there is an SDP in the message, for which it may be larger than others."""
    return any(isinstance(getattr(message, name, None), SessionDescription) for name in KINDS)


@contextmanager
def _rejected() -> Iterator[None]:
    try:
        yield
    except Blocked as fault:
        raise Rejected(fault.code, str(fault)) from None
