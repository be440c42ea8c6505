"""What the host does to others, or a guest asks it to do: invite, mute, kick."""

from __future__ import annotations

from appliance.calls import devices, inviting, requests, roster
from appliance.calls.call import LiveCall, Member
from appliance.calls.later import Later
from appliance.calls.turn import Turn
from appliance.commands import Invite, KickParticipant, MuteAudio, MuteParticipant
from appliance.errors import Refused, did_you_mean
from appliance.messages import Address, End, Request, Response
from appliance.model import (
    CallEndReason,
    ParticipantLeftReason,
    Receiver,
    ReceiverType,
    RequestAction,
    Right,
)

# -------------------- commands of this device


def invite(turn: Turn, call: LiveCall, command: Invite) -> Later | None:
    """Ring a further user into the running session."""
    receiver = _receiver(turn, command.receiver)
    if not turn.hosts(call):
        name = f"{receiver.type}:{receiver.id}"
        return requests.ask(
            turn, call, call.host, RequestAction.INVITE, receiver=name, request=turn.request
        )
    inviting.invite_further(turn, call, receiver)
    return None


def kick(turn: Turn, call: LiveCall, command: KickParticipant) -> Later | None:
    """Put a participant out of the session."""
    members = _participants(turn, call, command.uid)
    if not turn.hosts(call):
        return requests.ask(
            turn, call, call.host, RequestAction.KICK, uid=command.uid, request=turn.request
        )
    _put_out(turn, call, members, turn.policy.uid)
    return None


def mute(turn: Turn, call: LiveCall, command: MuteParticipant) -> Later | None:
    """Mute another participant's microphone, or ask it to open it."""
    members = _participants(turn, call, command.uid)
    action = RequestAction.MUTE if command.muted else RequestAction.UNMUTE
    if not turn.hosts(call):
        return requests.ask(turn, call, call.host, action, uid=command.uid, request=turn.request)
    answer = None
    for member in members:
        answer = _pass_on(turn, call, member, action, turn.policy.uid)
    return answer


# -------------------- requests of others


def asked_to_invite(turn: Turn, call: LiveCall, sender: Address, message: Request) -> None:
    """A participant with the right wants a further user rung."""
    _check(turn, call, sender, "invite others")
    inviting.invite_further(turn, call, _receiver(turn, message.receiver))
    _agree(turn, call, sender, message)


def asked_to_kick(turn: Turn, call: LiveCall, sender: Address, message: Request) -> None:
    """A participant with the right wants another put out."""
    _check(turn, call, sender, "put others out")
    members = _participants(turn, call, message.uid or "")
    _agree(turn, call, sender, message)
    _put_out(turn, call, members, sender.uid)


def asked_to_mute(turn: Turn, call: LiveCall, sender: Address, message: Request) -> None:
    """The host, or who has the right, wants a microphone muted or open: this one's or another's.

    To be the host is enough to mute. What opens something here wants the right too: anybody who may call
    is the host of a call from an endpoint of that name.
    """
    muted = message.action is RequestAction.MUTE
    from_host = sender.uid == call.host.uid
    if not from_host:
        _check(turn, call, sender, "mute others")
    elif not muted:
        _check_right(turn, sender, "open this microphone")
    if message.uid in (None, turn.policy.uid):
        devices.mute(turn, call, MuteAudio(muted=muted))
    elif from_host:
        raise Refused("misaddressed", f"{message.uid} is not this device")
    else:
        for member in _participants(turn, call, message.uid or ""):
            _pass_on(turn, call, member, message.action, sender.uid)
    _agree(turn, call, sender, message)


def _check(turn: Turn, call: LiveCall, sender: Address, what: str) -> None:
    if not turn.hosts(call):
        raise Refused("not_the_host", f"this device is not the host: {call.host.uid} is")
    _check_right(turn, sender, what)


def _check_right(turn: Turn, sender: Address, what: str) -> None:
    if not turn.policy.may(sender.uid, Right.MODERATE):
        raise Refused("not_allowed", f"{sender.uid} has no right to {what}")


def _agree(turn: Turn, call: LiveCall, sender: Address, message: Request) -> None:
    turn.send(sender, call, Response(message.request_id, accepted=True))


# -------------------- doing it


def _pass_on(turn: Turn, call: LiveCall, member: Member, action: RequestAction, by: str) -> Later:
    call = turn.now_of(call)
    if action is RequestAction.MUTE:
        call = turn.put(call, muted_by={**call.muted_by, member.address: by})
    request, uid = turn.request, member.peer.uid
    return requests.ask(turn, call, member.address, action, uid=uid, request=request)


def _put_out(turn: Turn, call: LiveCall, members: tuple[Member, ...], by: str) -> None:
    for member in members:
        call = turn.put(turn.now_of(call), put_out=call.put_out | {member.peer.uid})
        turn.send(member.address, call, End("kicked_out", kicked_by=by))
        call = roster.drop(turn, call, member, ParticipantLeftReason.KICKED_OUT)
    roster.go_on_without(turn, call, CallEndReason.LOCAL_HANG_UP)


def _participants(turn: Turn, call: LiveCall, uid: str) -> tuple[Member, ...]:
    members = call.members_of(uid)
    if uid == turn.policy.uid:
        raise Refused("own_uid", f"{uid} is this device itself")
    if not members:
        others = [member.peer.uid for member in call.members]
        raise Refused("not_in_call", f"{uid} is not in this call{did_you_mean(uid, others)}")
    return members


def _receiver(turn: Turn, text: str | None) -> Receiver:
    """`user:<uid>`, `group:<id>` or a plain uid; without any, the configured one."""
    policy = turn.policy
    if text is None:
        receiver = policy.invite_receiver or policy.receiver
        if receiver is None:
            raise Refused("no_receiver", "no receiver was given and none is configured")
        return receiver
    kind, colon, name = text.partition(":")
    if not colon:
        kind, name = ReceiverType.USER, text
    known = policy.groups if kind == ReceiverType.GROUP else policy.contacts
    if kind not in tuple(ReceiverType) or name not in known:
        raise Refused("unknown_receiver", f"nobody is called {text}{did_you_mean(name, known)}")
    return Receiver(ReceiverType(kind), name, policy.name_of(name))
