"""What the core knows of the device: its calls, its links and parts, and what its people have set.

Everything is frozen: a turn makes a new state, so a state can be kept, compared and explored.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field

from appliance.calls.call import LiveCall
from appliance.calls.inputs import VIEWING, LinkState, PeerKey
from appliance.events import Error
from appliance.messages import Address
from appliance.model import (
    AudioMode,
    Call,
    CallEndReason,
    CallState,
    CallType,
    CameraFacing,
    DeviceException,
    Layout,
    Notice,
    Situation,
)


class Presence(Struct, frozen=True):
    """One endpoint of somebody that is online."""

    endpoint: str
    epoch: str | None


class Remembered(Struct, frozen=True):
    """A call that is over, or was taken back before it came: an invite behind it does not ring."""

    at_s: float
    reason: CallEndReason
    by: str | None = None
    """Of one that was never known here: who said so. It is nobody else's to take back."""
    whose: str | None = None
    """Of one that was: the uid of its inviter, whose the id is."""


class Unlocking(Struct, frozen=True):
    """A relay that was told to energize and has not said yet that it did; who waits for it."""

    relay: str
    request: int | None = None
    asker: Address | None = None
    call_id: str | None = None
    request_id: str | None = None


class DoNotDisturb(Struct, frozen=True):
    """Nobody is rung; `until` None is for good. `scheduled`: the quiet hours switched it."""

    until: datetime | None = None
    scheduled: bool = False


class Recording(Struct, frozen=True):
    """A recording of a call: `path` None until it has begun."""

    call_id: str
    path: str | None = None
    request: int | None = None
    """The command that waits for its beginning."""
    asked: tuple[Address, str] | None = None
    """The participant that waits for it, and the id of its request."""


class Viewer(Struct, frozen=True):
    """Somebody who looks through the camera without a call; `uid` None is who works on this machine."""

    id: str
    uid: str | None
    sound: bool
    """It may hear the microphone and be heard, and wants to."""
    muted: bool = False
    """It neither hears nor is heard, since there is a call."""
    connected: bool = False

    @property
    def peer(self) -> PeerKey:
        """Its connection."""
        return PeerKey(VIEWING, self.uid or "", self.id)


class Closing(Struct, frozen=True):
    """A call that is over, and of which LEDs and screen are not told yet (the default action)."""

    call_id: str
    situation: Situation


class State(Struct, frozen=True):
    """Everything that changes."""

    calls: tuple[LiveCall, ...] = ()
    link: LinkState = LinkState.OFFLINE
    presence: Mapping[str, tuple[Presence, ...]] = field(default_factory=dict)
    remembered: Mapping[str, Remembered] = field(default_factory=dict)
    audio_muted: bool = False
    video_paused: bool = False
    missed: tuple[Call, ...] = ()
    relays: Mapping[str, bool] = field(default_factory=dict)
    inputs: Mapping[str, bool] = field(default_factory=dict)
    unlocking: tuple[Unlocking, ...] = ()
    failures: Mapping[str, DeviceException] = field(default_factory=dict)
    """Camera and microphone, by name."""
    pressure: str | None = None
    """Why the camera takes fewer pictures, in a sentence: the device is too hot or its supply too weak."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """What is wrong with other parts now: the part (`leds.status`) and the code of its error."""
    presses: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """When each button was last pressed, within the window of the limit."""
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """Buttons that are pressed too often, and how many presses of each were not taken so far."""
    bell_heard_s: float | None = None
    """When the bell's chime last began for a press."""
    errors: Mapping[str, Error] = field(default_factory=dict)
    """The errors of the last second; each counts how often it came again since it was told."""
    stopping: bool = False
    capturing: CallType | None = None
    """What calls need: nothing, the microphone, or the camera as well."""
    portrait: bool = False
    """The camera is open for a moment, for a picture: of who rings in vain, or since somebody asks."""
    viewers: tuple[Viewer, ...] = ()
    """Who looks through the camera without a call."""
    closings: int = 0
    """How often the devices were told to close: a report of an earlier time is no news."""
    camera_facing: CameraFacing = CameraFacing.FRONT
    audio_mode: AudioMode = AudioMode.SPEAKER
    audio_available: tuple[AudioMode, ...] = (AudioMode.SPEAKER,)
    handset_lifted: bool = False
    volumes: Mapping[AudioMode, int] = field(default_factory=dict)
    layout: Layout = Layout.SPOTLIGHT
    participant_list_visible: bool = False
    picture_in_picture: bool = False
    sharing_screen: bool = False
    recording: Recording | None = None
    do_not_disturb: DoNotDisturb | None = None
    quiet_overruled: bool = False
    """Somebody wants to be rung in these quiet hours."""
    inbox: str | None = None
    list_version: int = 0
    """Of all lists that this device has sent as a host: it rises over all its sessions."""
    chat_next: int = 0
    """Which canned message comes next."""
    closing: Closing | None = None
    notice: Notice | None = None
    """Of what a visitor is told for a while; `telling.notice_of` has all of it."""

    @property
    def films(self) -> bool:
        """Whether the camera is to be open, for a call or not."""
        return self.capturing is CallType.VIDEO or self.portrait or bool(self.viewers)

    @property
    def listens(self) -> bool:
        """Whether the microphone is to be open, for a call or not."""
        return self.capturing is not None or any(viewer.sound for viewer in self.viewers)

    def viewer(self, id: str) -> Viewer | None:
        """The viewer of that id."""
        return next((viewer for viewer in self.viewers if viewer.id == id), None)

    @property
    def active(self) -> LiveCall | None:
        """The call that buttons and commands are about."""
        return self.calls[0] if self.calls else None

    def call(self, call_id: str) -> LiveCall | None:
        """The live call with that id."""
        return next((call for call in self.calls if call.call_id == call_id), None)

    def about(self, call_id: str) -> LiveCall | None:
        """The live call with that id, or the one into which that call was merged."""
        return self.call(call_id) or next(
            (call for call in self.calls if any(one.call_id == call_id for one in call.grouped)),
            None,
        )

    @property
    def incoming(self) -> LiveCall | None:
        """The call that rings here."""
        return next((call for call in self.calls if call.state is CallState.INCOMING), None)

    def other_than(self, call: LiveCall) -> LiveCall | None:
        """The other of two calls."""
        return next((one for one in self.calls if one.call_id != call.call_id), None)
