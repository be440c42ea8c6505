"""From sound to pictures, and connections that are agreed anew or replaced."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from appliance.calls.effects import (
    AcceptAnswer,
    AddCandidate,
    ClosePeer,
    OpenPeer,
    Renegotiate,
    Reply,
    Send,
    SettleMessage,
    StartCapture,
)
from appliance.calls.inputs import (
    MessageExpired,
    PeerAgreed,
    PeerAnswered,
    PeerConnected,
    PeerFailed,
    PeerLost,
    PeerOffered,
    PeerRestored,
)
from appliance.commands import AcceptCall, AnswerRequest, ShareScreen, SwitchToVideoCall
from appliance.events import (
    CallSwitchedToVideo,
    ConnectionRestored,
    Error,
    SwitchToVideoRequested,
)
from appliance.messages import (
    Answer,
    Candidate,
    End,
    Offer,
    Request,
    Response,
)
from appliance.model import CallState, CallType, RequestAction
from tests.parts.household import (
    ALICE,
    BOB,
    HOME,
    PATIENT,
    agreed,
    audio_call_with,
    session_of,
)
from tests.parts.play import ANSWER, OFFER, RICH, Play, invite_from

SWITCH = Request("r1", RequestAction.SWITCH_TO_VIDEO)
ASKS = replace(PATIENT, settings=RICH.settings)
"""A device at which somebody is asked."""


@pytest.fixture
def play() -> Play:
    """The door called without video: alice offered, and will offer again."""
    play = Play(PATIENT, online=HOME)
    audio_call_with(play, ALICE)
    return play


def called_by_a_device(play: Play) -> Play:
    """The door answered an invite that had no offer: it offered, and will offer again."""
    play.hears(
        ALICE, invite_from("alice", "front-door", offer=None, type_=CallType.AUDIO), "call-1"
    )
    play.orders(AcceptCall())
    peer = play.peer(ALICE)
    play.happens(PeerOffered(peer, OFFER))
    play.hears(ALICE, Answer(ANSWER))
    play.happens(agreed(peer, video=False), PeerConnected(peer))
    return play


# -------------------- asked for here


def test_this_device_asks_and_the_other_side_offers(play: Play) -> None:
    play.orders(SwitchToVideoCall(), request=4)
    request = play.message("request")
    assert request.action is RequestAction.SWITCH_TO_VIDEO
    assert not play.done(Reply)
    play.hears(ALICE, Response(request.request_id, accepted=True))
    assert play.done(Reply) == [Reply(4)]
    assert play.done(StartCapture) == [StartCapture(video=True)]
    assert not play.done(Renegotiate), "alice offers"

    play.hears(ALICE, Offer(OFFER, 1, "switch_to_video"))
    peer = play.peer(ALICE)
    assert play.done(Renegotiate) == [Renegotiate(peer, CallType.VIDEO, OFFER)]
    play.happens(PeerAnswered(peer, ANSWER))
    assert play.message("answer") == Answer(ANSWER, 1)
    play.happens(agreed(peer))
    assert play.event(CallSwitchedToVideo) == CallSwitchedToVideo("front-door", "alice")
    assert play.call.type is CallType.VIDEO
    play.happens(agreed(peer))
    assert play.events == [], "once"


def test_this_device_asks_and_offers() -> None:
    play = called_by_a_device(Play(PATIENT, online=HOME))
    play.orders(SwitchToVideoCall())
    play.hears(ALICE, Response(play.message("request").request_id, accepted=True))
    peer = play.peer(ALICE)
    assert play.done(Renegotiate) == [Renegotiate(peer, CallType.VIDEO)]
    play.happens(PeerOffered(peer, OFFER))
    assert play.message("offer") == Offer(OFFER, 1, "switch_to_video")
    play.hears(ALICE, Answer(ANSWER, 1))
    assert play.done(AcceptAnswer) == [AcceptAnswer(peer, ANSWER)]
    play.happens(agreed(peer))
    assert play.event(CallSwitchedToVideo).accepted_by == "alice"


def test_the_other_side_says_no_and_can_be_asked_again(play: Play) -> None:
    play.orders(SwitchToVideoCall(), request=4)
    play.hears(ALICE, Response(play.message("request").request_id, False, "not now"))
    assert play.done(Reply) == [Reply(4, code="refused", message="not now")]
    assert play.call.type is CallType.AUDIO
    play.orders(SwitchToVideoCall())
    play.orders(SwitchToVideoCall(), request=5)
    assert play.done(Reply)[0].code == "asked"


def test_a_person_has_a_minute_to_say_so(play: Play) -> None:
    play.orders(SwitchToVideoCall(), request=4)
    play.wait(59)
    assert play.call.switch is not None
    play.wait(2)
    assert play.done(Reply) == [Reply(4, code="refused", message="alice did not answer")]
    assert play.call.switch is None


@pytest.mark.parametrize("code", ["is_video", "no_camera", "no_call", "not_connected"])
def test_what_cannot_be_switched(code: str) -> None:
    play = Play(
        replace(PATIENT, cameras=frozenset()) if code == "no_camera" else PATIENT, online=HOME
    )
    match code:
        case "is_video" | "no_camera":
            play.is_in_call_with(ALICE)
        case "not_connected":
            play.is_called(ALICE)
    play.orders(SwitchToVideoCall())
    assert play.done(Reply)[0].code == code


# -------------------- asked for there


def test_the_other_side_asks_and_it_is_agreed_to_at_once(play: Play) -> None:
    play.hears(ALICE, SWITCH)
    assert play.message("response") == Response("r1", accepted=True)
    assert not play.find(SwitchToVideoRequested)
    play.hears(ALICE, Offer(OFFER, 1, "switch_to_video"))
    play.happens(PeerAnswered(play.peer(ALICE), ANSWER), agreed(play.peer(ALICE)))
    assert play.event(CallSwitchedToVideo) == CallSwitchedToVideo("alice", "front-door")


@pytest.mark.parametrize("accepted", [True, False])
def test_somebody_is_asked(accepted: bool) -> None:
    play = Play(ASKS, online=HOME)
    audio_call_with(play, ALICE)
    play.hears(ALICE, SWITCH)
    assert play.event(SwitchToVideoRequested) == SwitchToVideoRequested("alice", "r1")
    assert play.sent == []
    play.orders(AnswerRequest(request_id="r2", accepted=True))
    assert play.done(Reply)[0].code == "unknown_request"
    play.orders(AnswerRequest(request_id="r1" if accepted else None, accepted=accepted))
    assert play.message("response").accepted is accepted
    assert (play.call.type is CallType.VIDEO) is accepted
    play.orders(AnswerRequest(request_id="r1", accepted=True))
    assert play.done(Reply)[0].code == "unknown_request"


def test_nobody_says_anything_and_it_can_be_asked_again() -> None:
    play = Play(ASKS, online=HOME)
    audio_call_with(play, ALICE)
    play.hears(ALICE, SWITCH)
    play.hears(ALICE, Request("r2", RequestAction.SWITCH_TO_VIDEO))
    assert play.event(Error).code == "asked"
    play.wait(61)
    assert play.message("response") == Response("r1", accepted=False, error="nobody answered")
    play.hears(ALICE, Request("r3", RequestAction.SWITCH_TO_VIDEO))
    assert play.event(SwitchToVideoRequested).request_id == "r3"


def test_both_ask_at_once_which_is_a_yes() -> None:
    play = Play(ASKS, online=HOME)
    audio_call_with(play, ALICE)
    play.orders(SwitchToVideoCall(), request=4)
    own = play.message("request")
    play.hears(ALICE, SWITCH)
    assert play.message("response").accepted
    play.hears(ALICE, Response(own.request_id, accepted=True))
    assert play.done(Reply) == [Reply(4)]
    assert not play.done(Renegotiate), "once is enough"
    play.hears(ALICE, Offer(OFFER, 1, "switch_to_video"))
    play.happens(agreed(play.peer(ALICE)))
    assert play.find(CallSwitchedToVideo)


def test_whoever_asked_leaves() -> None:
    play = Play(ASKS, online=HOME)
    audio_call_with(play, ALICE)
    session_of_audio(play)
    play.hears(BOB, SWITCH)
    play.hears(BOB, End("hang_up"))
    assert play.call.switch is None
    play.orders(AnswerRequest(request_id="r1", accepted=True))
    assert play.done(Reply)[0].code == "unknown_request"


def session_of_audio(play: Play) -> None:
    from appliance.commands import Invite
    from tests.parts.household import joins

    play.orders(Invite(receiver="bob"))
    joins(play, BOB)


# -------------------- agreeing anew


def test_only_who_offered_first_ever_offers() -> None:
    play = called_by_a_device(Play(PATIENT, online=HOME))
    play.hears(ALICE, Offer(OFFER, 1))
    assert play.event(Error).code == "not_the_offerer"
    other = Play(PATIENT, online=HOME)
    audio_call_with(other, ALICE)
    other.hears(ALICE, Request("r1", RequestAction.RENEGOTIATE, reason="screen_share"))
    assert not other.message("response").accepted


def test_an_offer_before_the_first_was_answered_is_out_of_place() -> None:
    play = Play(PATIENT, online=HOME)
    play.is_called(ALICE)
    play.orders(AcceptCall())
    play.hears(ALICE, Offer(OFFER, 1))
    assert play.event(Error).code == "out_of_place"


def test_one_offer_at_a_time() -> None:
    play = called_by_a_device(Play(PATIENT, online=HOME))
    peer = play.peer(ALICE)
    play.hears(ALICE, Request("r1", RequestAction.RENEGOTIATE, reason="screen_share"))
    assert play.done(Renegotiate) == [Renegotiate(peer, CallType.AUDIO)]
    play.hears(ALICE, SWITCH)
    assert not play.done(Renegotiate), "the answer to the first offer is still to come"
    play.happens(PeerOffered(peer, OFFER))
    play.hears(ALICE, Answer(ANSWER))
    play.happens(agreed(peer, video=False))
    assert play.done(Renegotiate) == [Renegotiate(peer, CallType.VIDEO)]
    play.happens(PeerOffered(peer, OFFER))
    assert play.message("offer").reason == "switch_to_video"


def test_an_answer_of_another_generation_is_no_fault() -> None:
    play = called_by_a_device(Play(PATIENT, online=HOME))
    play.hears(ALICE, Answer(ANSWER, 7))
    assert play.outputs == []


def test_a_screen_needs_a_section_of_its_own(play: Play) -> None:
    session = session_of(ALICE, BOB)
    session.happens(PeerAgreed(session.peer(BOB), video=True, screen=True))
    session.orders(ShareScreen())
    requests = [send for send in session.done(Send) if send.message.TYPE == "request"]
    assert [send.to for send in requests] == [ALICE], "bob has one, and alice offers"


# -------------------- replacing


def lost(play: Play) -> None:
    play.happens(PeerLost(play.peer(ALICE)))


def test_who_answered_asks_for_another_connection_and_gets_it(play: Play) -> None:
    old = play.peer(ALICE)
    lost(play)
    assert play.message("request").reason == "reconnect"
    assert play.call.state is CallState.RECONNECTING
    play.hears(ALICE, Offer(OFFER, 2, "reconnect"))
    following = replace(old, generation=2)
    assert play.done(OpenPeer) == [OpenPeer(following, CallType.AUDIO, OFFER)]
    play.happens(PeerAnswered(following, ANSWER))
    assert play.message("answer") == Answer(ANSWER, 2)
    play.wait(3)
    play.happens(agreed(following, video=False), PeerConnected(following))
    assert play.done(ClosePeer) == [ClosePeer(old)]
    assert play.event(ConnectionRestored).outage_s == 3
    assert play.peer(ALICE) == following


def test_who_offered_replaces() -> None:
    play = called_by_a_device(Play(PATIENT, online=HOME))
    old = play.peer(ALICE)
    lost(play)
    following = replace(old, generation=2)
    assert play.done(OpenPeer) == [OpenPeer(following, CallType.AUDIO)]
    play.happens(PeerOffered(following, OFFER))
    assert play.message("offer") == Offer(OFFER, 2, "reconnect")
    play.hears(ALICE, Request("r1", RequestAction.RENEGOTIATE, reason="reconnect"))
    assert not play.done(OpenPeer), "it is on its way"
    play.hears(ALICE, Answer(ANSWER, 2))
    assert play.done(AcceptAnswer) == [AcceptAnswer(following, ANSWER)]
    play.happens(PeerConnected(following))
    assert play.done(SettleMessage)[0].type == "offer"
    assert "connection_restored" in play.events


def test_the_old_connection_comes_back_before_the_new_one_is_there() -> None:
    play = called_by_a_device(Play(PATIENT, online=HOME))
    old = play.peer(ALICE)
    lost(play)
    play.happens(PeerRestored(old))
    assert "connection_restored" in play.events
    play.happens(PeerFailed(replace(old, generation=2), "failed", "no way"))
    assert play.call.state is CallState.CONNECTED
    assert play.call.members[0].next is None
    lost(play)
    assert [one.peer.generation for one in play.done(OpenPeer)] == [2], "a second attempt"


def test_an_offer_of_a_replacement_that_nobody_answers_is_given_up() -> None:
    play = called_by_a_device(Play(PATIENT, online=HOME))
    lost(play)
    play.happens(MessageExpired(ALICE, "call-1", Offer(OFFER, 2), True))
    assert play.done(ClosePeer) == [ClosePeer(replace(play.peer(ALICE), generation=2))]
    assert play.call.state is CallState.RECONNECTING


def test_a_second_attempt_of_the_other_side_replaces_its_first(play: Play) -> None:
    lost(play)
    play.hears(ALICE, Offer(OFFER, 2, "reconnect"))
    play.hears(ALICE, Offer(OFFER, 2, "reconnect"))
    following = replace(play.peer(ALICE), generation=2)
    assert play.done(ClosePeer) == [ClosePeer(following)]
    assert play.done(OpenPeer) == [OpenPeer(following, CallType.AUDIO, OFFER)]
    play.hears(ALICE, Offer(OFFER, 4))
    assert play.outputs == [], "other generations are ignored"


def test_candidates_of_the_next_generation_wait_for_its_offer(play: Play) -> None:
    lost(play)
    play.hears(ALICE, Candidate(None, 2))
    play.hears(ALICE, Candidate(None, 1))
    assert [one.peer.generation for one in play.done(AddCandidate)] == [1]
    play.hears(ALICE, Offer(OFFER, 2, "reconnect"))
    assert [one.peer.generation for one in play.done(AddCandidate)] == [2]
    play.happens(PeerConnected(replace(play.peer(ALICE), generation=2)))
    play.hears(ALICE, Candidate(None, 1))
    assert play.outputs == [], "too late"


def test_it_never_comes_back(play: Play) -> None:
    lost(play)
    play.hears(ALICE, Offer(OFFER, 2, "reconnect"))
    play.wait(31)
    assert [name for name in play.events if name.startswith(("connection", "call"))] == [
        "connection_closed",
        "call_ended",
    ]
    assert len(play.done(ClosePeer)) == 2, "both connections"
