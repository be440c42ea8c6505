"""The events of the vocabulary: what has happened, in past tense, one frozen class each.

An event's name is its class in snake case; it is the `type` on every outlet (after `appliance.`), the
last level of its MQTT topic, and, after `on_`, the listener's method. `FAMILY` is the listener class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from msgspec import Struct

from appliance.model import (
    AudioMode,
    Call,
    Callee,
    CallEndReason,
    CameraFacing,
    CancelReason,
    DeviceException,
    Gesture,
    Json,
    Layout,
    Participant,
    ParticipantLeftReason,
    RejectReason,
    SessionStateReason,
)


class Event(Struct, frozen=True):
    """Something that happened on this device.

    A msgspec Struct, since making 78 frozen dataclasses at start takes longer than a visitor's press
    should wait for (0.5 ms each against 0.02 ms).
    """

    NAME: ClassVar[str]
    FAMILY: ClassVar[str]
    SEEDS: ClassVar[tuple[str, ...]]
    """The names it has elsewhere, as SEED:NAME (v4 and v5 and ringing: CometChat; zego; callkit)."""

    @classmethod
    def data_fields(cls) -> tuple[str, ...]:
        """The keys of the event's `data` object, in order."""
        return cls.__struct_fields__


class SessionStatusEvent(Event, frozen=True):
    """The life of the session as a whole."""

    FAMILY = "SessionStatusListener"


class ParticipantEvent(Event, frozen=True):
    """The others in the session."""

    FAMILY = "ParticipantEventListener"


class MediaEvent(Event, frozen=True):
    """This device's own microphone, camera, sound and recording."""

    FAMILY = "MediaEventsListener"


class ButtonEvent(Event, frozen=True):
    """A finger on this device: fires before the default action of the button runs."""

    FAMILY: ClassVar[str] = "ButtonClickListener"

    button: str
    gesture: Gesture


class InputEvent(Event, frozen=True):
    """A contact or sensor of the panel that is not a button."""

    FAMILY = "ButtonClickListener"


class LayoutEvent(Event, frozen=True):
    """What the device's screen shows."""

    FAMILY = "LayoutListener"


class CallEvent(Event, frozen=True):
    """Ringing, answering and ending."""

    FAMILY = "CallListener"


EVENTS: dict[str, type[Event]] = {}
"""Every event by its name."""

E = TypeVar("E", bound=Event)


def _event(*seeds: str) -> Callable[[type[E]], type[E]]:
    """Name the event after its class, and enter it in `EVENTS`."""

    def declare(cls: type[E]) -> type[E]:
        cls.NAME = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        cls.SEEDS = seeds
        EVENTS[cls.NAME] = cls
        return cls

    return declare


# -------------------- session status


@_event("v5:onSessionJoined", "callkit:actionCallConnected", "callkit:setCallConnected")
class SessionJoined(SessionStatusEvent, frozen=True):
    """This device is in the session, once: in a call when media first flows (ICE and DTLS done),
    in a direct session when admitted, alone or not.
    """

    session_id: str
    call_id: str


@_event("v5:onSessionLeft")
class SessionLeft(SessionStatusEvent, frozen=True):
    """This device has left the session, for any reason; after session_joined only, and before
    call_ended.
    """

    session_id: str
    call_id: str
    reason: CallEndReason


@_event("v5:onSessionTimedOut")
class SessionTimedOut(SessionStatusEvent, frozen=True):
    """The device was alone in the session for the idle time-out; then session_left follows."""

    session_id: str
    idle_s: float


@_event("v5:onConnectionLost", "zego:ZegoRoomStateChangedReason.Reconnecting")
class ConnectionLost(SessionStatusEvent, frozen=True):
    """Media from every peer stopped (consent lost or ICE disconnected); the device tries to
    reconnect.
    """

    session_id: str


@_event("v5:onConnectionRestored", "zego:ZegoRoomStateChangedReason.Reconnected")
class ConnectionRestored(SessionStatusEvent, frozen=True):
    """Media flows again after connection_lost, in the same session."""

    session_id: str
    outage_s: float


@_event("v5:onConnectionClosed", "zego:ZegoRoomStateChangedReason.ReconnectFailed")
class ConnectionClosed(SessionStatusEvent, frozen=True):
    """Reconnecting was given up; then session_left follows with reason connection_closed."""

    session_id: str


@_event("zego:onStateChanged")
class SessionStateChanged(SessionStatusEvent, frozen=True):
    """Every change of the session's state, in ZEGO's words: reason is a session_state_reason;
    extended_data.room_session_id is the session's id.
    """

    reason: SessionStateReason
    error_code: int
    extended_data: Mapping[str, Any]


@_event("zego:onError", "v4:onError")
class Error(SessionStatusEvent, frozen=True):
    """Anything the device could not do: a rejected message, a failed command, a device that
    failed.
    """

    code: str
    message: str
    where: str | None
    count: int


# -------------------- participants


@_event("v5:onParticipantJoined", "v4:onUserJoined", "zego:onEnter")
class ParticipantJoined(ParticipantEvent, frozen=True):
    """Another participant's media connected."""

    participant: Participant


@_event("v5:onParticipantLeft", "v4:onUserLeft", "zego:onLeave")
class ParticipantLeft(ParticipantEvent, frozen=True):
    """Another participant left, was lost, or was kicked out: a participant_left_reason."""

    participant: Participant
    reason: ParticipantLeftReason


@_event("v5:onParticipantListChanged", "v4:onUserListChanged")
class ParticipantListChanged(ParticipantEvent, frozen=True):
    """After every join, leave or change of a participant's state; the whole list."""

    participants: tuple[Participant, ...]


@_event("v5:onParticipantAudioMuted", "v4:onUserMuted")
class ParticipantAudioMuted(ParticipantEvent, frozen=True):
    """Another participant's microphone was muted."""

    participant: Participant
    muted_by: str | None


@_event("v5:onParticipantAudioUnmuted")
class ParticipantAudioUnmuted(ParticipantEvent, frozen=True):
    """Another participant's microphone was unmuted."""

    participant: Participant


@_event("v5:onParticipantVideoPaused")
class ParticipantVideoPaused(ParticipantEvent, frozen=True):
    """Another participant's camera was turned off."""

    participant: Participant


@_event("v5:onParticipantVideoResumed")
class ParticipantVideoResumed(ParticipantEvent, frozen=True):
    """Another participant's camera was turned on."""

    participant: Participant


@_event("v5:onParticipantHandRaised")
class ParticipantHandRaised(ParticipantEvent, frozen=True):
    """A participant, this device included, raised its hand."""

    participant: Participant


@_event("v5:onParticipantHandLowered")
class ParticipantHandLowered(ParticipantEvent, frozen=True):
    """A participant, this device included, lowered its hand."""

    participant: Participant


@_event("v5:onParticipantStartedScreenShare")
class ParticipantStartedScreenShare(ParticipantEvent, frozen=True):
    """Another participant started to share a screen."""

    participant: Participant


@_event("v5:onParticipantStoppedScreenShare")
class ParticipantStoppedScreenShare(ParticipantEvent, frozen=True):
    """Another participant stopped sharing a screen."""

    participant: Participant


@_event("v5:onParticipantStartedRecording", "v4:onRecordingToggled")
class ParticipantStartedRecording(ParticipantEvent, frozen=True):
    """Another participant said that it records."""

    participant: Participant


@_event("v5:onParticipantStoppedRecording", "v4:onRecordingToggled")
class ParticipantStoppedRecording(ParticipantEvent, frozen=True):
    """Another participant said that it stopped recording."""

    participant: Participant


@_event("v5:onDominantSpeakerChanged")
class DominantSpeakerChanged(ParticipantEvent, frozen=True):
    """The loudest speaker, by measured audio level with hysteresis, is another participant than
    before.
    """

    participant: Participant


# -------------------- media: this device's own


@_event("v5:onAudioMuted", "zego:onMicrophoneStateChanged", "callkit:actionCallToggleMute")
class AudioMuted(MediaEvent, frozen=True):
    """This device's microphone was muted: from then on it sends silence."""


@_event("v5:onAudioUnMuted", "zego:onMicrophoneStateChanged", "callkit:actionCallToggleMute")
class AudioUnmuted(MediaEvent, frozen=True):
    """This device's microphone was unmuted."""


@_event("v5:onVideoPaused", "zego:onCameraStateChanged")
class VideoPaused(MediaEvent, frozen=True):
    """This device's camera was turned off: no frame of it leaves the device from then on."""


@_event("v5:onVideoResumed", "zego:onCameraStateChanged")
class VideoResumed(MediaEvent, frozen=True):
    """This device's camera was turned on again."""


@_event("v5:onRecordingStarted", "v4:onRecordingToggled")
class RecordingStarted(MediaEvent, frozen=True):
    """This device began to record the call to a file."""

    path: str


@_event("v5:onRecordingStopped", "v4:onRecordingToggled")
class RecordingStopped(MediaEvent, frozen=True):
    """The recording was closed and is playable."""

    path: str
    duration_s: float
    bytes: int


@_event("v5:onScreenShareStarted")
class ScreenShareStarted(MediaEvent, frozen=True):
    """This device began to share its screen (the composed picture of its layout) in the
    session.
    """


@_event("v5:onScreenShareStopped")
class ScreenShareStopped(MediaEvent, frozen=True):
    """This device stopped sharing its screen."""


@_event("v5:onAudioModeChanged", "v4:onAudioModeChanged", "zego:onAudioOutputChanged")
class AudioModeChanged(MediaEvent, frozen=True):
    """The audio output changed, or one came or went: mode is speaker, earpiece (the handset),
    bluetooth or headphones.
    """

    mode: AudioMode
    available: tuple[AudioMode, ...]


@_event("v5:onCameraFacingChanged", "zego:onFrontFacingCameraStateChanged")
class CameraFacingChanged(MediaEvent, frozen=True):
    """The device switched camera: facing is front (towards the visitor) or rear (the second
    camera).
    """

    facing: CameraFacing


@_event("callkit:actionCallToggleAudioSession")
class AudioSessionToggled(MediaEvent, frozen=True):
    """The sound devices were opened for a call, or released after it."""

    active: bool


@_event("zego:onLocalCameraExceptionOccurred")
class LocalCameraException(MediaEvent, frozen=True):
    """This device's camera failed: type is a device_exception, null where it works again."""

    type: DeviceException | None
    message: str | None


@_event("zego:onLocalMicrophoneExceptionOccurred")
class LocalMicrophoneException(MediaEvent, frozen=True):
    """This device's microphone failed; null where it works again."""

    type: DeviceException | None
    message: str | None


@_event("zego:onRemoteCameraExceptionOccurred")
class RemoteCameraException(MediaEvent, frozen=True):
    """Another participant reported that its camera failed; null where it works again."""

    participant: Participant
    type: DeviceException | None
    message: str | None


@_event("zego:onRemoteMicrophoneExceptionOccurred")
class RemoteMicrophoneException(MediaEvent, frozen=True):
    """Another participant reported that its microphone failed; null where it works again."""

    participant: Participant
    type: DeviceException | None
    message: str | None


# -------------------- buttons


@_event(
    "v5:onLeaveSessionButtonClicked", "v4:onCallEndButtonPressed", "ringing:onCallEndButtonPressed"
)
class LeaveSessionButtonClicked(ButtonEvent, frozen=True):
    """The leave (end call) button."""


@_event("v5:onToggleAudioButtonClicked")
class ToggleAudioButtonClicked(ButtonEvent, frozen=True):
    """The mute/unmute button."""


@_event("v5:onToggleVideoButtonClicked")
class ToggleVideoButtonClicked(ButtonEvent, frozen=True):
    """The video on/off button."""


@_event("v5:onSwitchCameraButtonClicked")
class SwitchCameraButtonClicked(ButtonEvent, frozen=True):
    """The camera switch button."""


@_event("v5:onRaiseHandButtonClicked")
class RaiseHandButtonClicked(ButtonEvent, frozen=True):
    """The raise hand button."""


@_event("v5:onShareInviteButtonClicked")
class ShareInviteButtonClicked(ButtonEvent, frozen=True):
    """The invite button: default action rings the configured further user into the running
    session.
    """


@_event("v5:onChangeLayoutButtonClicked")
class ChangeLayoutButtonClicked(ButtonEvent, frozen=True):
    """The layout button."""


@_event("v5:onParticipantListButtonClicked")
class ParticipantListButtonClicked(ButtonEvent, frozen=True):
    """The participant list button."""


@_event("v5:onChatButtonClicked")
class ChatButtonClicked(ButtonEvent, frozen=True):
    """The chat button: default action sends the next of the configured canned messages."""


@_event("v5:onRecordingToggleButtonClicked")
class RecordingToggleButtonClicked(ButtonEvent, frozen=True):
    """The recording button."""


@_event("zego:onIncomingCallAcceptButtonPressed")
class IncomingCallAcceptButtonPressed(ButtonEvent, frozen=True):
    """The answer button (or the handset was lifted) while a call rings."""


@_event("zego:onIncomingCallDeclineButtonPressed")
class IncomingCallDeclineButtonPressed(ButtonEvent, frozen=True):
    """The decline button while a call rings."""


@_event("zego:onOutgoingCallCancelButtonPressed")
class OutgoingCallCancelButtonPressed(ButtonEvent, frozen=True):
    """The leave button while this device's own call still rings."""


@_event("own:call_button_clicked")
class CallButtonClicked(ButtonEvent, frozen=True):
    """The call (doorbell) button: default action calls the configured user or group."""


# -------------------- layout


@_event("v5:onCallLayoutChanged")
class CallLayoutChanged(LayoutEvent, frozen=True):
    """The layout changed: tile, spotlight or single."""

    layout: Layout


@_event("v5:onParticipantListVisible")
class ParticipantListVisible(LayoutEvent, frozen=True):
    """The list of participants was shown."""


@_event("v5:onParticipantListHidden")
class ParticipantListHidden(LayoutEvent, frozen=True):
    """The list of participants was hidden."""


@_event("v5:onPictureInPictureLayoutEnabled")
class PictureInPictureLayoutEnabled(LayoutEvent, frozen=True):
    """The call went into a small picture over the device's own screen."""


@_event("v5:onPictureInPictureLayoutDisabled")
class PictureInPictureLayoutDisabled(LayoutEvent, frozen=True):
    """The call filled the screen again."""


# -------------------- calls: ringing and ending


@_event(
    "ringing:onIncomingCallReceived", "zego:onIncomingCallReceived", "callkit:actionCallIncoming"
)
class IncomingCallReceived(CallEvent, frozen=True):
    """An invitation arrived over MQTT and the device began to ring."""

    call: Call


@_event("callkit:actionCallAccept")
class IncomingCallAccepted(CallEvent, frozen=True):
    """This device accepted the call."""

    call: Call


@_event("callkit:actionCallDecline")
class IncomingCallDeclined(CallEvent, frozen=True):
    """This device rejected the call: reason is rejected or busy."""

    call: Call
    reason: RejectReason


@_event("ringing:onIncomingCallCancelled", "zego:onIncomingCallCanceled")
class IncomingCallCancelled(CallEvent, frozen=True):
    """The caller cancelled before this device answered, or another endpoint answered or rejected:
    a cancel_reason.
    """

    call: Call
    reason: CancelReason
    custom_data: Json


@_event("zego:onIncomingCallTimeout", "callkit:actionCallTimeout")
class IncomingCallTimeout(CallEvent, frozen=True):
    """Nobody answered here in time: a missed call, kept in the call log."""

    call: Call


@_event("callkit:actionCallStart")
class OutgoingCallStarted(CallEvent, frozen=True):
    """This device called a user or a group."""

    call: Call


@_event("ringing:onOutgoingCallAccepted", "zego:onOutgoingCallAccepted")
class OutgoingCallAccepted(CallEvent, frozen=True):
    """A callee accepted."""

    call: Call
    callee: Callee


@_event(
    "ringing:onOutgoingCallRejected",
    "zego:onOutgoingCallDeclined",
    "zego:onOutgoingCallRejectedCauseBusy",
)
class OutgoingCallRejected(CallEvent, frozen=True):
    """A callee rejected: reason is rejected (ZEGO's declined) or busy (ZEGO's rejected cause
    busy).
    """

    call: Call
    callee: Callee
    reason: RejectReason
    custom_data: Json


@_event("zego:onOutgoingCallTimeout")
class OutgoingCallTimeout(CallEvent, frozen=True):
    """No callee answered in time."""

    call: Call
    callees: tuple[Callee, ...]


@_event("zego:onInvitationUserStateChanged")
class InvitationUserStateChanged(CallEvent, frozen=True):
    """The state of any callee of this device's call changed, each a callee_state."""

    call: Call
    callees: tuple[Callee, ...]


@_event(
    "ringing:onCallEndedMessageReceived",
    "v4:onCallEnded",
    "ringing:onCallEnded",
    "zego:onCallEnd",
    "callkit:actionCallEnded",
)
class CallEnded(CallEvent, frozen=True):
    """The call is over, answered or not, the last event of every call; reason is a
    call_end_reason, with kicked_by where kicked_out.
    """

    call: Call
    reason: CallEndReason
    kicked_by: str | None
    duration_s: float


@_event("callkit:actionCallCallback")
class CallBackRequested(CallEvent, frozen=True):
    """The call-back button (or command) was used after a missed call: the device calls the
    caller.
    """

    call: Call


@_event("callkit:actionCallToggleHold")
class HoldToggled(CallEvent, frozen=True):
    """The call was put on hold, or taken off it, by either side."""

    call: Call
    on_hold: bool


@_event("callkit:actionCallToggleDmtf")
class Dtmf(CallEvent, frozen=True):
    """A keypad key of this device was pressed in a call, or another participant sent digits."""

    digits: str
    participant: Participant | None


@_event("callkit:actionCallToggleGroup")
class GroupToggled(CallEvent, frozen=True):
    """A second call was merged into the session, or split off."""

    call: Call
    grouped: bool


@_event("v4:onCallSwitchedToVideo")
class CallSwitchedToVideo(CallEvent, frozen=True):
    """An audio call became a video call."""

    requested_by: str
    accepted_by: str


@_event("v4:CallSwitchRequestInfo")
class SwitchToVideoRequested(CallEvent, frozen=True):
    """A participant asks to turn the audio call into a video call, and [call] accept_video is
    ask.
    """

    requested_by: str
    request_id: str


@_event("own:do_not_disturb")
class DoNotDisturbChanged(CallEvent, frozen=True):
    """Do not disturb was switched, by command, button or quiet hours: calls ring nowhere in the
    house, visitors are told.
    """

    on: bool
    until: str | None


# -------------------- buttons


@_event("own:input")
class InputChanged(InputEvent, frozen=True):
    """A door contact, exit button, tamper switch or motion sensor changed."""

    input: str
    kind: str
    on: bool


# -------------------- calls: ringing and ending


@_event("callkit:actionDidUpdateDevicePushTokenVoip")
class PushRegistrationUpdated(CallEvent, frozen=True):
    """The address at which calls are pushed to this device changed: token is its inbox topic and
    endpoint, never a secret.
    """

    token: str


@_event("callkit:actionCallCustom")
class Custom(CallEvent, frozen=True):
    """A custom event was sent by a plug-in, a hook, or a participant."""

    name: str
    body: Json


@_event("own:chat_message")
class ChatMessage(CallEvent, frozen=True):
    """A text message was sent or received in the session."""

    participant: Participant | None
    text: str
