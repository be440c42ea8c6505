"""Hold, and the second call: which of two calls is talked in, and which waits."""

from __future__ import annotations

from appliance.calls.call import LiveCall, Member
from appliance.calls.effects import HoldPeer
from appliance.calls.turn import Turn
from appliance.commands import HoldCall
from appliance.events import HoldToggled
from appliance.messages import State

CALLS_MAX = 2


def hold(turn: Turn, call: LiveCall, command: HoldCall) -> None:
    """Put the active call on hold or take it off; with a second call that is held, change places."""
    other = turn.state.other_than(call)
    if other is not None and other.on_hold and other.joined:
        _swap(turn, call, other)
    else:
        put_on_hold(turn, call, on_hold=command.on_hold)


def _swap(turn: Turn, active: LiveCall, held: LiveCall) -> None:
    put_on_hold(turn, active, on_hold=True, waits=True)
    turn.to_front(put_on_hold(turn, held, on_hold=False))


def put_on_hold(turn: Turn, call: LiveCall, *, on_hold: bool, waits: bool = False) -> LiveCall:
    """Hold a call here, or not any more; `waits`: as long as the other call lasts."""
    if turn.now_of(call).on_hold is on_hold:
        return turn.now_of(call)
    call = turn.put(call, on_hold=on_hold, waits=waits and on_hold)
    for member in call.members:
        apply(turn, call, member)
    turn.emit(HoldToggled(call.public(turn.now), on_hold), call)
    turn.send_all(call, State({"on_hold": on_hold}))
    return call


def apply(turn: Turn, call: LiveCall, member: Member) -> None:
    """Let a connection be as the two sides' hold wants it."""
    there = member.participant.on_hold
    turn.do(HoldPeer(member.peer, here=call.on_hold, there=there))


def held_there(turn: Turn, call: LiveCall, member: Member) -> None:
    """A participant has put this device on hold, or taken it off."""
    apply(turn, call, member)
    turn.emit(HoldToggled(call.public(turn.now), member.participant.on_hold), call)


# -------------------- a second call


def second_allowed(turn: Turn) -> bool:
    """Whether a second call may come in, or be made."""
    active = turn.state.active
    if active is None or len(turn.state.calls) >= CALLS_MAX or not active.joined:
        return False
    return active.on_hold or active.settings.call_waiting


def make_way(turn: Turn, call: LiveCall) -> None:
    """Another call is taken, or made: whoever is talked with is put on hold until it is over."""
    for other in turn.state.calls:
        if other.call_id != call.call_id and other.joined and not other.on_hold:
            put_on_hold(turn, other, on_hold=True, waits=True)


def resume_after(turn: Turn) -> None:
    """A call has ended: one that was only waiting for that goes on."""
    active = turn.state.active
    if turn.state.stopping:
        return
    if active is not None and active.waits and len(turn.state.calls) == 1:
        put_on_hold(turn, active, on_hold=False)
