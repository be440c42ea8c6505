"""Microphone and camera of a call: opened as the settings want them, and told to who joins."""

from __future__ import annotations

from appliance.calls.effects import OpenCamera, OpenMicrophone, StartCapture
from appliance.calls.state import LiveCall
from appliance.calls.turn import Turn
from appliance.events import AudioMuted, VideoPaused
from appliance.messages import Address, State
from appliance.model import CallType


def open_for(turn: Turn, call: LiveCall) -> None:
    """Open what the call needs; each call begins as the settings say, whatever the last one left."""
    settings = turn.policy.settings
    video = call.type is CallType.VIDEO
    muted = settings.start_with_audio_muted
    paused = settings.start_with_video_paused and video
    turn.set(audio_muted=muted, video_paused=paused)
    turn.do(OpenMicrophone(on=not muted), OpenCamera(on=not paused), StartCapture(video))
    if muted:
        turn.emit(AudioMuted(), call)
    if paused:
        turn.emit(VideoPaused(), call)


def tell(turn: Turn, call: LiveCall, to: Address) -> None:
    """Tell who has joined what of this device is off: on is what it takes for granted."""
    off = {"audio_muted": turn.state.audio_muted, "video_paused": turn.state.video_paused}
    changes = {name: True for name, is_off in off.items() if is_off}
    if changes:
        turn.send(to, call, State(changes))
