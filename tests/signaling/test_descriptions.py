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
    MAX_CANDIDATES,
    carries_description,
    check_candidate,
    check_descriptions,
)
from appliance.signaling.rejected import Rejected
from tests.signaling.envelopes import ANSWER, INVITE, MESSAGES, OFFER, SDP

LINE = "a=candidate:1 1 udp 2122260223 {} 54321 typ host\r\n"


def with_lines(*lines: str) -> Offer:
    return Offer(SessionDescription("offer", SDP + "".join(lines)))


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.7",
        "2001:db8::7",
        "fe80::1%eth0",
        "3e1b8f0c-55a7-4a5e-8c7b-6a1b2c3d4e5f.local",
        "X.LOCAL",
    ],
)
def test_addresses_and_names_of_the_house_are_taken(address: str) -> None:
    check_descriptions(with_lines(LINE.format(address)))
    check_candidate(LINE.format(address).removeprefix("a=").strip(), "it")


@pytest.mark.parametrize(
    "name", ["example.com", "localhost", "local", "192.0.2.999", "a.local.example"]
)
def test_names_that_would_be_looked_up_are_not(name: str) -> None:
    with pytest.raises(Rejected, match=r"^body\.offer\.sdp names the host"):
        check_descriptions(with_lines(LINE.format(name)))
    candidate = Candidate(IceCandidate(LINE.format(name)))
    with pytest.raises(Rejected, match=r"^body\.candidate\.candidate names the host"):
        check_descriptions(candidate)


def test_the_end_of_candidates_is_no_candidate() -> None:
    check_descriptions(Candidate(None))
    check_descriptions(Candidate(IceCandidate("")))


@pytest.mark.parametrize("words", ["hello", "candidate:1 1 udp 5", " "])
def test_what_is_no_candidate_at_all_is_refused(words: str) -> None:
    with pytest.raises(Rejected, match="not an ICE candidate"):
        check_candidate(words, "it")


def test_a_description_has_few_candidates() -> None:
    many = [LINE.format("192.0.2.1")] * (MAX_CANDIDATES - 1)  # the sample has one already
    check_descriptions(with_lines(*many))
    with pytest.raises(Rejected, match=f"more than {MAX_CANDIDATES}"):
        check_descriptions(with_lines(*many, LINE.format("192.0.2.1")))


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
