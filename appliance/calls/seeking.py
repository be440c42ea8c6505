"""A connection that is lost is sought anew: at once, every few seconds, and when either side is back."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls import renegotiating, roster
from appliance.calls.call import LiveCall, Member
from appliance.calls.effects import ClosePeer, SettleMessage, StartTimer
from appliance.calls.inputs import LinkState, Timer
from appliance.calls.turn import Turn
from appliance.messages import Address, Offer
from appliance.model import RequestAction

SEEK_S = 3.0
"""A lost connection for which nothing is under way is sought again so often."""


def begin(turn: Turn, call: LiveCall, member: Member) -> None:
    """Nothing comes from it any more: another connection is offered, or asked for."""
    _seek(turn, call, member)
    turn.do(StartTimer(Timer("seek", call.call_id), SEEK_S))


def again(turn: Turn, call: LiveCall) -> None:
    """It is time: an attempt may have failed, or what was asked may not have been heard."""
    lost = [member for member in call.members if _is_lost(member)]
    for member in lost:
        under_way = member.next is not None or _is_asked(call, member)
        if not under_way and turn.state.link is LinkState.CONNECTED:
            _seek(turn, call, member)
    if lost:
        turn.do(StartTimer(Timer("seek", call.call_id), SEEK_S))


def reachable(turn: Turn, call: LiveCall, address: Address | None) -> None:
    """That endpoint is at the broker again, or this device is (None).

    Then it may well have another address, and what was offered before leads nowhere. Of the contacts
    each is told of by itself; a guest's other guests are not.
    """
    call = roster.tell_anew(turn, call, address)
    for member in call.members:
        unseen = address is None and member.peer.uid not in turn.policy.contacts
        if _is_lost(member) and (unseen or member.address == address):
            _seek(turn, call, _abandon(turn, call, member))


def _is_lost(member: Member) -> bool:
    return member.joined and not member.connected


def _is_asked(call: LiveCall, member: Member) -> bool:
    """It has not said yet whether it will offer; a second request would make it begin anew."""
    return any(
        one.of == member.address and one.action is RequestAction.RENEGOTIATE for one in call.asked
    )


def _seek(turn: Turn, call: LiveCall, member: Member) -> None:
    if member.offers:
        renegotiating.replace_connection(turn, call, member)
    else:
        renegotiating.ask_for(turn, call, member, renegotiating.RECONNECT)


def _abandon(turn: Turn, call: LiveCall, member: Member) -> Member:
    """What was offered so far is taken back; what the other side offers is its own to repeat."""
    if not member.offers or member.next is None:
        return member
    turn.do(ClosePeer(member.next), SettleMessage(member.address, member.peer.call_id, Offer.TYPE))
    member = replace(member, next=None, awaits_answer=False, offering=None)
    turn.put_member(call, member)
    return member
