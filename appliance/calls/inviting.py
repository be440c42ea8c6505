"""Who is rung by a call, at which of their endpoints, and the invites that go there."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.calls.call import Invitee, Leg, LiveCall
from appliance.calls.effects import StartTimer
from appliance.calls.inputs import PresenceChanged, Timer
from appliance.calls.turn import Turn
from appliance.commands import InitiateCall
from appliance.errors import Refused, did_you_mean
from appliance.events import (
    InvitationUserStateChanged,
)
from appliance.messages import Address, Invite
from appliance.model import (
    CalleeState,
    Receiver,
    ReceiverType,
    Right,
)


def receiver_of(turn: Turn, command: InitiateCall) -> Receiver:
    """Whom a command wants to call; raises Refused where it is nobody that is known."""
    if command.receiver is None:
        if turn.policy.receiver is None:
            raise Refused("no_receiver", "no receiver was given and none is configured")
        return turn.policy.receiver
    known = (
        turn.policy.groups if command.receiver_type is ReceiverType.GROUP else turn.policy.contacts
    )
    if command.receiver not in known:
        hint = did_you_mean(command.receiver, known)
        raise Refused(
            "unknown_receiver", f"no {command.receiver_type} is called {command.receiver}{hint}"
        )
    name = turn.policy.name_of(command.receiver)
    return Receiver(command.receiver_type, command.receiver, name)


def uids_of(turn: Turn, receiver: Receiver) -> tuple[str, ...]:
    """Whom a receiver means, of those who may answer; raises Refused where that is nobody."""
    policy = turn.policy
    group = policy.groups.get(receiver.id) if receiver.type is ReceiverType.GROUP else None
    uids = group.members if group else (receiver.id,)
    uids = tuple(uid for uid in uids if policy.may(uid, Right.ANSWER))
    if not uids:
        sentence = "cannot be rung: nobody there is paired and has the right to answer"
        raise Refused("nobody_to_call", f"{receiver.id} {sentence}")
    return uids


def invitee_of(turn: Turn, uid: str, *, further: bool = False) -> Invitee:
    """A uid that is to be rung, with a leg for each endpoint that is online."""
    present = turn.state.presence.get(uid, ())
    legs = tuple(Leg(presence.endpoint, presence.epoch) for presence in present)
    return Invitee(
        uid=uid,
        name=turn.policy.name_of(uid),
        state=CalleeState.INVITING if legs else CalleeState.OFFLINE,
        legs=legs or (Leg(None),),
        further=further,
    )


def invite(turn: Turn, call: LiveCall, to: Address) -> None:
    """Invite one endpoint, for what is left of the ring time."""
    left_s = max(0.0, call.deadline_s - turn.now.monotonic_s)
    turn.send(
        to,
        call,
        Invite(
            session_id=call.session_id,
            call_type=call.type,
            receiver=call.receiver,
            caller=call.caller,
            timeout_s=round(left_s, 3),
            callees=tuple(invitee.uid for invitee in call.invitees),
            custom_data=call.custom_data,
        ),
        ttl_s=left_s,
    )


def invite_further(turn: Turn, call: LiveCall, receiver: Receiver) -> None:
    """Ring somebody else into the session; raises Refused where nobody is there to be rung."""
    policy = turn.policy
    if turn.state.do_not_disturb is not None:
        raise Refused("do_not_disturb", "do not disturb is on: nobody is rung")
    uids = uids_of(turn, receiver)
    there = {member.peer.uid for member in call.members} | {one.uid for one in _rung(call)}
    new = tuple(invitee_of(turn, uid, further=True) for uid in uids if uid not in there)
    if not new:
        raise Refused("already_there", f"{receiver.id} is in the session, or is rung already")
    kept = tuple(one for one in call.invitees if one.uid not in {other.uid for other in new})
    deadline_s = turn.now.monotonic_s + policy.ring_timeout_s
    call = turn.put(
        call,
        invitees=(*kept, *new),
        deadline_s=deadline_s,
        put_out=call.put_out - {invitee.uid for invitee in new},
    )
    tell_states(turn, call)
    for invitee in new:
        for leg in invitee.legs:
            invite(turn, call, Address(invitee.uid, leg.endpoint))
    turn.do(StartTimer(Timer("ring", call.call_id), policy.ring_timeout_s))


def _rung(call: LiveCall) -> tuple[Invitee, ...]:
    return tuple(one for one in call.invitees if one.open)


def callee_came(turn: Turn, call: LiveCall, presence: PresenceChanged) -> None:
    """Who comes online while a call rings is invited at once with what is left of the time."""
    invitee = call.invitee(presence.uid)
    if invitee is None or not invitee.open:
        return
    if any(
        leg.endpoint == presence.endpoint and leg.epoch == presence.epoch for leg in invitee.legs
    ):
        return
    leg = Leg(presence.endpoint, presence.epoch)
    legs = tuple(one for one in invitee.legs if one.endpoint not in (None, presence.endpoint))
    invitee = replace(invitee, legs=(*legs, leg))
    if invitee.state is CalleeState.OFFLINE:
        invitee = replace(invitee, state=CalleeState.INVITING)
    call = put_invitee(turn, call, invitee)
    invite(turn, call, Address(presence.uid, presence.endpoint))


def callee_went(turn: Turn, call: LiveCall, presence: PresenceChanged) -> None:
    """An endpoint that goes offline rings no more."""
    invitee = call.invitee(presence.uid)
    if invitee is None or not invitee.open:
        return
    legs = tuple(leg for leg in invitee.legs if leg.endpoint != presence.endpoint)
    if len(legs) == len(invitee.legs):
        return
    if not legs:
        invitee = replace(invitee, state=CalleeState.OFFLINE)
    put_invitee(turn, call, replace(invitee, legs=legs))


def invited(call: LiveCall, sender: Address) -> Invitee:
    """The invitee that a message comes from; raises Refused where it is none."""
    invitee = call.invitee(sender.uid)
    if invitee is None:
        raise Refused("not_invited", f"{sender.uid} was not invited to this call")
    return invitee


def with_leg(invitee: Invitee, sender: Address, state: CalleeState) -> Invitee:
    """The invitee with what one of its endpoints has become."""
    epoch = next((leg.epoch for leg in invitee.legs if leg.endpoint == sender.endpoint), None)
    legs = tuple(leg for leg in invitee.legs if leg.endpoint not in (None, sender.endpoint))
    return replace(invitee, legs=(*legs, Leg(sender.endpoint, epoch, state)))


def put_invitee(turn: Turn, call: LiveCall, invitee: Invitee) -> LiveCall:
    """Keep what has become of an invitee, and tell its state where that is new."""
    before = call.invitee(invitee.uid)
    call = turn.put(
        call,
        invitees=tuple(invitee if one.uid == invitee.uid else one for one in call.invitees),
    )
    if before is None or before.state is not invitee.state:
        tell_states(turn, call)
    return call


def tell_states(turn: Turn, call: LiveCall) -> None:
    """Tell the states of all who are invited."""
    callees = tuple(invitee.public() for invitee in call.invitees)
    turn.emit(InvitationUserStateChanged(call.public(turn.now), callees), call)
