"""Agreeing anew about a standing connection, or replacing it: only who offered first ever offers."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls import requests
from appliance.calls.call import LiveCall, Member
from appliance.calls.effects import AddCandidate, ClosePeer, OpenPeer, Renegotiate
from appliance.calls.inputs import PeerKey
from appliance.calls.turn import Turn
from appliance.errors import Refused
from appliance.messages import Address, Offer, Request, Response
from appliance.model import RequestAction

SWITCH_TO_VIDEO, SCREEN_SHARE, RECONNECT = "switch_to_video", "screen_share", "reconnect"


def for_video(turn: Turn, call: LiveCall) -> None:
    """Offer a camera section to those towards whom this device offers; the others will."""
    for member in call.members:
        if member.offers and member.joined:
            _offer(turn, call, member, SWITCH_TO_VIDEO)


def for_screen(turn: Turn, call: LiveCall, only: Address | None = None) -> None:
    """See that everyone, or one of them, has a section for the screen."""
    for member in call.members:
        if member.screen or not member.joined or only not in (None, member.address):
            continue
        if member.offers:
            _offer(turn, call, member, SCREEN_SHARE)
        else:
            ask_for(turn, call, member, SCREEN_SHARE)


def _offer(turn: Turn, call: LiveCall, member: Member, reason: str) -> None:
    """Offer anew, or behind what is being agreed already: one offer at a time."""
    if member.offering is not None or member.next is not None:
        turn.put_member(call, replace(member, then=reason))
        return
    turn.put_member(call, replace(member, offering=reason))
    turn.do(Renegotiate(member.peer, call.type))


def go_on(turn: Turn, call: LiveCall, member: Member) -> None:
    """What was offered is agreed: now to what waits behind it."""
    if member.then is not None and member.next is None:
        _offer(turn, call, replace(member, then=None), member.then)


def ask_for(turn: Turn, call: LiveCall, member: Member, reason: str) -> None:
    """Ask the side that offers to offer."""
    requests.ask(turn, call, member.address, RequestAction.RENEGOTIATE, reason=reason)


def give_candidates(turn: Turn, call: LiveCall, peer: PeerKey) -> LiveCall:
    """A connection is open: it gets the candidates that came before it."""
    address = Address(peer.uid, peer.endpoint)
    mine = [one for one in call.candidates if one[:2] == (address, peer.generation)]
    turn.do(*(AddCandidate(peer, candidate) for _, _, candidate in mine))
    return turn.put(call, candidates=tuple(one for one in call.candidates if one not in mine))


def asked(turn: Turn, call: LiveCall, sender: Address, message: Request) -> None:
    """The other side asks for a new offer."""
    member = call.member(sender)
    if member is None or not member.offers:
        raise Refused(
            "not_the_offerer", "only who offered first offers, and that was not this device"
        )
    turn.send(sender, call, Response(message.request_id, accepted=True))
    if message.reason == RECONNECT:
        replace_connection(turn, call, member)
    else:
        _offer(turn, call, member, message.reason or SCREEN_SHARE)


def replace_connection(turn: Turn, call: LiveCall, member: Member) -> None:
    """Open a connection of the next generation beside the one that is lost."""
    if member.next is not None:
        return
    following = replace(member.peer, generation=member.peer.generation + 1)
    turn.put_member(call, replace(member, next=following, offering=RECONNECT))
    turn.do(OpenPeer(following, call.type))
    give_candidates(turn, turn.now_of(call), following)


def offer_came(turn: Turn, call: LiveCall, member: Member, message: Offer) -> None:
    """The other side offers: of the present generation anew, of the next a replacement.

    A second offer of the next generation is a second attempt, the first of which is lost.
    """
    if member.offers:
        raise Refused("not_the_offerer", f"{member.peer.uid} offers, but this device offered first")
    if message.generation == member.peer.generation:
        if not member.described:
            raise Refused("out_of_place", f"{member.peer.uid} offers before it was answered")
        turn.do(Renegotiate(member.peer, call.type, message.offer))
    elif message.generation == member.peer.generation + 1:
        if member.next is not None:
            turn.do(ClosePeer(member.next))
        following = replace(member.peer, generation=message.generation)
        turn.put_member(call, replace(member, next=following))
        turn.do(OpenPeer(following, call.type, message.offer))
        give_candidates(turn, turn.now_of(call), following)


def replaced(turn: Turn, call: LiveCall, member: Member) -> Member:
    """The next connection is connected: the one before it is closed."""
    assert member.next is not None
    turn.do(ClosePeer(member.peer))
    member = replace(member, peer=member.next, next=None, awaits_answer=False, offering=None)
    call = turn.put_member(call, member)
    go_on(turn, call, member)
    return next(one for one in turn.now_of(call).members if one.address == member.address)
