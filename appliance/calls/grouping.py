"""Two calls made one session, and somebody taken out of it into a call of its own."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls import holding, roster
from appliance.calls.effects import StopTimer
from appliance.calls.inputs import Timer
from appliance.calls.state import LiveCall, Member
from appliance.calls.turn import Turn
from appliance.commands import MergeCalls, SplitCall
from appliance.errors import Refused, did_you_mean
from appliance.events import GroupToggled, SessionJoined
from appliance.model import CallState, Receiver, ReceiverType


def merge(turn: Turn, call: LiveCall, command: MergeCalls) -> None:
    """One session of the two calls, under the id of the one that began first."""
    other = turn.state.other_than(call)
    if other is None or not (call.joined and other.joined):
        raise Refused("no_second_call", "two calls that are connected are needed to merge them")
    for one in (call, other):
        if not turn.hosts(one):
            raise Refused("not_the_host", f"{one.host.uid} is the host of one of the calls")
    first, second = sorted((call, other), key=lambda one: one.started_at)
    first = holding.put_on_hold(turn, first, on_hold=False)
    second = holding.put_on_hold(turn, second, on_hold=False)
    turn.do(*(StopTimer(Timer(kind, second.call_id)) for kind in _TIMERS))
    turn.remove(second)
    first = turn.put(
        first,
        members=(*first.members, *second.members),
        grouped=(*first.grouped, *second.grouped, replace(second, members=(), grouped=())),
        asked=(*first.asked, *second.asked),
        admitted=(*first.admitted, *second.admitted),
    )
    if first.members:
        roster.no_longer_alone(turn, first)
    turn.emit(GroupToggled(second.public(turn.now), grouped=True), second)
    roster.changed(turn, first)
    roster.announce(turn, first)


_TIMERS = ("ring", "setup", "reconnect", "farewell", "participants", "idle")


def split(turn: Turn, call: LiveCall, command: SplitCall) -> None:
    """Take one participant out into a call of its own, in which one talks on; the others are held."""
    members = call.members_of(command.uid)
    if not turn.hosts(call):
        raise Refused("not_the_host", f"{call.host.uid} is the host of this session")
    if turn.state.other_than(call) is not None:
        raise Refused("busy", "there are two calls already")
    if not members:
        near = did_you_mean(command.uid, [member.peer.uid for member in call.members])
        raise Refused("not_in_call", f"{command.uid} is not in this call{near}")
    if len(members) == len(call.members):
        raise Refused("alone", f"{command.uid} is the only other one in this call")
    apart = _call_of(turn, call, members)
    rest = turn.put(
        call,
        members=tuple(one for one in call.members if one not in members),
        grouped=tuple(one for one in call.grouped if one.call_id != apart.call_id),
        speaker=None,
    )
    turn.emit(GroupToggled(apart.public(turn.now), grouped=False), apart)
    if not apart.joined:
        turn.put(apart)
        apart = turn.put(apart, joined=True)
        turn.emit(SessionJoined(apart.session_id, apart.call_id), apart)
    turn.to_front(apart)
    for one in (rest, apart):
        roster.changed(turn, one)
        roster.announce(turn, one)
    holding.put_on_hold(turn, turn.now_of(rest), on_hold=True, waits=True)


def _call_of(turn: Turn, call: LiveCall, members: tuple[Member, ...]) -> LiveCall:
    """The call of who is taken out: the one with which it came, or a new one; of a new session."""
    session_id = turn.now.fresh[32:]
    for grouped in call.grouped:
        came_with = [one for one in call.members if one.peer.call_id == grouped.call_id]
        if set(came_with) == set(members):
            return replace(grouped, members=members, session_id=session_id, on_hold=False)
    uid = members[0].peer.uid
    return replace(
        call,
        call_id=turn.now.fresh[:32],
        session_id=session_id,
        state=CallState.CONNECTED,
        receiver=Receiver(ReceiverType.USER, uid, turn.policy.name_of(uid)),
        invitees=(),
        members=members,
        candidates=(),
        grouped=(),
        asked=(),
        admitted=(),
        early_joins=(),
        switch=None,
        speaker=None,
        farewell=None,
        joined=False,
        direct=False,
        started_at=turn.now.utc,
    )
