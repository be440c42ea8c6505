"""Sessions of several: whoever comes later offers to those before it in the host's list."""

from __future__ import annotations

from appliance.calls import participants, peers, roster, tokens
from appliance.calls.state import Admitted, LiveCall, Way
from appliance.calls.turn import Turn
from appliance.errors import Refused
from appliance.events import SessionJoined
from appliance.messages import Address, End, Join, Participants, SessionDescription
from appliance.model import (
    CallState,
    Participant,
    ParticipantLeftReason,
    SessionStateReason,
)

EARLY_JOINS = 16
ADMITTED_MAX = 16

# -------------------- somebody wants to come in


def joined(turn: Turn, call: LiveCall, sender: Address, message: Join) -> None:
    """With a token: let me into the session. With an offer: connect with me."""
    if message.offer is not None:
        _connect(turn, call, sender, message.offer)
    else:
        _admit(turn, call, sender, message.token)


def joined_nothing(turn: Turn, call_id: str, sender: Address, message: Join) -> None:
    """The session is over, or has not begun: who wants to come in is told."""
    turn.send(sender, call_id, End("failed"))
    turn.error("no_session", f"{sender.uid} wants to join a session that is not there", sender.uid)


def _admit(turn: Turn, call: LiveCall, sender: Address, token: str | None) -> None:
    if not turn.hosts(call):
        raise Refused("not_the_host", f"{sender.uid} asks to be let in, but this is not the host")
    if call.member(sender) is not None or any(one.address == sender for one in call.admitted):
        roster.send_list(turn, call)
        return
    if len(call.admitted) >= ADMITTED_MAX:
        raise Refused("too_many", "too many come in at once")
    try:
        tokens.check(turn, call, sender.uid, token)
    except Refused as refusal:
        turn.send(sender, call, End("failed"))
        turn.error(refusal.code, str(refusal), sender.uid, call.call_id)
        return
    name = turn.policy.name_of(sender.uid)
    newcomer = Participant(sender.uid, name, sender.endpoint or "")
    admitted = Admitted(newcomer, turn.now.monotonic_s)
    roster.announce(turn, turn.put(call, admitted=(*call.admitted, admitted)))


def _connect(turn: Turn, call: LiveCall, sender: Address, offer: SessionDescription) -> None:
    call_id = turn.envelope or call.call_id
    if call.member(sender) is not None:
        raise Refused("connected", f"{sender.uid} joins, but there is a connection already")
    if any(one.address == sender for one in call.admitted) or call.lists(sender):
        _let_in(turn, call, sender, call_id, offer)
    elif turn.hosts(call):
        raise Refused("not_listed", f"{sender.uid} joins without having been let in")
    elif len(call.early_joins) >= EARLY_JOINS:
        raise Refused("too_many", "too many join before the host has told of them")
    else:
        turn.put(call, early_joins=(*call.early_joins, (sender, call_id, offer)))


def _let_in(
    turn: Turn, call: LiveCall, sender: Address, call_id: str, offer: SessionDescription
) -> LiveCall:
    call = turn.put(
        call,
        admitted=tuple(one for one in call.admitted if one.address != sender),
        early_joins=tuple(one for one in call.early_joins if one[0] != sender),
    )
    return peers.open_towards(turn, call, sender, offer, Way.ANSWERING, call_id)


# -------------------- the host's list


def list_came(turn: Turn, call: LiveCall, sender: Address, message: Participants) -> None:
    """The host tells who is there: who is new and stands before this device is connected with."""
    if turn.hosts(call):
        raise Refused("not_the_host", f"{sender.uid} sends a list, but this device is the host")
    if sender.uid != call.host.uid:
        raise Refused("not_the_host", f"{sender.uid} sends a list, but {call.host.uid} is the host")
    if message.version <= call.list_version:
        return
    call = turn.put(
        call,
        host=sender,
        list_version=message.version,
        session_id=message.session_id,
        listed=message.participants,
    )
    if call.state is CallState.CONNECTING and call.direct:
        call = _admitted(turn, call)
    call = _drop_vanished(turn, call)
    call = _connect_with_earlier(turn, call)
    for early in call.early_joins:
        address, call_id, offer = early
        if call.lists(address) and call.member(address) is None:
            call = _let_in(turn, call, address, call_id, offer)
    participants.follow_list(turn, call)


def _admitted(turn: Turn, call: LiveCall) -> LiveCall:
    """A direct session is entered when the host lists this device."""
    if not call.lists(turn.policy.address):
        return call
    call = turn.put(call, joined=True, state=CallState.CONNECTED)
    turn.session_state(call, SessionStateReason.LOGGED_IN)
    turn.emit(SessionJoined(call.session_id, call.call_id), call)
    return call


def _drop_vanished(turn: Turn, call: LiveCall) -> LiveCall:
    for member in call.members:
        if not call.lists(member.address):
            call = roster.drop(turn, call, member, ParticipantLeftReason.LEFT)
    return call


def _connect_with_earlier(turn: Turn, call: LiveCall) -> LiveCall:
    me = turn.policy.address
    for one in call.listed:
        address = Address(one.uid, one.endpoint)
        if address == me:
            return call
        if call.member(address) is None and call.lists(me):
            call = peers.open_towards(turn, call, address, None, Way.JOINING)
    return call
