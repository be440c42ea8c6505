"""Who is in the plays of several: the people, the other device, and how a session of them comes about."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls.call import LiveCall
from appliance.calls.inputs import PeerAgreed, PeerAnswered, PeerConnected, PeerKey, PeerOffered
from appliance.commands import AcceptCall, InitiateCall, Invite
from appliance.messages import Accept, Address, Answer, Participants
from appliance.model import CallType, Participant, ReceiverType
from tests.parts.play import ANSWER, OFFER, RICH, Play

ALICE, BOB, CAROL = Address("alice", "phone"), Address("bob", "phone"), Address("carol", "phone")
DOOR, GATE = Address("front-door", "main"), Address("gate", "main")
HOME = {"alice": ["phone"], "bob": ["phone"], "carol": ["phone"]}

PATIENT = replace(RICH, settings=replace(RICH.settings, accept_video="auto", idle_timeout_s=60))


def session_of(*addresses: Address, play: Play | None = None) -> Play:
    """The door called the first of them, and invited the others into the session."""
    play = play or Play(PATIENT, online=HOME)
    first, *others = addresses
    play.is_in_call_with(first)
    for one in others:
        play.orders(Invite(receiver=one.uid))
        joins(play, one)
    return play


def joins(play: Play, address: Address) -> None:
    """Who is rung takes the call, and its media connects."""
    play.hears(address, Accept(offer=OFFER))
    play.connects(address)


def guest_in(*listed: Address, play: Play | None = None, version: int = 1) -> Play:
    """The gate called this door, which answered; then the gate's list came."""
    play = play or Play(PATIENT, online=HOME)
    play.is_called(GATE, offer=None)
    play.orders(AcceptCall())
    play.happens(PeerOffered(play.peer(GATE), OFFER))
    play.hears(GATE, Answer(ANSWER))
    play.happens(agreed(play.peer(GATE)), PeerConnected(play.peer(GATE)))
    if listed:
        play.hears(GATE, list_of(GATE, *listed, version=version))
    return play


def list_of(
    *addresses: Address, version: int = 1, session_id: str = "session-1", **flags: bool
) -> Participants:
    """The list of a host; `flags` are of whoever stands first."""
    named = [Participant(one.uid, one.uid.title(), one.endpoint or "") for one in addresses]
    return Participants(session_id, version, (replace(named[0], **flags), *named[1:]))


def agreed(peer: PeerKey, *, video: bool = True, screen: bool = False) -> PeerAgreed:
    return PeerAgreed(peer, video=video, screen=screen)


def second_call_with(play: Play, address: Address) -> LiveCall:
    """This door calls somebody else, who takes it."""
    play.orders(InitiateCall(receiver=address.uid))
    play.hears(address, Accept(offer=OFFER))
    play.connects(address)
    return play.call


def audio_call_with(play: Play, address: Address) -> None:
    """This door calls without video, and the call is taken."""
    play.orders(InitiateCall(receiver=address.uid, type=CallType.AUDIO))
    play.hears(address, Accept(offer=OFFER))
    play.connects(address)


def party(*online: str) -> Play:
    """The door rings a group of which all may come in."""
    play = Play(PATIENT, online={uid: ["phone"] for uid in online})
    play.orders(InitiateCall(receiver="party", receiver_type=ReceiverType.GROUP))
    return play


def answers(play: Play, address: Address) -> None:
    """The description of an answer is ready, and media flows."""
    peer = play.peer(address)
    play.happens(PeerAnswered(peer, ANSWER), agreed(peer), PeerConnected(peer))
