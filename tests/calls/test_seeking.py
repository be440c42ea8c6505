"""A lost connection is sought until it is found or given up, and anew whenever either side is back."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls.effects import ClosePeer, OpenPeer, Send, SettleMessage
from appliance.calls.inputs import (
    LinkChanged,
    LinkState,
    MessageExpired,
    PeerConnected,
    PeerFailed,
    PeerFound,
    PeerLost,
    PeerOffered,
    PeerRestored,
    PresenceChanged,
)
from appliance.calls.outage import RECONNECT_S
from appliance.calls.requests import ANSWER_S
from appliance.calls.seeking import SEEK_S
from appliance.commands import AcceptCall
from appliance.events import CallEnded, ConnectionRestored
from appliance.messages import Answer, Candidate, IceCandidate, Offer, Request, Response
from appliance.model import CallEndReason, CallState, CallType
from tests.parts.household import ALICE, BOB, HOME, PATIENT, agreed, audio_call_with, session_of
from tests.parts.play import ANSWER, OFFER, Play, invite_from


def offering() -> Play:
    """A call in which this device offers: it took the invite of another device."""
    play = Play(PATIENT, online=HOME)
    invite = invite_from("alice", "front-door", offer=None, type_=CallType.AUDIO)
    play.hears(ALICE, invite, "call-1")
    play.orders(AcceptCall())
    peer = play.peer(ALICE)
    play.happens(PeerOffered(peer, OFFER))
    play.hears(ALICE, Answer(ANSWER))
    play.happens(agreed(peer, video=False), PeerConnected(peer))
    return play


def answering() -> Play:
    """A call in which the other side offers."""
    play = Play(PATIENT, online=HOME)
    audio_call_with(play, ALICE)
    return play


def asked(play: Play) -> list[str]:
    """Who was asked for another connection in this turn."""
    return [
        one.to.uid
        for one in play.done(Send)
        if isinstance(one.message, Request) and one.message.reason == "reconnect"
    ]


def opened(play: Play) -> list[int]:
    return [one.peer.generation for one in play.done(OpenPeer)]


def lose(play: Play) -> None:
    play.happens(PeerLost(play.peer(ALICE)))


def test_what_was_asked_in_vain_is_asked_again_until_there_is_an_offer() -> None:
    play = answering()
    lose(play)
    assert asked(play) == ["alice"]
    play.wait(SEEK_S)
    assert asked(play) == [], "she has not said no: a second request would make her begin anew"
    play.wait(ANSWER_S)
    assert asked(play) == ["alice"]
    play.hears(ALICE, Response(play.message("request").request_id, accepted=True))
    play.wait(SEEK_S)
    assert asked(play) == ["alice"], "she said yes, and no offer came"
    play.hears(ALICE, Offer(OFFER, 2, "reconnect"))
    play.wait(2 * SEEK_S)
    assert asked(play) == [], "an offer came: it is being connected"


def test_an_attempt_that_failed_is_followed_by_another() -> None:
    play = offering()
    lose(play)
    assert opened(play) == [2]
    following = replace(play.peer(ALICE), generation=2)
    play.happens(PeerOffered(following, OFFER))
    play.happens(PeerFailed(following, "setup_timed_out", "no way"))
    assert play.done(ClosePeer) == [ClosePeer(following)]
    play.wait(SEEK_S)
    assert opened(play) == [2]
    play.happens(PeerOffered(following, OFFER))
    play.happens(MessageExpired(ALICE, "call-1", Offer(OFFER, 2), sent=True))
    play.wait(SEEK_S)
    assert opened(play) == [2]
    play.happens(PeerOffered(following, OFFER))
    play.hears(ALICE, Answer(ANSWER, 2))
    play.happens(agreed(following, video=False), PeerConnected(following))
    assert "connection_restored" in play.events


def test_nothing_is_tried_without_a_broker_and_all_as_soon_as_it_is_back() -> None:
    for play in (answering(), offering()):
        lose(play)
        offers = bool(opened(play))
        following = replace(play.peer(ALICE), generation=2)
        if offers:
            play.happens(PeerOffered(following, OFFER))
        play.happens(LinkChanged(LinkState.CONNECTING))
        play.wait(3 * SEEK_S)
        assert not asked(play)
        assert not opened(play)
        play.happens(LinkChanged(LinkState.CONNECTED))
        assert not asked(play), "whether she is there is not known yet"
        play.happens(PresenceChanged("alice", "phone", online=True, epoch="another"))
        if offers:
            assert play.done(ClosePeer) == [ClosePeer(following)], "its addresses may be gone"
            assert play.done(SettleMessage) == [SettleMessage(ALICE, "call-1", "offer")]
            assert opened(play) == [2]
        else:
            assert asked(play) == ["alice"]


def test_an_answer_to_what_was_taken_back_is_none_to_what_replaces_it() -> None:
    play = offering()
    lose(play)
    play.happens(PeerOffered(replace(play.peer(ALICE), generation=2), OFFER))
    play.happens(LinkChanged(LinkState.CONNECTING), LinkChanged(LinkState.CONNECTED))
    play.happens(PresenceChanged("alice", "phone", online=True, epoch="another"))
    play.hears(ALICE, Answer(ANSWER, 2))
    assert play.outputs == [], "the new one has not been offered yet"


def test_a_phone_that_comes_back_to_the_broker_is_sought_at_once() -> None:
    play = answering()
    lose(play)
    play.happens(PresenceChanged("alice", "phone", online=False))
    play.happens(PresenceChanged("alice", "tablet", online=True, epoch="t"))
    assert not asked(play), "that is another endpoint"
    play.happens(PresenceChanged("alice", "phone", online=True, epoch="another"))
    assert asked(play) == ["alice"]
    play.happens(PresenceChanged("alice", "phone", online=True, epoch="another"))
    assert not asked(play), "that is no news"


def test_an_address_that_is_found_late_is_told_to_whom_the_connection_is_with() -> None:
    play = answering()
    candidate = IceCandidate("candidate:1 1 udp 1 198.18.0.1 9 typ relay", "0", 0)
    play.happens(PeerFound(play.peer(ALICE), candidate))
    assert play.message("candidate") == Candidate(candidate, 1)
    lose(play)
    play.hears(ALICE, Offer(OFFER, 2, "reconnect"))
    play.happens(PeerFound(replace(play.peer(ALICE), generation=2), None))
    assert play.message("candidate") == Candidate(None, 2)


def test_who_is_connected_is_not_sought() -> None:
    play = session_of(ALICE, BOB)
    play.happens(PeerLost(play.peer(BOB)))
    assert play.call.state is CallState.CONNECTED
    assert asked(play) == ["bob"]
    play.happens(PeerRestored(play.peer(BOB)))
    play.wait(3 * SEEK_S)
    assert not asked(play)
    play.happens(LinkChanged(LinkState.CONNECTING), LinkChanged(LinkState.CONNECTED))
    play.comes("alice")
    assert not asked(play)
    assert not opened(play)


def test_a_guest_of_the_host_s_who_is_no_contact_is_sought_with_the_link() -> None:
    play = session_of(ALICE, BOB)
    contacts = {uid: one for uid, one in play.policy.contacts.items() if uid != "bob"}
    play.policy = replace(play.policy, contacts=contacts)
    play.happens(PeerLost(play.peer(BOB)))
    play.happens(LinkChanged(LinkState.CONNECTING), LinkChanged(LinkState.CONNECTED))
    assert asked(play) == ["bob"], "nobody tells of his presence"


def test_a_running_call_does_not_notice_that_the_broker_is_away() -> None:
    play = answering()
    before = play.call
    told = len(play.all)
    for state in (LinkState.CONNECTING, LinkState.OFFLINE, LinkState.CONNECTING):
        play.happens(LinkChanged(state))
        play.wait(9)
        play.goes("alice")
    play.happens(LinkChanged(LinkState.CONNECTED))
    play.comes("alice")
    assert play.call.state is CallState.CONNECTED
    assert play.call.members == before.members
    kinds = {type(one) for one in play.all[told:]}
    assert not kinds & {OpenPeer, ClosePeer, SettleMessage}


def test_it_is_given_up_after_its_time() -> None:
    play = offering()
    lose(play)
    play.wait(RECONNECT_S - 0.1)
    assert play.call.state is CallState.RECONNECTING
    play.wait(0.2)
    assert play.event(CallEnded).reason is CallEndReason.CONNECTION_CLOSED
    play.wait(5 * SEEK_S)
    assert not opened(play)


def test_an_outage_is_as_long_as_it_was() -> None:
    play = answering()
    lose(play)
    play.wait(25)
    following = replace(play.peer(ALICE), generation=2)
    play.hears(ALICE, Offer(OFFER, 2, "reconnect"))
    play.happens(agreed(following, video=False), PeerConnected(following))
    assert play.event(ConnectionRestored).outage_s == 25
