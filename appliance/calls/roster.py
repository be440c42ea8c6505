"""Who is in a session: the list as the host tells it, and taking a member off it."""

from __future__ import annotations

from appliance import messages
from appliance.calls.effects import ClosePeer, StartTimer
from appliance.calls.inputs import Timer
from appliance.calls.state import LiveCall, Member
from appliance.calls.turn import Turn
from appliance.errors import Refused
from appliance.events import ParticipantLeft, ParticipantListChanged
from appliance.messages import Address
from appliance.model import ParticipantLeftReason

LIST_EVERY_S = 10.0
"""How often the host sends the list again, for who missed one."""


def changed(turn: Turn, call: LiveCall) -> None:
    """Tell of the whole list, after whatever changed in it."""
    turn.emit(ParticipantListChanged(call.participants), call)


def start_list(turn: Turn, call: LiveCall) -> None:
    """Send the list to all as the host does, now and again every 10 s."""
    call = turn.put(call, list_version=call.list_version + 1)
    send_list(turn, call)


def send_list(turn: Turn, call: LiveCall) -> None:
    """Send the list as it is, of the same version."""
    everyone = (turn.myself(call), *call.participants)
    listing = messages.Participants(call.session_id, call.list_version, everyone)
    turn.send_all(call, listing)
    turn.do(StartTimer(Timer("participants", call.call_id), LIST_EVERY_S))


def drop(turn: Turn, call: LiveCall, member: Member, reason: ParticipantLeftReason) -> LiveCall:
    """Close one member's connection while the session goes on."""
    turn.do(ClosePeer(member.peer))
    members = tuple(one for one in call.members if one.peer != member.peer)
    call = turn.put(call, members=members)
    if member.joined:
        turn.emit(ParticipantLeft(member.participant, reason), call)
        changed(turn, call)
    return call


def sender_of(call: LiveCall, sender: Address) -> Member:
    """The member that sent a message; raises Refused where it is none."""
    member = call.member(sender)
    if member is None:
        raise Refused("not_in_call", f"{sender.uid} ({sender.endpoint}) is not in this call")
    return member
