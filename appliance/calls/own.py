"""What this device does in its call: place it, hang up, say something, raise its hand, call back."""

from __future__ import annotations

import re

from appliance import messages
from appliance.calls import ending, holding, incoming, outgoing
from appliance.calls.call import LiveCall
from appliance.calls.effects import AskHangUp, Reply
from appliance.calls.inputs import HangUpAnswered
from appliance.calls.later import LATER, Later
from appliance.calls.sizes import TEXT_MAX_BYTES, check_json
from appliance.calls.turn import Turn
from appliance.commands import (
    CallBack,
    EndCall,
    InitiateCall,
    LeaveSession,
    RaiseHand,
    RejectCall,
    SendChatMessage,
    SendCustomEvent,
    SendDtmf,
)
from appliance.errors import Refused
from appliance.events import (
    CallBackRequested,
    ChatMessage,
    Custom,
    Dtmf,
    ParticipantHandLowered,
    ParticipantHandRaised,
)
from appliance.model import CallEndReason, Json, RejectReason

CHAT_MAX = 1000
"""Characters of one chat message."""
CUSTOM_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
DIGITS = re.compile(r"[0-9*#A-D]{1,32}")


# -------------------- placing and ending


def initiate(turn: Turn, command: InitiateCall) -> Json:
    """Call somebody; the result names the call."""
    call = outgoing.place(turn, command, bell=turn.bell)
    return {"call_id": call.call_id, "session_id": call.session_id}


def initiate_second(turn: Turn, call: LiveCall, command: InitiateCall) -> Json:
    """Call somebody else, while whoever is talked with waits."""
    _check_second(turn)
    return initiate(turn, command)


def call_back_second(turn: Turn, call: LiveCall, command: CallBack) -> Json:
    """Call who was missed, while whoever is talked with waits."""
    _check_second(turn)
    return call_back(turn, command)


def _check_second(turn: Turn) -> None:
    if not holding.second_allowed(turn):
        raise Refused("busy", "there is a call already; end it first, or put it on hold")


def call_back(turn: Turn, command: CallBack) -> Json:
    """Call who was missed last."""
    if not turn.state.missed:
        raise Refused("nothing_missed", "no call was missed, so there is nobody to call back")
    missed = turn.state.missed[-1]
    turn.emit(CallBackRequested(missed))
    call = outgoing.place(turn, InitiateCall(receiver=missed.caller.uid, type=missed.type))
    turn.set(missed=turn.state.missed[:-1])
    return {"call_id": call.call_id, "session_id": call.session_id}


def cancel(turn: Turn, call: LiveCall, command: RejectCall) -> None:
    """`reject_call` of one's own call takes it back."""
    if command.call_id is not None and command.call_id != call.call_id:
        raise Refused("unknown_call", f"no call {command.call_id} rings")
    if command.reason not in ("rejected", "cancelled"):  # the former is what none was given means
        raise Refused("bad_reason", f"an own call is cancelled, not {command.reason}")
    check_json(command.custom_data, "custom_data")
    outgoing.cancelled(turn, call, command.custom_data)


def end_ringing_out(turn: Turn, call: LiveCall, command: EndCall | LeaveSession) -> None:
    """Ending a call that still rings at the others takes it back."""
    outgoing.cancelled(turn, call)


def end_ringing_in(turn: Turn, call: LiveCall, command: EndCall) -> None:
    """Ending a call that rings here declines it."""
    incoming.decline(turn, call, RejectReason.REJECTED)


def ask_hang_up(turn: Turn, call: LiveCall, command: EndCall | LeaveSession) -> Later:
    """Whoever has a say in it is asked before a call that was answered is left."""
    if isinstance(command, EndCall) and not turn.hosts(call) and len(call.members) > 1:
        host = call.host.uid
        raise Refused(
            "not_the_host", f"only the host, {host}, ends it for all; leave_session leaves"
        )
    turn.do(AskHangUp(call.call_id, command, turn.origin, turn.request))
    return LATER


def hang_up(turn: Turn, call: LiveCall, report: HangUpAnswered) -> None:
    """The call is left, unless somebody wants it kept."""
    if report.confirmed:
        ending.hang_up(turn, call)
        if report.request is not None:
            turn.do(Reply(report.request))
        return
    kept = "a listener's hang_up_confirmation keeps the call"
    turn.error("hang_up_declined", kept, report.command.NAME, call.call_id)
    if report.request is not None:
        turn.do(Reply(report.request, code="hang_up_declined", message=kept))


def stop_ringing_out(turn: Turn, call: LiveCall) -> None:
    """The daemon ends while its call rings."""
    outgoing.give_up(turn, call, CallEndReason.DEVICE_RESTART)


def stop_ringing_in(turn: Turn, call: LiveCall) -> None:
    """The daemon ends while a call rings here: the caller hears busy."""
    turn.send(call.inviter, call, messages.Reject(RejectReason.BUSY))
    ending.end(turn, call, CallEndReason.DEVICE_RESTART)


def stop_answered(turn: Turn, call: LiveCall) -> None:
    """The daemon ends in a call: the others are told."""
    ending.hang_up(turn, call, CallEndReason.DEVICE_RESTART)


# -------------------- saying


def chat(turn: Turn, call: LiveCall, command: SendChatMessage) -> None:
    """Send a text to the others; without one, the next of the canned messages."""
    text = (command.text if command.text is not None else _canned(turn)).strip()
    if not text:
        raise Refused("empty_message", "a chat message needs a text")
    if len(text) > CHAT_MAX:
        raise Refused("too_long", f"a chat message has at most {CHAT_MAX} characters")
    check_json(text, "the message", TEXT_MAX_BYTES)
    turn.emit(ChatMessage(turn.myself(call), text), call)
    turn.send_all(call, messages.Chat(text))


def _canned(turn: Turn) -> str:
    messages_ = turn.policy.chat_messages
    if not messages_:
        raise Refused("no_canned_message", "no text was given and [call] chat_messages is empty")
    turn.set(chat_next=turn.state.chat_next + 1)
    return messages_[(turn.state.chat_next - 1) % len(messages_)]


def dtmf(turn: Turn, call: LiveCall, command: SendDtmf) -> None:
    """Send keypad digits to the others."""
    if not DIGITS.fullmatch(command.digits):
        raise Refused("bad_digits", "digits are 1 to 32 of 0-9, *, #, A-D")
    turn.emit(Dtmf(command.digits, None), call)
    turn.send_all(call, messages.Dtmf(command.digits))


def raise_hand(turn: Turn, call: LiveCall, command: RaiseHand) -> None:
    """Raise this device's hand, or lower it, and tell the others."""
    if command.raised is call.hand_raised:
        return
    call = turn.put(call, hand_raised=command.raised)
    me = turn.myself(call)
    turn.emit(ParticipantHandRaised(me) if command.raised else ParticipantHandLowered(me), call)
    turn.send_all(call, messages.State({"hand_raised": command.raised}))


def custom(turn: Turn, command: SendCustomEvent) -> None:
    """Fire a custom event here, and with the others if there are any."""
    call = turn.state.active
    if not CUSTOM_NAME.fullmatch(command.name):
        raise Refused("bad_name", "a custom event's name is 1 to 64 of A-Z a-z 0-9 _ . : -")
    check_json(command.body, "body")
    turn.emit(Custom(command.name, command.body), call)
    if call is not None:
        turn.send_all(call, messages.Custom(command.name, command.body))
