"""What can happen to the core: everything that its shell may put into the inbox."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from appliance.calls.policy import ContactPolicy
from appliance.commands import Command
from appliance.messages import Address, IceCandidate, Message, SessionDescription
from appliance.model import AudioMode, CameraFacing, DeviceException, Gesture


class Input(Struct, frozen=True):
    """Something that happened outside the core."""


class PeerKey(Struct, frozen=True):
    """One peer connection: of which call, with whom, and the how-manieth between the two.

    Not of which session: a session's id is the host's to choose, and may come twice.
    """

    call_id: str
    uid: str
    endpoint: str
    generation: int = 1


VIEWING = "(viewing)"
"""In place of a call's id: the connection is one of who looks through the camera without a call."""


# -------------------- somebody asks


class CommandIssued(Input, frozen=True):
    """A command was given; `origin` says where (button, socket, mqtt, python, page).

    `request` comes back in the `Reply` effect; None where nobody waits for one.
    """

    command: Command
    origin: str
    request: int | None = None


# -------------------- signaling


class MessageReceived(Input, frozen=True):
    """A message came that is well-formed, fresh, not a duplicate and for this endpoint."""

    sender: Address
    call_id: str
    message: Message
    vouched_by: frozenset[Address] | None = None
    """Of a sender that is no contact: whose lists name it, with the key that signed. It counts as far
    as the call's host is among them; None is a contact."""


class MessageExpired(Input, frozen=True):
    """A message was dropped from the outbox: nobody answered it within its time.

    `sent` is False where it never even left this device.
    """

    to: Address
    call_id: str
    message: Message
    sent: bool


ENDPOINTS_OF_EACH = 32
"""How many endpoints of one uid are taken for online, at the edge as in the core: a phone, some tabs.

More are somebody's mistake, or made up. The edge decides which; where one makes room it says so first."""


class PresenceChanged(Input, frozen=True):
    """An endpoint of somebody came online (`epoch` is its connection's id) or went offline."""

    uid: str
    endpoint: str
    online: bool
    epoch: str | None = None
    name: str | None = None


class ContactsChanged(Input, frozen=True):
    """Somebody was paired or revoked: `contacts` are all, from now on.

    `withdrawn` are endpoints that were believed by a key which counts no more (None: all of the uid's).
    """

    contacts: Mapping[str, ContactPolicy]
    withdrawn: frozenset[Address] = frozenset()


class LinkState(StrEnum):
    """How the broker is reached; connected means that the subscriptions are acknowledged."""

    CONNECTED = "connected"
    CONNECTING = "connecting"
    OFFLINE = "offline"


class LinkChanged(Input, frozen=True):
    """The link to the broker changed; `inbox` is where calls are pushed to, once it is connected."""

    state: LinkState
    inbox: str | None = None


# -------------------- media


class PeerOffered(Input, frozen=True):
    """The offer of a connection that this device opens is ready."""

    peer: PeerKey
    description: SessionDescription


class PeerAnswered(Input, frozen=True):
    """The answer to a remote offer is ready."""

    peer: PeerKey
    description: SessionDescription


class PeerAgreed(Input, frozen=True):
    """Offer and answer are both in force: what the connection carries from here, each way or one."""

    peer: PeerKey
    video: bool
    """The camera's section is in use."""
    screen: bool
    """There is a second video section, in which this device may send its screen."""


class PeerFound(Input, frozen=True):
    """By which address the connection can be reached as well, known only after its description; None:
    these were all.
    """

    peer: PeerKey
    candidate: IceCandidate | None


class PeerConnected(Input, frozen=True):
    """ICE and DTLS are done: media flows."""

    peer: PeerKey


class PeerLost(Input, frozen=True):
    """Nothing has come from the peer for the liveness time; it may come back."""

    peer: PeerKey


class PeerRestored(Input, frozen=True):
    """Media from the peer flows again after it was lost."""

    peer: PeerKey


class PeerFailed(Input, frozen=True):
    """The connection cannot be made or is gone for good; `message` is a sentence for people."""

    peer: PeerKey
    code: str
    message: str


class ViewerOffered(Input, frozen=True):
    """Somebody wants to look through the camera without a call, and offers; `viewer` names it from here on.

    `uid` None: whoever works on this very machine. `sound`: it offers sound as well.
    """

    viewer: str
    uid: str | None
    offer: SessionDescription
    sound: bool


class ViewerTrickled(Input, frozen=True):
    """A viewer's candidate came behind its offer; None: there are no more."""

    viewer: str
    candidate: IceCandidate | None


class ViewerLeft(Input, frozen=True):
    """A viewer has seen enough, or may look no more."""

    viewer: str


class PictureWanted(Input, frozen=True):
    """Somebody who may look through the camera wants one picture of now."""


class SpeakerChanged(Input, frozen=True):
    """The loudest of the others of a call is another one than before, by the measured levels."""

    peer: PeerKey


class CameraSwitched(Input, frozen=True):
    """The pictures come from that camera now."""

    facing: CameraFacing


class AudioOutputs(Input, frozen=True):
    """Which output is in use, and which there are, in the order in which a button cycles through them."""

    mode: AudioMode
    available: tuple[AudioMode, ...]


class RecordingStarted(Input, frozen=True):
    """The recording has begun."""

    path: str


class RecordingStopped(Input, frozen=True):
    """The recording was closed, as asked or since it could not go on (`error`); it is playable."""

    path: str
    duration_s: float
    bytes: int
    error: str | None = None


class RecordingFailed(Input, frozen=True):
    """There is no recording: it could not begin. `message` is a sentence."""

    message: str


class DeviceFailed(Input, frozen=True):
    """A camera or microphone (`device`) failed, or works again (`type` None)."""

    device: str
    type: DeviceException | None
    message: str | None = None


class PressureChanged(Input, frozen=True):
    """The device is too hot, or its supply too weak, for all that it does (`message` says which), or no
    longer so (None).
    """

    message: str | None


class Resumed(Input, frozen=True):
    """The whole device was suspended, for `away_s`, and goes on."""

    away_s: float


class CaptureClosed(Input, frozen=True):
    """After the `StopCapture` of that number: microphone and camera are both closed."""

    number: int


# -------------------- the panel


class ButtonPressed(Input, frozen=True):
    """The first edge of a press: for what must be seen and heard at once."""

    button: str


class ButtonGestured(Input, frozen=True):
    """A press, double press or hold is complete."""

    button: str
    gesture: Gesture


class ButtonStuck(Input, frozen=True):
    """A button has been pressed for so long that no finger does it (`stuck`), or was let go."""

    button: str
    stuck: bool


class PrivacyLost(Input, frozen=True):
    """An LED that tells of open devices went dark by itself: what is open is to be closed."""


class HookSwitched(Input, frozen=True):
    """The handset was lifted, or put back; `button` is the name of the hook switch."""

    button: str
    lifted: bool


class InputSwitched(Input, frozen=True):
    """A contact or sensor of the panel changed."""

    input: str
    kind: str
    on: bool


class RelayChanged(Input, frozen=True):
    """A relay was energized or released, read back from its pin."""

    relay: str
    energized: bool


# -------------------- the rest


class Timer(Struct, frozen=True):
    """A timer's name: what it is for, and of which call (or other key)."""

    kind: str
    key: str = ""


class TimerFired(Input, frozen=True):
    """A timer ran out."""

    timer: Timer


class HangUpAnswered(Input, frozen=True):
    """The listeners were asked (`AskHangUp`): the call ends, or is kept."""

    call_id: str
    command: Command
    origin: str
    request: int | None
    confirmed: bool


class ReturnedToIdle(Input, frozen=True):
    """The default action after a call's end has run: LEDs, screen and sound are as without a call."""

    call_id: str


class Started(Input, frozen=True):
    """The core begins to run: its first input."""


class FaultReported(Input, frozen=True):
    """An edge could not do or believe something: it becomes an `error` event, and is counted.

    `code` is snake_case for programs, `message` a sentence, `where` a topic, file or name. What `lasts`
    is the state of a part (`where`: leds.status, audio.speaker) until `FaultCleared`.
    """

    code: str
    message: str
    where: str | None = None
    call_id: str | None = None
    lasts: bool = False


class FaultCleared(Input, frozen=True):
    """A part of which a lasting fault was reported works again."""

    where: str


class StopRequested(Input, frozen=True):
    """The daemon is to end: every call ends first."""
