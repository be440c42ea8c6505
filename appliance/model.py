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
    """The loudspeaker."""
    EARPIECE = "earpiece"
    """The handset."""
    BLUETOOTH = "bluetooth"
    """A paired Bluetooth device."""
    HEADPHONES = "headphones"
    """A headset with a plug."""


class AvatarMode(StrEnum):
    """What stands for a participant whose video is paused."""

    CIRCLE = "circle"
    """Initials in a circle."""
    SQUARE = "square"
    """Initials in a square."""
    FULLSCREEN = "fullscreen"
    """Initials that fill the tile."""


class CallEndReason(StrEnum):
    """Why a call is over; every call has exactly one."""

    LOCAL_HANG_UP = "local_hang_up"
    """This device hung up."""
    REMOTE_HANG_UP = "remote_hang_up"
    """The last of the others hung up, or the host ended it for all."""
    KICKED_OUT = "kicked_out"
    """Who may moderate put this device out."""
    CANCELLED = "cancelled"
    """The caller took it back before anybody answered."""
    REJECTED = "rejected"
    """Nobody took it and somebody said no, or this device did."""
    BUSY = "busy"
    """Everybody was in another call, or this device was."""
    TIMED_OUT = "timed_out"
    """Nobody answered in time."""
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    """Another endpoint, or another of the group, answered."""
    REJECTED_ELSEWHERE = "rejected_elsewhere"
    """Another endpoint of the same uid said no."""
    CONNECTION_CLOSED = "connection_closed"
    """Media stopped, and reconnecting was given up."""
    IDLE = "idle"
    """This device was alone in the session for the idle time-out."""
    FAILED = "failed"
    """It could not be set up: no media in time, a bad token, an error."""
    UNTRUSTED = "untrusted"
    """Who took part is trusted no more: revoked, or a signature that does not hold."""
    DEVICE_RESTART = "device_restart"
    """The daemon stopped."""


class CallState(StrEnum):
    """Where a call is in its life."""

    IDLE = "idle"
    """There is no call."""
    INCOMING = "incoming"
    """It rings here."""
    OUTGOING = "outgoing"
    """It rings at the others."""
    CONNECTING = "connecting"
    """It was answered; media does not flow yet."""
    CONNECTED = "connected"
    """Media flows."""
    RECONNECTING = "reconnecting"
    """Media stopped, and is tried again."""
    ENDED = "ended"
    """It is over."""


class CallType(StrEnum):
    """Sound alone, or sound and picture."""

    AUDIO = "audio"
    """Sound alone."""
    VIDEO = "video"
    """Sound and picture."""


class CalleeState(StrEnum):
    """How far one callee of an outgoing call has come."""

    INVITING = "inviting"
    """It was sent an invitation."""
    RINGING = "ringing"
    """One of its endpoints rings."""
    ACCEPTED = "accepted"
    """It took the call."""
    REJECTED = "rejected"
    """It said no."""
    BUSY = "busy"
    """It is in another call."""
    TIMED_OUT = "timed_out"
    """It did not answer in time."""
    CANCELLED = "cancelled"
    """The invitation was taken back, or another took the call."""
    OFFLINE = "offline"
    """It has no endpoint online; it is invited if one comes."""
    LEFT = "left"
    """It took the call and left it again."""


class CameraFacing(StrEnum):
    """Which camera: front looks at the visitor, rear is the second one."""

    FRONT = "front"
    """Towards the visitor."""
    REAR = "rear"
    """The second camera."""


class CancelReason(StrEnum):
    """Why a caller takes an invitation back."""

    CANCELLED = "cancelled"
    """The caller changed its mind."""
    TIMED_OUT = "timed_out"
    """Nobody answered in time."""
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    """Another endpoint, or another of the group, answered."""
    REJECTED_ELSEWHERE = "rejected_elsewhere"
    """Another endpoint of the same uid said no."""


class DeviceException(StrEnum):
    """What is wrong with a camera or a microphone, in ZEGO's words."""

    UNKNOWN = "unknown"
    """No errno came with the failure."""
    GENERIC = "generic"
    """An errno that none of the others stands for."""
    INVALID_ID = "invalid_id"
    """The configured name does not exist at start."""
    PERMISSION_NOT_GRANTED = "permission_not_granted"
    """`EACCES`, `EPERM`."""
    ZERO_CAPTURE_FPS = "zero_capture_fps"
    """No frame for 3 s."""
    DEVICE_OCCUPIED = "device_occupied"
    """`EBUSY`."""
    DEVICE_UNPLUGGED = "device_unplugged"
    """`ENODEV`, or the device's node went away."""
    REBOOT_REQUIRED = "reboot_required"
    """The third re-opening in a row failed with `EIO` or `ETIMEDOUT`."""
    MEDIA_SERVICES_WERE_LOST = "media_services_were_lost"
    """The encoder, libcamera or the sound server ended."""
    SIRI_IS_RECORDING = "siri_is_recording"
    """Only of a remote participant: a phone can tell of it."""
    SOUND_LEVEL_TOO_LOW = "sound_level_too_low"
    """Below -70 dBFS for 10 s with the microphone open."""
    MAGNETIC_CASE = "magnetic_case"
    """Only of a remote participant: a phone can tell of it."""
    AUDIO_SESSION_DEACTIVATE = "audio_session_deactivate"
    """Only of a remote participant: a phone can tell of it."""
    AUDIO_SESSION_CATEGORY_CHANGE = "audio_session_category_change"
    """Only of a remote participant: a phone can tell of it."""
    INTERRUPTION = "interruption"
    """A suspend, or another stream took the device and gave it back."""
    IN_BACKGROUND = "in_background"
    """Only of a remote participant: a phone can tell of it."""
    MULTI_FOREGROUND_APP = "multi_foreground_app"
    """Only of a remote participant: a phone can tell of it."""
    BY_SYSTEM_PRESSURE = "by_system_pressure"
    """A thermal zone over its limit, or the throttled flag."""


class Gesture(StrEnum):
    """What a finger did with a button."""

    PRESS = "press"
    """Down and up."""
    DOUBLE_PRESS = "double_press"
    """Twice within 300 ms."""
    HOLD = "hold"
    """Down for at least `hold_s`."""


class Layout(StrEnum):
    """How a screen arranges the participants."""

    TILE = "tile"
    """All pictures have the same size."""
    SPOTLIGHT = "spotlight"
    """One is large (`main_video`), the others are small beside it."""
    SINGLE = "single"
    """Only the large one."""


class ParticipantLeftReason(StrEnum):
    """Why another participant is no longer in the session."""

    LEFT = "left"
    """It hung up."""
    CONNECTION_LOST = "connection_lost"
    """Its media stopped and did not come back."""
    KICKED_OUT = "kicked_out"
    """Who may moderate put it out."""


class ReceiverType(StrEnum):
    """Whether a call goes to one user or to a group."""

    USER = "user"
    """One uid."""
    GROUP = "group"
    """All members of a configured group."""


class RejectReason(StrEnum):
    """Why a callee does not take a call."""

    REJECTED = "rejected"
    """Somebody said no."""
    BUSY = "busy"
    """It is in another call."""


class SessionStateReason(StrEnum):
    """A step in the life of a session, in ZEGO's words."""

    LOGGING_IN = "logging_in"
    """A call was answered, or a token is being shown."""
    LOGGED_IN = "logged_in"
    """This device is in the session: right before session_joined."""
    LOGIN_FAILED = "login_failed"
    """It could not get in."""
    RECONNECTING = "reconnecting"
    """Media from every peer stopped."""
    RECONNECTED = "reconnected"
    """It flows again."""
    RECONNECT_FAILED = "reconnect_failed"
    """Reconnecting was given up."""
    KICKED_OUT = "kicked_out"
    """Who may moderate put this device out."""
    LOGGED_OUT = "logged_out"
    """This device has left: right before session_left."""
    LOGOUT_FAILED = "logout_failed"
    """The others could not be told that it left."""


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
    """Its media does not flow yet."""
    CONNECTED = "connected"
    """Its media flows."""
    RECONNECTING = "reconnecting"
    """Its media stopped, and is tried again."""


class CallDirection(StrEnum):
    """Who called: somebody else (incoming) or this device (outgoing)."""

    INCOMING = "incoming"
    """Somebody called this device."""
    OUTGOING = "outgoing"
    """This device called."""


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
    """`contain`: all of the picture; `cover`: no borders, and the rest is cut off."""
    name_label: bool = True
    """The participant's name is shown."""
    full_screen_button: bool = True
    """There is a button that lets it fill the screen."""
    zoom_button: bool = True
    """There is a button that magnifies it."""


CONTROLS = (
    "leave",
    "switch_camera",
    "toggle_audio",
    "toggle_video",
    "audio_mode",
    "switch_to_video",
    "recording",
)
"""What `enabled_controls` may name."""

QUIET_HOURS = r"(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?"
"""How `quiet_hours` is spelled, as a regular expression."""


class CallSettings(Struct, frozen=True):
    """The settings of a call: `[call]` in the configuration, `settings` of `start_session`."""

    audio_only: bool = False
    """This device places audio calls, and sends no picture in any."""
    start_with_audio_muted: bool = False
    """A call begins with the microphone muted."""
    start_with_video_paused: bool = False
    """A call begins with the camera off."""
    default_audio_mode: AudioMode = AudioMode.SPEAKER
    """Where the sound of a call comes out when it begins."""
    layout: Layout = Layout.SPOTLIGHT
    """How the screen arranges the participants when a call begins."""
    start_recording_on_call_start: bool = False
    """Record every call from when it connects."""
    main_video: str = "dominant_speaker"
    """Who is the large picture: `dominant_speaker`, or a uid."""
    main_video_container: MainVideoContainer = MainVideoContainer()
    """How the large picture is shown."""
    avatar_mode: AvatarMode = AvatarMode.CIRCLE
    """What screen and page show while a participant's video is paused."""
    enable_video_tile_drag: bool = True
    """Tiles can be dragged, on a touch screen and the page."""
    enable_video_tile_click: bool = True
    """A click on a tile makes it the large picture."""
    call_waiting: bool = False
    """A second call may ring during a first; else its caller hears busy."""
    accept_video: str = "auto"
    """`auto` or `ask`, when a participant wants to switch to video."""
    quiet_hours: str = ""
    """`22:00-07:00`: do not disturb between these times; empty: never."""
    enabled_controls: tuple[str, ...] = (
        "leave",
        "switch_camera",
        "toggle_audio",
        "toggle_video",
        "audio_mode",
        "switch_to_video",
    )
    """Which controls are shown, of leave, switch_camera, toggle_audio, toggle_video, audio_mode,
    switch_to_video and recording; an empty list shows none."""
    idle_timeout_s: float = 60
    """Alone in a session for this long, this device leaves it."""


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


class Notice(StrEnum):
    """What a visitor is told in words: by voice, on the screen and by the LEDs."""

    IT_IS_RINGING = "it_is_ringing"
    """Somebody's phone rings."""
    NO_ANSWER = "no_answer"
    """It rang for as long as it may, and nobody answered."""
    NOT_NOW = "not_now"
    """Nobody can come now: all have declined, are busy, cannot be reached or want no disturbance."""
    DOOR_OPEN = "door_open"
    """The door can be pushed open."""


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
    tile_click: bool = True
    """A tap on a tile makes it the large one, and another on it lets the view choose again."""
    tile_drag: bool = True
    """Tiles may be rearranged."""
    do_not_disturb: bool = False
    missed_calls: int = 0
    notice: Notice | None = None
    """What a visitor is told now."""
