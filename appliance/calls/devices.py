"""Microphone, camera and sound of this device: open while a call needs them, muted, paused, switched."""

from __future__ import annotations

from appliance.calls import privacy
from appliance.calls.call import LiveCall
from appliance.calls.effects import (
    OpenCamera,
    OpenMicrophone,
    SetVolume,
    StartCapture,
    StartTimer,
    StopCapture,
    StopTimer,
    SwitchCamera,
    UseAudioMode,
)
from appliance.calls.faults import exceptions
from appliance.calls.inputs import AudioOutputs, CameraSwitched, PictureWanted, Timer
from appliance.calls.state import State
from appliance.calls.turn import Turn
from appliance.commands import MuteAudio, PauseVideo, SetAudioMode
from appliance.commands import SetVolume as SetVolumeCommand
from appliance.commands import SwitchCamera as SwitchCameraCommand
from appliance.errors import Refused
from appliance.events import (
    AudioModeChanged,
    AudioMuted,
    AudioSessionToggled,
    AudioUnmuted,
    CallLayoutChanged,
    CameraFacingChanged,
    VideoPaused,
    VideoResumed,
)
from appliance.messages import Address
from appliance.messages import State as StateMessage
from appliance.model import AudioMode, CallState, CallType, CameraFacing, Json

PORTRAIT = Timer("portrait")
PORTRAIT_S = 5.0
"""Long enough to open a camera and to take a picture of who stands before it."""
VOLUME = 100
"""Percent, where nobody has set another."""

# -------------------- open while a call needs them


def open_for(turn: Turn, call: LiveCall) -> None:
    """Open what the call needs; the first call begins as its settings say, whatever the last one left."""
    first = turn.state.capturing is None
    if first:
        _begin_as_set(turn, call)
    adjust(turn, call)
    if first and turn.state.audio_muted:
        turn.emit(AudioMuted(), call)
    if first and turn.state.video_paused:
        turn.emit(VideoPaused(), call)


def _begin_as_set(turn: Turn, call: LiveCall) -> None:
    settings = call.settings
    muted = settings.start_with_audio_muted
    paused = settings.start_with_video_paused and call.type is CallType.VIDEO
    turn.set(audio_muted=muted, video_paused=paused)
    if settings.layout is not turn.state.layout:
        turn.set(layout=settings.layout)
        turn.emit(CallLayoutChanged(settings.layout), call)
    turn.do(OpenMicrophone(on=not muted), OpenCamera(on=not paused))
    mode = settings.default_audio_mode
    if turn.state.handset_lifted and AudioMode.EARPIECE in turn.state.audio_available:
        mode = AudioMode.EARPIECE
    if mode is not turn.state.audio_mode and mode in turn.state.audio_available:
        turn.do(UseAudioMode(mode))
    if turn.state.camera_facing is not CameraFacing.FRONT:
        turn.do(SwitchCamera(CameraFacing.FRONT))


def adjust(turn: Turn, call: LiveCall) -> None:
    """Open or close what the calls of now need; `call` is the one that changed it."""
    need, before = _needed(turn), turn.state
    if need is before.capturing:
        return
    turn.set(capturing=need)
    if before.portrait:
        turn.set(portrait=False)
        turn.do(StopTimer(PORTRAIT))
    follow(turn, before)
    if need is None:
        _open_again(turn, call)
        turn.emit(AudioSessionToggled(active=False), call)
    elif before.capturing is None:
        turn.emit(AudioSessionToggled(active=True), call)


def follow(turn: Turn, before: State) -> None:
    """Open or close what is wanted now and was not `before`: by calls, viewers, or for a picture."""
    films, listens = turn.state.films, turn.state.listens
    if (films, listens) == (before.films, before.listens):
        return
    if not (films or listens):
        turn.set(closings=turn.state.closings + 1)
        turn.do(StopCapture(turn.state.closings))
        return
    if not (before.films or before.listens):
        privacy.light(turn)
    turn.do(StartCapture(video=films, audio=listens))


def portray(turn: Turn) -> None:
    """Somebody rings in vain, under do not disturb: the camera alone opens, for the call log's picture."""
    if turn.state.capturing is None and turn.policy.films:
        _look_out(turn)


def show(turn: Turn, _: PictureWanted) -> None:
    """Who may look wants one picture: the camera opens for a moment, if it is not open."""
    if turn.policy.cameras and not turn.state.stopping:
        _look_out(turn)


def _look_out(turn: Turn) -> None:
    before = turn.state
    turn.set(portrait=True)
    follow(turn, before)
    turn.do(StartTimer(PORTRAIT, PORTRAIT_S))


def portrayed(turn: Turn) -> None:
    """The camera has been open for long enough for a picture."""
    before = turn.state
    turn.set(portrait=False)
    follow(turn, before)


def _open_again(turn: Turn, call: LiveCall) -> None:
    """What was muted or paused was so for its calls: nobody is to believe it of the next one."""
    muted, paused = turn.state.audio_muted, turn.state.video_paused
    turn.set(audio_muted=False, video_paused=False)
    if muted:
        turn.do(OpenMicrophone(on=True))
        turn.emit(AudioUnmuted(), call)
    if paused:
        turn.do(OpenCamera(on=True))
        turn.emit(VideoResumed(), call)


def _needed(turn: Turn) -> CallType | None:
    """While it rings at the others they warm up, so that the first picture does not wait."""
    types = {
        call.type for call in turn.state.calls if call.state is CallState.OUTGOING or call.answered
    }
    if not types:
        return None
    video = CallType.VIDEO in types and turn.policy.films
    return CallType.VIDEO if video else CallType.AUDIO


def tell(turn: Turn, call: LiveCall, to: Address) -> None:
    """Tell who has joined how this device differs from what one takes for granted."""
    state = turn.state
    differs = {
        "audio_muted": state.audio_muted,
        "video_paused": state.video_paused,
        "hand_raised": call.hand_raised,
        "screen_sharing": state.sharing_screen,
        "recording": turn.records(call),
        "on_hold": call.on_hold,
    }
    changes = {name: True for name, is_so in differs.items() if is_so}
    failures = {f"{device}_exception": type_ for device, type_ in exceptions(state).items()}
    if changes or failures:
        turn.send(to, call, StateMessage({**changes, **failures}))


def tell_all(turn: Turn, **changes: bool) -> None:
    """Tell everyone in every call what of this device has changed."""
    for call in turn.state.calls:
        turn.send_all(call, StateMessage(changes))


# -------------------- microphone and camera


def mute(turn: Turn, call: LiveCall, command: MuteAudio) -> None:
    """Send silence from now on, or the microphone again, and tell the others."""
    if command.muted is turn.state.audio_muted:
        return
    turn.set(audio_muted=command.muted)
    turn.do(OpenMicrophone(on=not command.muted))
    turn.emit(AudioMuted() if command.muted else AudioUnmuted(), call)
    tell_all(turn, audio_muted=command.muted)


def pause(turn: Turn, call: LiveCall, command: PauseVideo) -> None:
    """Send no picture from now on, or the camera again, and tell the others."""
    if call.type is CallType.AUDIO:
        raise Refused("no_video", "this is an audio call: there is no video to pause")
    if command.paused is turn.state.video_paused:
        return
    turn.set(video_paused=command.paused)
    turn.do(OpenCamera(on=not command.paused))
    turn.emit(VideoPaused() if command.paused else VideoResumed(), call)
    tell_all(turn, video_paused=command.paused)


def switch_camera(turn: Turn, command: SwitchCameraCommand) -> Json:
    """Change to the other camera; the event comes when its pictures do."""
    facing = CameraFacing.FRONT
    if turn.state.camera_facing is CameraFacing.FRONT:
        facing = CameraFacing.REAR
    if facing not in turn.policy.cameras:
        raise Refused("no_second_camera", f"there is no {facing} camera: see [cameras.{facing}]")
    turn.do(SwitchCamera(facing))
    return {"facing": facing}


def camera_switched(turn: Turn, report: CameraSwitched) -> None:
    """The pictures come from another camera."""
    if report.facing is not turn.state.camera_facing:
        turn.set(camera_facing=report.facing)
        turn.emit(CameraFacingChanged(report.facing), turn.state.active)


# -------------------- where the sound comes out, and how loud


def set_audio_mode(turn: Turn, command: SetAudioMode) -> Json:
    """Choose another output; the event comes when it is in use."""
    if command.mode not in turn.state.audio_available:
        there = ", ".join(turn.state.audio_available)
        raise Refused("no_such_output", f"there is no {command.mode} now; there is: {there}")
    if command.mode is not turn.state.audio_mode:
        turn.do(UseAudioMode(command.mode))
    return {"mode": command.mode}


def outputs_changed(turn: Turn, report: AudioOutputs) -> None:
    """Another output is in use, or one came or went."""
    before = turn.state.audio_mode, turn.state.audio_available
    if before != (report.mode, report.available):
        turn.set(audio_mode=report.mode, audio_available=report.available)
        turn.emit(AudioModeChanged(report.mode, report.available), turn.state.active)


def set_volume(turn: Turn, command: SetVolumeCommand) -> Json:
    """How loud an output is, by default the one in use."""
    if not 0 <= command.percent <= 100:
        raise Refused("bad_volume", f"a volume is 0 to 100 percent, not {command.percent}")
    mode = command.output or turn.state.audio_mode
    if mode not in turn.policy.audio_modes:
        known = ", ".join(turn.policy.audio_modes)
        raise Refused("no_such_output", f"there is no {mode}; there is: {known}")
    turn.set(volumes={**turn.state.volumes, mode: command.percent})
    turn.do(SetVolume(mode, command.percent))
    return {"output": mode, "percent": command.percent}
