"""What this device does in its call: mute, pause, say, raise its hand, hang up, call back."""

from __future__ import annotations

import re

from appliance import messages
from appliance.calls import ending, incoming, outgoing
from appliance.calls.effects import OpenCamera, OpenMicrophone
from appliance.calls.sizes import TEXT_MAX_BYTES, check_json
from appliance.calls.state import LiveCall
from appliance.calls.turn import Turn
from appliance.commands import (
    CallBack,
    EndCall,
    InitiateCall,
    LeaveSession,
    MuteAudio,
    PauseVideo,
    RaiseHand,
    RejectCall,
    SendChatMessage,
    SendCustomEvent,
    SendDtmf,
)
from appliance.errors import Refused
from appliance.events import (
    AudioMuted,
    AudioUnmuted,
    CallBackRequested,
    ChatMessage,
    Custom,
    Dtmf,
    ParticipantHandLowered,
    ParticipantHandRaised,
    VideoPaused,
    VideoResumed,
)
from appliance.model import CallEndReason, CallType, Json, RejectReason

CHAT_MAX = 1000
"""Characters of one chat message."""
CUSTOM_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
DIGITS = re.compile(r"[0-9*#A-D]{1,32}")


# -------------------- placing and ending


def initiate(turn: Turn, command: InitiateCall) -> Json:
    """Call somebody; the result names the call."""
    call = outgoing.place(turn, command)
    return {"call_id": call.call_id, "session_id": call.session_id}


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
    outgoing.cancelled(turn, call)


def end_ringing_out(turn: Turn, call: LiveCall, command: EndCall | LeaveSession) -> None:
    """Ending a call that still rings at the others takes it back."""
    outgoing.cancelled(turn, call)


def end_ringing_in(turn: Turn, call: LiveCall, command: EndCall) -> None:
    """Ending a call that rings here declines it."""
    incoming.decline(turn, call, RejectReason.REJECTED)


def hang_up(turn: Turn, call: LiveCall, command: EndCall | LeaveSession) -> None:
    """Leave a call that was answered."""
    ending.hang_up(turn, call)


def stop_ringing_out(turn: Turn, call: LiveCall) -> None:
    """The daemon ends while its call rings."""
    outgoing.give_up(turn, call, CallEndReason.DEVICE_RESTART)


def stop_ringing_in(turn: Turn, call: LiveCall) -> None:
    """The daemon ends while a call rings here: the caller hears busy."""
    turn.send(call.inviter, call, messages.Reject(RejectReason.BUSY))
    ending.end(turn, call, CallEndReason.DEVICE_RESTART)


def stop_answered(turn: Turn, call: LiveCall) -> None:
    """The daemon ends in a call: the others are told."""
    turn.send_all(call, messages.End("hang_up"))
    ending.end(turn, call, CallEndReason.DEVICE_RESTART)


# -------------------- media


def mute(turn: Turn, call: LiveCall, command: MuteAudio) -> None:
    """Send silence from now on, or the microphone again, and tell the others."""
    if command.muted is turn.state.audio_muted:
        return
    turn.set(audio_muted=command.muted)
    turn.do(OpenMicrophone(on=not command.muted))
    turn.emit(AudioMuted() if command.muted else AudioUnmuted(), call)
    turn.send_all(call, messages.State({"audio_muted": command.muted}))


def pause(turn: Turn, call: LiveCall, command: PauseVideo) -> None:
    """Send no picture from now on, or the camera again, and tell the others."""
    if call.type is CallType.AUDIO:
        raise Refused("no_video", "this is an audio call: there is no video to pause")
    if command.paused is turn.state.video_paused:
        return
    turn.set(video_paused=command.paused)
    turn.do(OpenCamera(on=not command.paused))
    turn.emit(VideoPaused() if command.paused else VideoResumed(), call)
    turn.send_all(call, messages.State({"video_paused": command.paused}))


# -------------------- saying


def chat(turn: Turn, call: LiveCall, command: SendChatMessage) -> None:
    """Send a text to the others."""
    text = (command.text or "").strip()
    if not text:
        raise Refused("empty_message", "a chat message needs a text")
    if len(text) > CHAT_MAX:
        raise Refused("too_long", f"a chat message has at most {CHAT_MAX} characters")
    check_json(text, "the message", TEXT_MAX_BYTES)
    turn.emit(ChatMessage(turn.myself(call), text), call)
    turn.send_all(call, messages.Chat(text))


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


def custom(turn: Turn, command: SendCustomEvent, call: LiveCall | None) -> None:
    """Fire a custom event here, and with the others if there are any."""
    if not CUSTOM_NAME.fullmatch(command.name):
        raise Refused("bad_name", "a custom event's name is 1 to 64 of A-Z a-z 0-9 _ . : -")
    check_json(command.body, "body")
    turn.emit(Custom(command.name, command.body), call)
    if call is not None:
        turn.send_all(call, messages.Custom(command.name, command.body))
