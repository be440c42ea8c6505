"""What a button means now: its event, and the command that is its default action."""

from __future__ import annotations

from collections.abc import Callable

from appliance.actions import Action, Verb
from appliance.calls.effects import PlaySound, Sound
from appliance.calls.inputs import ButtonGestured, ButtonPressed
from appliance.calls.state import LiveCall
from appliance.calls.turn import Turn
from appliance.commands import (
    AcceptCall,
    CallBack,
    Command,
    EnterPictureInPicture,
    HoldCall,
    InitiateCall,
    Invite,
    LeaveSession,
    MergeCalls,
    MuteAudio,
    PauseVideo,
    RaiseHand,
    RejectCall,
    SendChatMessage,
    SendDtmf,
    SetAudioMode,
    SetLayout,
    SetVolume,
    ShareScreen,
    ShowParticipantList,
    StartRecording,
    SwitchCamera,
    Unlock,
)
from appliance.events import (
    ButtonEvent,
    CallButtonClicked,
    ChangeLayoutButtonClicked,
    ChatButtonClicked,
    IncomingCallAcceptButtonPressed,
    IncomingCallDeclineButtonPressed,
    LeaveSessionButtonClicked,
    OutgoingCallCancelButtonPressed,
    ParticipantListButtonClicked,
    RaiseHandButtonClicked,
    RecordingToggleButtonClicked,
    ShareInviteButtonClicked,
    SwitchCameraButtonClicked,
    ToggleAudioButtonClicked,
    ToggleVideoButtonClicked,
)
from appliance.model import AudioMode, CallState, Gesture, Layout

Meaning = tuple[type[ButtonEvent] | None, Command | None]
"""The event of a button in the present situation, and the command behind it, if any."""


def pressed(turn: Turn, report: ButtonPressed) -> None:
    """The first edge: a visitor hears at once that the bell was pressed, whatever comes of it."""
    action = turn.policy.buttons.get((report.button, Gesture.PRESS))
    if action is not None and action.verb is Verb.CALL and _bell_is_free(turn):
        turn.do(PlaySound(Sound.CHIME))


def gestured(turn: Turn, report: ButtonGestured) -> Command | None:
    """Tell of the button, and give back the command that is its default action."""
    action = turn.policy.buttons.get((report.button, report.gesture))
    if action is None:
        return None
    event, command = _meaning(turn, action)
    if event is not None:
        turn.emit(event(report.button, report.gesture), turn.state.active)
    return command


def chimed_at_edge(turn: Turn, report: ButtonGestured) -> bool:
    """Whether `pressed` has let the chime be heard for this gesture already."""
    action = turn.policy.buttons.get((report.button, Gesture.PRESS))
    return action is not None and action.verb is Verb.CALL


def _bell_is_free(turn: Turn) -> bool:
    call = turn.state.active
    return call is None or call.state is CallState.OUTGOING


def _meaning(turn: Turn, action: Action) -> Meaning:
    if action.verb is Verb.COMMAND:
        return None, action.command
    if action.verb is Verb.DTMF:
        return None, SendDtmf(digits=action.digit or "")
    if action.verb is Verb.CALL:
        return _call(turn, action)
    return _MEANINGS[action.verb](turn, turn.state.active)


def _call(turn: Turn, action: Action) -> Meaning:
    if turn.state.active is not None:
        return CallButtonClicked, None
    if action.receiver is None:
        return CallButtonClicked, InitiateCall()
    receiver = action.receiver
    return CallButtonClicked, InitiateCall(receiver=receiver.id, receiver_type=receiver.type)


def _answer(turn: Turn, call: LiveCall | None) -> Meaning:
    if call is None or call.state is CallState.INCOMING:
        return IncomingCallAcceptButtonPressed, AcceptCall() if call else None
    return _leave(turn, call)


def _decline(turn: Turn, call: LiveCall | None) -> Meaning:
    rings = call is not None and call.state is CallState.INCOMING
    return IncomingCallDeclineButtonPressed, RejectCall() if rings else None


def _leave(turn: Turn, call: LiveCall | None) -> Meaning:
    if call is None:
        return LeaveSessionButtonClicked, None
    if call.state is CallState.INCOMING:
        return _decline(turn, call)
    if call.state is CallState.OUTGOING:
        return OutgoingCallCancelButtonPressed, LeaveSession()
    return LeaveSessionButtonClicked, LeaveSession()


def _mute(turn: Turn, call: LiveCall | None) -> Meaning:
    return ToggleAudioButtonClicked, MuteAudio(muted=not turn.state.audio_muted)


def _pause(turn: Turn, call: LiveCall | None) -> Meaning:
    return ToggleVideoButtonClicked, PauseVideo(paused=not turn.state.video_paused)


def _hand(turn: Turn, call: LiveCall | None) -> Meaning:
    return RaiseHandButtonClicked, RaiseHand(raised=not (call and call.hand_raised))


def _always(event: type[ButtonEvent] | None, command: Command) -> Callable[..., Meaning]:
    def meaning(turn: Turn, call: LiveCall | None) -> Meaning:
        return event, command

    return meaning


_MEANINGS: dict[Verb, Callable[[Turn, LiveCall | None], Meaning]] = {
    Verb.ANSWER: _answer,
    Verb.DECLINE: _decline,
    Verb.LEAVE: _leave,
    Verb.TOGGLE_AUDIO: _mute,
    Verb.TOGGLE_VIDEO: _pause,
    Verb.RAISE_HAND: _hand,
    Verb.SWITCH_CAMERA: _always(SwitchCameraButtonClicked, SwitchCamera()),
    Verb.SHARE_INVITE: _always(ShareInviteButtonClicked, Invite()),
    Verb.CHANGE_LAYOUT: _always(ChangeLayoutButtonClicked, SetLayout(layout=Layout.TILE)),
    Verb.PARTICIPANT_LIST: _always(ParticipantListButtonClicked, ShowParticipantList()),
    Verb.CHAT: _always(ChatButtonClicked, SendChatMessage()),
    Verb.TOGGLE_RECORDING: _always(RecordingToggleButtonClicked, StartRecording()),
    Verb.TOGGLE_HOLD: _always(None, HoldCall()),
    Verb.CALL_BACK: _always(None, CallBack()),
    Verb.UNLOCK: _always(None, Unlock()),
    Verb.CYCLE_AUDIO_MODE: _always(None, SetAudioMode(mode=AudioMode.SPEAKER)),
    Verb.VOLUME_UP: _always(None, SetVolume(percent=100)),
    Verb.VOLUME_DOWN: _always(None, SetVolume(percent=50)),
    Verb.PICTURE_IN_PICTURE: _always(None, EnterPictureInPicture()),
    Verb.SHARE_SCREEN: _always(None, ShareScreen()),
    Verb.MERGE_CALLS: _always(None, MergeCalls()),
}
