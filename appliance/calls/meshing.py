"""Sessions of several: whoever comes later offers to those before it in the host's list."""

from __future__ import annotations

from appliance.calls import outage, participants, peers, replies, roster, tokens, trusting
from appliance.calls.call import Admitted, LiveCall, Member, Way
from appliance.calls.effects import StopTimer
from appliance.calls.inputs import Timer
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
    call = replies.came_by_token(turn, call, sender)
    order = roster.order_with(call, sender)
    turn.put(call, admitted=(*call.admitted, admitted), order=order)


def _connect(turn: Turn, call: LiveCall, sender: Address, offer: SessionDescription) -> None:
    call_id = turn.envelope or call.call_id
    member = call.member(sender)
    if member is not None:
        _connect_anew(turn, call, member, call_id, offer)
    elif any(one.address == sender for one in call.admitted) or call.lists(sender):
        _let_in(turn, call, sender, call_id, offer)
    elif turn.hosts(call) and sender in call.gone:
        turn.send(sender, call_id, End("failed"))
    elif turn.hosts(call):
        raise Refused("not_listed", f"{sender.uid} joins without having been let in")
    elif len(call.early_joins) >= EARLY_JOINS:
        raise Refused("too_many", "too many join before the host has told of them")
    else:
        turn.put(call, early_joins=(*call.early_joins, (sender, call_id, offer)))


def _connect_anew(
    turn: Turn, call: LiveCall, member: Member, call_id: str, offer: SessionDescription
) -> None:
    """Who joins a second time has lost the connection that there was, or has been away."""
    if member.offers and _stands_before(call, member.address, turn.policy.address):
        raise Refused("connected", f"{member.peer.uid} joins, but it was offered a connection")
    order = call.order
    call = roster.disconnect(turn, call, member, ParticipantLeftReason.CONNECTION_LOST)
    call = _let_in(turn, call, member.address, call_id, offer)
    turn.put(call, order=order)
    outage.judge(turn, call)
    roster.watch_alone(turn, call)


def _stands_before(call: LiveCall, first: Address, second: Address) -> bool:
    places = [Address(one.uid, one.endpoint) for one in call.listed]
    return first in places and second in places and places.index(first) < places.index(second)


def _let_in(
    turn: Turn, call: LiveCall, sender: Address, call_id: str, offer: SessionDescription
) -> LiveCall:
    call = peers.open_towards(turn, call, sender, offer, Way.ANSWERING, call_id)
    return turn.put(call, admitted=tuple(one for one in call.admitted if one.address != sender))


# -------------------- the host's list


def list_came(turn: Turn, call: LiveCall, sender: Address, message: Participants) -> None:
    """The host tells who is there: who is new and stands before this device is connected with."""
    if turn.hosts(call):
        raise Refused("not_the_host", f"{sender.uid} sends a list, but this device is the host")
    if sender.uid != call.host.uid:
        raise Refused("not_the_host", f"{sender.uid} sends a list, but {call.host.uid} is the host")
    if message.version < call.list_version:
        return
    if message.version == call.list_version:
        call = _judge_anew(turn, call)
        trusting.follow(turn, call)  # its epochs may be others
        _connect_with_earlier(turn, call)  # with whom that did not succeed
        participants.correct(turn, call)
        return
    call = turn.put(
        call,
        host=sender,
        list_version=message.version,
        session_id=message.session_id,
        listed=trusting.brought(turn, call, message.participants),
    )
    _tell_left_out(turn, call, message)
    trusting.follow(turn, call)
    if call.direct and call.state is CallState.CONNECTING:
        call = _admitted(turn, call)
    call = _drop_vanished(turn, call)
    call = _connect_with_earlier(turn, call)
    _take_early_joins(turn, call)
    participants.follow_list(turn, call)
    participants.correct(turn, turn.now_of(call))
    outage.judge(turn, call)
    if call.joined:
        roster.watch_alone(turn, call)


def _judge_anew(turn: Turn, call: LiveCall) -> LiveCall:
    """The host's right to bring in whom it has listed may have been taken away since."""
    still = trusting.brought(turn, call, call.listed)
    if still == call.listed:
        return call
    call = _drop_vanished(turn, turn.put(call, listed=still))
    if call.joined:
        roster.watch_alone(turn, call)
    return turn.now_of(call)


def _tell_left_out(turn: Turn, call: LiveCall, message: Participants) -> None:
    left_out = [one.uid for one in message.participants if one not in call.listed]
    if left_out:
        host, who = call.host.uid, ", ".join(sorted(set(left_out)))
        sentence = f"{host}, the host, has no right (moderate) to bring in {who}"
        turn.error("not_allowed", sentence, host, call.call_id)


def not_there(turn: Turn, call_id: str, sender: Address, message: Participants) -> None:
    """Somebody's list names this device, which is in no such session (any more): it is told so."""
    if any(Address(one.uid, one.endpoint) == turn.policy.address for one in message.participants):
        turn.send(sender, call_id, End("hang_up"))


def _admitted(turn: Turn, call: LiveCall) -> LiveCall:
    """A direct session is entered when the host lists this device."""
    if not call.lists(turn.policy.address):
        return call
    turn.do(StopTimer(Timer("setup", call.call_id)))
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


def _take_early_joins(turn: Turn, call: LiveCall) -> None:
    """Who joined before the list named it, and was taken to mean whichever session there is."""
    for holding in turn.state.calls:
        for early in holding.early_joins:
            address, call_id, offer = early
            if not call.lists(address):
                continue
            holding = turn.now_of(holding)
            rest = tuple(one for one in holding.early_joins if one is not early)
            turn.put(holding, early_joins=rest)
            if turn.now_of(call).member(address) is None:
                _let_in(turn, turn.now_of(call), address, call_id, offer)
