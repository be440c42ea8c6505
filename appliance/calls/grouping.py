"""Two calls made one session, and somebody taken out of it into a call of its own."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from appliance.calls import ending, holding, outage, outgoing, recordings, roster
from appliance.calls.call import LiveCall, Member
from appliance.calls.effects import StopTimer
from appliance.calls.inputs import Timer
from appliance.calls.turn import Turn
from appliance.commands import MergeCalls, SplitCall
from appliance.errors import Refused, did_you_mean
from appliance.events import GroupToggled, SessionJoined
from appliance.model import (
    CallState,
    CallType,
    Receiver,
    ReceiverType,
    SessionStateReason,
)


def merge(turn: Turn, call: LiveCall, command: MergeCalls) -> None:
    """One session of the two calls, under the id of the one that began first."""
    other = turn.state.other_than(call)
    if other is None or {call.state, other.state} != {CallState.CONNECTED}:
        raise Refused("no_second_call", "two calls that are connected are needed to merge them")
    _check_merge(turn, call, other)
    first, second = sorted((other, call), key=lambda one: one.answered_s or 0.0)
    second = outgoing.take_back(turn, second)
    first = holding.put_on_hold(turn, first, on_hold=False)
    second = holding.put_on_hold(turn, second, on_hold=False)
    turn.do(*(StopTimer(Timer(kind, second.call_id)) for kind in ending.TIMERS))
    turn.remove(second)
    turn.to_front(first)
    known = {one.uid for one in first.invitees}
    invitees = (*first.invitees, *(one for one in second.invitees if one.uid not in known))
    apart = replace(second, **_NOTHING_OPEN)
    first = turn.put(
        first,
        type=CallType.VIDEO if CallType.VIDEO in (first.type, second.type) else CallType.AUDIO,
        members=(*first.members, *second.members),
        order=(*first.order, *second.order),
        grouped=(*first.grouped, *second.grouped, apart),
        invitees=invitees,
        **{name: (*getattr(first, name), *getattr(second, name)) for name in _CARRIED},
        **{name: {**getattr(first, name), **getattr(second, name)} for name in _KNOWN},
    )
    recordings.follow(turn, second, first)
    turn.emit(GroupToggled(second.public(turn.now), grouped=True), second)
    roster.changed(turn, first)
    roster.watch_alone(turn, first)


_CARRIED = ("asked", "admitted", "candidates", "early_joins")
_KNOWN = ("muted_by", "digits")
_NOTHING_OPEN: dict[str, Any] = {
    "members": (),
    "order": (),
    "told": (),
    "told_is_old": False,
    "grouped": (),
    "asked": (),
    "admitted": (),
    "candidates": (),
    "early_joins": (),
    "farewells": (),
    "speaker": None,
    "switch": None,
    "alone": False,
}
"""Of a call that has none of its participants with it."""


def _check_merge(turn: Turn, call: LiveCall, other: LiveCall) -> None:
    for one in (call, other):
        if not turn.hosts(one):
            raise Refused("not_the_host", f"{one.host.uid} is the host of one of the calls")
        if one.switch is not None:
            raise Refused(
                "asked", "somebody is asked for video; the calls can be merged after that"
            )
    for member in call.members:
        if other.member(member.address) is not None:
            raise Refused("already_there", f"{member.peer.uid} is in both calls")


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
        asked=tuple(one for one in call.asked if one not in apart.asked),
        speaker=None,
    )
    turn.emit(GroupToggled(apart.public(turn.now), grouped=False), apart)
    turn.put(apart)
    if not apart.joined:
        apart = turn.put(apart, joined=True)
        turn.session_state(apart, SessionStateReason.LOGGING_IN)
        turn.session_state(apart, SessionStateReason.LOGGED_IN)
        turn.emit(SessionJoined(apart.session_id, apart.call_id), apart)
    for one in (rest, apart):
        roster.changed(turn, one)
        outage.judge(turn, one)
        roster.watch_alone(turn, one)
    holding.put_on_hold(turn, rest, on_hold=True, waits=True)
    holding.put_on_hold(turn, apart, on_hold=False)


def _call_of(turn: Turn, call: LiveCall, members: tuple[Member, ...]) -> LiveCall:
    """The call of who is taken out: the one with which it came, or a new one; of a new session."""
    uid = members[0].peer.uid
    taken: dict[str, Any] = {
        **_NOTHING_OPEN,
        "state": CallState.CONNECTED,
        "session_id": turn.now.fresh[32:],
        "members": members,
        "order": tuple(one.address for one in members),
        "asked": tuple(one for one in call.asked if one.of.uid == uid),
        "on_hold": call.on_hold,
        "waits": False,
        "lost_at_s": None,
    }
    for grouped in call.grouped:
        came_with = [one for one in call.members if one.peer.call_id == grouped.call_id]
        if set(came_with) == set(members):
            return replace(grouped, **taken)
    return replace(
        call,
        **taken,
        call_id=turn.now.fresh[:32],
        receiver=Receiver(ReceiverType.USER, uid, turn.policy.name_of(uid)),
        invitees=(),
        joined=False,
        direct=False,
        started_at=turn.now.utc,
        answered_at=turn.now.utc,
        answered_s=turn.now.monotonic_s,
    )
