"""What the device's screen shows: layout, list, small picture, and whether others are shown it."""

from __future__ import annotations

from typing import Any

from appliance.calls import devices, renegotiating
from appliance.calls.call import LiveCall
from appliance.calls.effects import ShareScreen as ShareScreenEffect
from appliance.calls.turn import Turn
from appliance.commands import SetLayout, ShareScreen, ShowParticipantList
from appliance.errors import Refused
from appliance.events import (
    CallLayoutChanged,
    ParticipantListHidden,
    ParticipantListVisible,
    PictureInPictureLayoutDisabled,
    PictureInPictureLayoutEnabled,
    ScreenShareStarted,
    ScreenShareStopped,
)
from appliance.model import CallType, Json

NO_SCREEN = "this device has no screen ([screen] kind is none): the state is kept, nothing is shown"


def set_layout(turn: Turn, command: SetLayout) -> Json:
    """Arrange the participants otherwise."""
    if command.layout is not turn.state.layout:
        turn.set(layout=command.layout)
        turn.emit(CallLayoutChanged(command.layout), turn.state.active)
    return _told(turn, layout=command.layout)


def show_list(turn: Turn, command: ShowParticipantList) -> Json:
    """Show the list of participants, or hide it."""
    if command.visible is not turn.state.participant_list_visible:
        turn.set(participant_list_visible=command.visible)
        event = ParticipantListVisible() if command.visible else ParticipantListHidden()
        turn.emit(event, turn.state.active)
    return _told(turn, visible=command.visible)


def enter_small(turn: Turn, call: LiveCall, command: Any) -> Json:
    """The call goes into a small picture over the device's own screen."""
    if not turn.state.picture_in_picture:
        turn.set(picture_in_picture=True)
        turn.emit(PictureInPictureLayoutEnabled(), call)
    return _told(turn, picture_in_picture=True)


def exit_small(turn: Turn, call: LiveCall, command: Any) -> Json:
    """The call fills the screen again."""
    if turn.state.picture_in_picture:
        turn.set(picture_in_picture=False)
        turn.emit(PictureInPictureLayoutDisabled(), call)
    return _told(turn, picture_in_picture=False)


def _told(turn: Turn, **result: Json) -> Json:
    """The result of a command about the screen; who has none is told so, plainly."""
    return result if turn.policy.has_screen else {**result, "note": NO_SCREEN}


def share(turn: Turn, call: LiveCall, command: ShareScreen) -> None:
    """Send what the screen shows as a second video, or stop it."""
    if command.sharing is turn.state.sharing_screen:
        return
    if command.sharing:
        if not turn.policy.has_screen:
            raise Refused("no_screen", "this device has no screen to share: [screen] kind is none")
        if call.type is CallType.AUDIO:
            raise Refused("no_video", "this is an audio call; switch_to_video_call comes first")
    _share(turn, call, sharing=command.sharing)
    devices.tell_all(turn, screen_sharing=command.sharing)
    if command.sharing:
        renegotiating.for_screen(turn, call)


def _share(turn: Turn, call: LiveCall, *, sharing: bool) -> None:
    turn.set(sharing_screen=sharing)
    turn.do(ShareScreenEffect(sharing))
    turn.emit(ScreenShareStarted() if sharing else ScreenShareStopped(), call)


def stop_for(turn: Turn, call: LiveCall) -> None:
    """The call is over: nobody is left to be shown the screen, and none is small any more."""
    other = turn.state.other_than(call)
    if other is not None and other.joined:
        return
    if turn.state.sharing_screen:
        _share(turn, call, sharing=False)
    if turn.state.picture_in_picture:
        exit_small(turn, call, None)
    if turn.state.participant_list_visible:
        show_list(turn, ShowParticipantList(visible=False))
