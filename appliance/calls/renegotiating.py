"""Agreeing anew about a standing connection, or replacing it: only who offered first ever offers."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls import requests
from appliance.calls.effects import ClosePeer, OpenPeer, Renegotiate
from appliance.calls.state import LiveCall, Member
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


def for_screen(turn: Turn, call: LiveCall) -> None:
    """See that everyone has a section for the screen."""
    for member in call.members:
        if member.screen or not member.joined:
            continue
        if member.offers:
            _offer(turn, call, member, SCREEN_SHARE)
        else:
            ask_for(turn, call, member, SCREEN_SHARE)


def _offer(turn: Turn, call: LiveCall, member: Member, reason: str) -> None:
    turn.put_member(call, replace(member, offering=reason))
    turn.do(Renegotiate(member.peer, call.type))


def ask_for(turn: Turn, call: LiveCall, member: Member, reason: str) -> None:
    """Ask the side that offers to offer."""
    call = turn.now_of(call)
    requests.ask(turn, call, member.address, RequestAction.RENEGOTIATE, reason=reason)


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


def offer_came(turn: Turn, call: LiveCall, member: Member, message: Offer) -> None:
    """The other side offers: of the present generation anew, of the next a replacement."""
    if member.offers:
        raise Refused("not_the_offerer", f"{member.peer.uid} offers, but this device offered first")
    if message.generation == member.peer.generation:
        turn.do(Renegotiate(member.peer, call.type, message.offer))
    elif message.generation == member.peer.generation + 1 and member.next is None:
        following = replace(member.peer, generation=message.generation)
        turn.put_member(call, replace(member, next=following))
        turn.do(OpenPeer(following, call.type, message.offer))


def replaced(turn: Turn, call: LiveCall, member: Member) -> Member:
    """The next connection is connected: the one before it is closed."""
    assert member.next is not None
    turn.do(ClosePeer(member.peer))
    member = replace(member, peer=member.next, next=None, awaits_answer=False)
    turn.put_member(call, member)
    return member
