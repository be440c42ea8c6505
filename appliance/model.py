"""The nouns of the vocabulary: calls, callees, participants and their enumerations."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

Json = Any
"""A JSON value: what a program attaches to a call (`custom_data`) or sends along (`body`)."""


class AudioMode(StrEnum):
    """Where the sound of a call comes out."""

    SPEAKER = "speaker"
    EARPIECE = "earpiece"
    BLUETOOTH = "bluetooth"
    HEADPHONES = "headphones"


class AvatarMode(StrEnum):
    """What stands for a participant whose video is paused."""

    CIRCLE = "circle"
    SQUARE = "square"
    FULLSCREEN = "fullscreen"


class CallEndReason(StrEnum):
    """Why a call is over; every call has exactly one."""

    LOCAL_HANG_UP = "local_hang_up"
    REMOTE_HANG_UP = "remote_hang_up"
    KICKED_OUT = "kicked_out"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    BUSY = "busy"
    TIMED_OUT = "timed_out"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    REJECTED_ELSEWHERE = "rejected_elsewhere"
    CONNECTION_CLOSED = "connection_closed"
    IDLE = "idle"
    FAILED = "failed"
    UNTRUSTED = "untrusted"
    DEVICE_RESTART = "device_restart"


class CallState(StrEnum):
    """Where a call is in its life."""

    IDLE = "idle"
    INCOMING = "incoming"
    OUTGOING = "outgoing"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    ENDED = "ended"


class CallType(StrEnum):
    """Sound alone, or sound and picture."""

    AUDIO = "audio"
    VIDEO = "video"


class CalleeState(StrEnum):
    """How far one callee of an outgoing call has come."""

    INVITING = "inviting"
    RINGING = "ringing"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    BUSY = "busy"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    OFFLINE = "offline"
    LEFT = "left"


class CameraFacing(StrEnum):
    """Which camera: front looks at the visitor, rear is the second one."""

    FRONT = "front"
    REAR = "rear"


class CancelReason(StrEnum):
    """Why a caller takes an invitation back."""

    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    REJECTED_ELSEWHERE = "rejected_elsewhere"


class DeviceException(StrEnum):
    """What is wrong with a camera or a microphone, in ZEGO's words."""

    UNKNOWN = "unknown"
    GENERIC = "generic"
    INVALID_ID = "invalid_id"
    PERMISSION_NOT_GRANTED = "permission_not_granted"
    ZERO_CAPTURE_FPS = "zero_capture_fps"
    DEVICE_OCCUPIED = "device_occupied"
    DEVICE_UNPLUGGED = "device_unplugged"
    REBOOT_REQUIRED = "reboot_required"
    MEDIA_SERVICES_WERE_LOST = "media_services_were_lost"
    SIRI_IS_RECORDING = "siri_is_recording"
    SOUND_LEVEL_TOO_LOW = "sound_level_too_low"
    MAGNETIC_CASE = "magnetic_case"
    AUDIO_SESSION_DEACTIVATE = "audio_session_deactivate"
    AUDIO_SESSION_CATEGORY_CHANGE = "audio_session_category_change"
    INTERRUPTION = "interruption"
    IN_BACKGROUND = "in_background"
    MULTI_FOREGROUND_APP = "multi_foreground_app"
    BY_SYSTEM_PRESSURE = "by_system_pressure"


class Gesture(StrEnum):
    """What a finger did with a button."""

    PRESS = "press"
    DOUBLE_PRESS = "double_press"
    HOLD = "hold"


class Layout(StrEnum):
    """How a screen arranges the participants."""

    TILE = "tile"
    SPOTLIGHT = "spotlight"
    SINGLE = "single"


class ParticipantLeftReason(StrEnum):
    """Why another participant is no longer in the session."""

    LEFT = "left"
    CONNECTION_LOST = "connection_lost"
    KICKED_OUT = "kicked_out"


class ReceiverType(StrEnum):
    """Whether a call goes to one user or to a group."""

    USER = "user"
    GROUP = "group"


class RejectReason(StrEnum):
    """Why a callee does not take a call."""

    REJECTED = "rejected"
    BUSY = "busy"


class SessionStateReason(StrEnum):
    """A step in the life of a session, in ZEGO's words."""

    LOGGING_IN = "logging_in"
    LOGGED_IN = "logged_in"
    LOGIN_FAILED = "login_failed"
    RECONNECTING = "reconnecting"
    RECONNECTED = "reconnected"
    RECONNECT_FAILED = "reconnect_failed"
    KICKED_OUT = "kicked_out"
    LOGGED_OUT = "logged_out"
    LOGOUT_FAILED = "logout_failed"


class RequestAction(StrEnum):
    """What one participant may ask of another (a `request` message)."""

    MUTE = "mute"
    UNMUTE = "unmute"
    KICK = "kick"
    INVITE = "invite"
    SWITCH_TO_VIDEO = "switch_to_video"
    UNLOCK = "unlock"
    START_RECORDING = "start_recording"
    STOP_RECORDING = "stop_recording"
    RENEGOTIATE = "renegotiate"
    PARTICIPANTS = "participants"


class Right(StrEnum):
    """What a contact may do: `may` in the configuration."""

    CALL = "call"
    ANSWER = "answer"
    VIEW = "view"
    UNLOCK = "unlock"
    MODERATE = "moderate"


class ParticipantState(StrEnum):
    """How well a participant's media is connected."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"


class CallDirection(StrEnum):
    """Who called: somebody else (incoming) or this device (outgoing)."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"


class Caller(Struct, frozen=True):
    """Who placed a call."""

    uid: str
    name: str | None = None


class Receiver(Struct, frozen=True):
    """Whom a call is for: one user, or all members of a group."""

    type: ReceiverType
    id: str
    name: str | None = None


class Callee(Struct, frozen=True):
    """One invited uid and how far it has come."""

    uid: str
    name: str | None
    state: CalleeState
    custom_data: Json = None


class Participant(Struct, frozen=True):
    """One endpoint in a session: media state as it last told it."""

    uid: str
    name: str | None
    endpoint: str
    joined_at: datetime | None = None
    state: ParticipantState = ParticipantState.CONNECTING
    audio_muted: bool = False
    video_paused: bool = False
    hand_raised: bool = False
    screen_sharing: bool = False
    recording: bool = False
    on_hold: bool = False


class Call(Struct, frozen=True):
    """One call as every outlet shows it; times are UTC."""

    call_id: str
    session_id: str
    direction: CallDirection
    type: CallType
    state: CallState
    caller: Caller
    receiver: Receiver
    callees: tuple[Callee, ...] = ()
    custom_data: Json = None
    started_at: datetime | None = None
    answered_at: datetime | None = None
    duration_s: float | None = None
    answered_by: str | None = None


class MainVideoContainer(Struct, frozen=True):
    """How the large picture is shown: its fit and the controls on it."""

    fit: str = "contain"
    name_label: bool = True
    full_screen_button: bool = True
    zoom_button: bool = True


class CallSettings(Struct, frozen=True):
    """The settings of a call: `[call]` in the configuration, `settings` of `start_session`."""

    audio_only: bool = False
    start_with_audio_muted: bool = False
    start_with_video_paused: bool = False
    default_audio_mode: AudioMode = AudioMode.SPEAKER
    layout: Layout = Layout.SPOTLIGHT
    start_recording_on_call_start: bool = False
    main_video: str = "dominant_speaker"
    main_video_container: MainVideoContainer = MainVideoContainer()
    avatar_mode: AvatarMode = AvatarMode.CIRCLE
    enable_video_tile_drag: bool = True
    enable_video_tile_click: bool = True
    call_waiting: bool = False
    accept_video: str = "auto"
    quiet_hours: str = ""
    enabled_controls: tuple[str, ...] = (
        "leave",
        "switch_camera",
        "toggle_audio",
        "toggle_video",
        "audio_mode",
        "switch_to_video",
    )
    idle_timeout_s: float = 60


class Situation(StrEnum):
    """What the device is about, for LEDs, gong and screen: the first that holds, from the top."""

    RINGING_IN = "ringing_in"
    RINGING_OUT = "ringing_out"
    CONNECTING = "connecting"
    RECONNECTING = "reconnecting"
    ON_HOLD = "on_hold"
    RECORDING = "recording"
    MUTED = "muted"
    IN_CALL = "in_call"
    ERROR = "error"
    BROKER_AWAY = "broker_away"
    MISSED_CALL = "missed_call"
    IDLE = "idle"


class Tile(Struct, frozen=True):
    """One picture on the screen: of a participant's camera, or of the screen that it shares.

    Its pictures come under (uid, endpoint, screen). Without video, or while it is paused, an avatar
    stands for it.
    """

    participant: Participant
    screen: bool = False
    own: bool = False
    """This device itself."""
    video: bool = True
    """There are pictures to be shown."""


class View(Struct, frozen=True):
    """What the screen is to show, of all that the device is about."""

    situation: Situation
    layout: Layout
    participant_list_visible: bool
    picture_in_picture: bool
    call: Call | None = None
    tiles: tuple[Tile, ...] = ()
    """The others in the order of joining, then this device; the large one is `main`."""
    main: int | None = None
    """The index of the large tile in a spotlight, or of the only one in `single`."""
    avatar_mode: AvatarMode = AvatarMode.CIRCLE
    container: MainVideoContainer = MainVideoContainer()
    do_not_disturb: bool = False
    missed_calls: int = 0
