"""What of an SDP never reaches the media stack."""

from __future__ import annotations

import pytest

from appliance.messages import (
    Answer,
    Candidate,
    IceCandidate,
    Invite,
    Message,
    Offer,
    SessionDescription,
)
from appliance.signaling.descriptions import (
    carries_description,
    check_descriptions,
)
from appliance.signaling.rejected import Rejected
from tests.signaling.envelopes import ANSWER, INVITE, MESSAGES, OFFER, SDP


def test_the_firewall_is_asked_about_each_description_and_candidate() -> None:
    for message in MESSAGES:
        check_descriptions(message)
    plain = SDP.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP")
    with pytest.raises(Rejected, match=r"^body\.offer\.sdp, media section 0 goes over") as caught:
        check_descriptions(Offer(SessionDescription("offer", plain)))
    assert caught.value.code == "unencrypted"
    named = "candidate:1 1 udp 2122260223 example.com 54321 typ host"
    with pytest.raises(Rejected, match=r"^body\.candidate\.candidate names the host") as caught:
        check_descriptions(Candidate(IceCandidate(named)))
    assert caught.value.code == "host_name"


def test_the_end_of_candidates_is_no_candidate() -> None:
    check_descriptions(Candidate(None))
    check_descriptions(Candidate(IceCandidate("")))


@pytest.mark.parametrize(
    "message",
    [
        Offer(ANSWER),
        Answer(OFFER),
        Offer(SessionDescription("offer", "")),
        Offer(SessionDescription("offer", "hello")),
    ],
)
def test_a_description_is_what_it_is_said_to_be(message: Message) -> None:
    with pytest.raises(Rejected):
        check_descriptions(message)


def test_which_messages_may_be_large() -> None:
    large = {message.TYPE for message in MESSAGES if carries_description(message)}
    assert large == {"invite", "accept", "join", "offer", "answer"}
    assert not carries_description(
        Invite("s", INVITE.call_type, INVITE.receiver, INVITE.caller, 30)
    )
