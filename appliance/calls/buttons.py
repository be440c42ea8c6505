"""What a button means now: its event, and the command that is its default action."""

from __future__ import annotations

from collections.abc import Callable

from appliance.actions import Action, Verb
from appliance.calls import devices, holding, telling
from appliance.calls.call import LiveCall
from appliance.calls.effects import Sound
from appliance.calls.inputs import ButtonGestured, ButtonPressed, HookSwitched
from appliance.calls.turn import Turn
from appliance.commands import (
    AcceptCall,
    CallBack,
    Command,
    EndCall,
    EnterPictureInPicture,
    ExitPictureInPicture,
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
    StopRecording,
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

VOLUME_STEP = 10
"""Percent, of a press."""

BELL_S = 1.0
"""The bell chimes again so often at most, however often it is pressed."""

Meaning = tuple[type[ButtonEvent] | None, Command | None]
"""The event of a button in the present situation, and the command behind it, if any."""


def pressed(turn: Turn, report: ButtonPressed) -> None:
    """The first edge: a visitor hears at once that the bell was pressed, whatever comes of it."""
    action = turn.policy.buttons.get((report.button, Gesture.PRESS))
    if action is not None and action.verb is Verb.CALL and _bell_is_free(turn):
        now_s, before_s = turn.now.monotonic_s, turn.state.bell_heard_s
        if before_s is None or now_s - before_s >= BELL_S:
            turn.set(bell_heard_s=now_s)
            telling.let_hear(turn, Sound.CHIME)


def gestured(turn: Turn, report: ButtonGestured) -> Command | None:
    """Tell of the button, and give back the command that is its default action."""
    action = turn.policy.buttons.get((report.button, report.gesture))
    if action is None:
        return None
    event, command = _meaning(turn, action)
    if event is not None:
        turn.emit(event(report.button, report.gesture), turn.state.active)
    if _is_too_short(turn, report, command):
        telling.let_hear(turn, Sound.REFUSED)  # a press is not enough: hold it
        return None
    return command


def _is_too_short(turn: Turn, report: ButtonGestured, command: Command | None) -> bool:
    """A running call is only left by holding the button, where that is configured."""
    call = turn.state.active
    return (
        turn.policy.hold_to_hang_up
        and isinstance(command, LeaveSession | EndCall)
        and report.gesture is not Gesture.HOLD
        and call is not None
        and call.answered
    )


def hooked(turn: Turn, report: HookSwitched) -> tuple[Command, ...]:
    """A handset was lifted: what its press is for, heard in the handset. Or it was put back."""
    turn.set(handset_lifted=report.lifted)
    if not report.lifted:
        call = turn.state.active
        commands: list[Command] = []
        if call is not None and (call.answered or call.state is CallState.OUTGOING):
            event, command = _leave(turn, call)
            assert event is not None
            turn.emit(event(report.button, Gesture.PRESS), call)
            if command is not None:
                commands.append(command)
        mode = turn.policy.settings.default_audio_mode
        return (*commands, *_in_mode(turn, mode))
    action = turn.policy.buttons.get((report.button, Gesture.PRESS))
    if action is None or (action.verb is Verb.ANSWER and turn.state.incoming is None):
        return _in_mode(turn, AudioMode.EARPIECE)
    event, command = _meaning(turn, action)
    if event is not None:
        turn.emit(event(report.button, Gesture.PRESS), turn.state.active)
    return (*_in_mode(turn, AudioMode.EARPIECE), *([command] if command else []))


def _in_mode(turn: Turn, mode: AudioMode) -> tuple[Command, ...]:
    if mode is turn.state.audio_mode or mode not in turn.state.audio_available:
        return ()
    return (SetAudioMode(mode=mode),)


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
    active = turn.state.active
    if active is not None and not _rings_elsewhere(turn, active, action):
        return CallButtonClicked, None
    if action.receiver is None:
        return CallButtonClicked, InitiateCall()
    receiver = action.receiver
    return CallButtonClicked, InitiateCall(receiver=receiver.id, receiver_type=receiver.type)


def _rings_elsewhere(turn: Turn, active: LiveCall, action: Action) -> bool:
    """A bell may ring somebody else while the present call is held; the same bell only chimes."""
    receiver = action.receiver or turn.policy.receiver
    return receiver != active.receiver and active.on_hold and holding.second_allowed(turn)


def _answer(turn: Turn, call: LiveCall | None) -> Meaning:
    if turn.state.incoming is not None:
        return IncomingCallAcceptButtonPressed, AcceptCall()
    return _leave(turn, call) if call else (None, AcceptCall())


def _decline(turn: Turn, call: LiveCall | None) -> Meaning:
    if turn.state.incoming is not None:
        return IncomingCallDeclineButtonPressed, RejectCall()
    if turn.policy.hold_to_hang_up and call is not None and call.answered:
        return _leave(turn, call)  # it is the one that is held, where a press of another answers
    return None, RejectCall()


def _leave(turn: Turn, call: LiveCall | None) -> Meaning:
    if call is None:
        return LeaveSessionButtonClicked, LeaveSession()
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


def _layout(turn: Turn, call: LiveCall | None) -> Meaning:
    layouts = list(Layout)
    following = layouts[(layouts.index(turn.state.layout) + 1) % len(layouts)]
    return ChangeLayoutButtonClicked, SetLayout(layout=following)


def _list(turn: Turn, call: LiveCall | None) -> Meaning:
    visible = not turn.state.participant_list_visible
    return ParticipantListButtonClicked, ShowParticipantList(visible=visible)


def _record(turn: Turn, call: LiveCall | None) -> Meaning:
    command = StopRecording() if turn.state.recording else StartRecording()
    return RecordingToggleButtonClicked, command


def _hold(turn: Turn, call: LiveCall | None) -> Meaning:
    return None, HoldCall(on_hold=not (call and call.on_hold))


def _audio_mode(turn: Turn, call: LiveCall | None) -> Meaning:
    modes = turn.state.audio_available
    at = modes.index(turn.state.audio_mode) if turn.state.audio_mode in modes else -1
    return None, SetAudioMode(mode=modes[(at + 1) % len(modes)]) if modes else None


def _volume(by: int) -> Callable[..., Meaning]:
    def meaning(turn: Turn, call: LiveCall | None) -> Meaning:
        percent = turn.state.volumes.get(turn.state.audio_mode, devices.VOLUME)
        return None, SetVolume(percent=max(0, min(100, percent + by)))

    return meaning


def _small(turn: Turn, call: LiveCall | None) -> Meaning:
    small = turn.state.picture_in_picture
    return None, ExitPictureInPicture() if small else EnterPictureInPicture()


def _share(turn: Turn, call: LiveCall | None) -> Meaning:
    return None, ShareScreen(sharing=not turn.state.sharing_screen)


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
    Verb.CHANGE_LAYOUT: _layout,
    Verb.PARTICIPANT_LIST: _list,
    Verb.CHAT: _always(ChatButtonClicked, SendChatMessage()),
    Verb.TOGGLE_RECORDING: _record,
    Verb.TOGGLE_HOLD: _hold,
    Verb.CALL_BACK: _always(None, CallBack()),
    Verb.UNLOCK: _always(None, Unlock()),
    Verb.CYCLE_AUDIO_MODE: _audio_mode,
    Verb.VOLUME_UP: _volume(VOLUME_STEP),
    Verb.VOLUME_DOWN: _volume(-VOLUME_STEP),
    Verb.PICTURE_IN_PICTURE: _small,
    Verb.SHARE_SCREEN: _share,
    Verb.MERGE_CALLS: _always(None, MergeCalls()),
}
