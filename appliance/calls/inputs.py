"""What can happen to the core: everything that its shell may put into the inbox."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.commands import Command
from appliance.messages import Address, Message, SessionDescription
from appliance.model import DeviceException, Gesture


@dataclass(frozen=True, slots=True)
class Input:
    """Something that happened outside the core."""


@dataclass(frozen=True, slots=True)
class PeerKey:
    """One peer connection: of which session, with whom, and the how-manieth between the two."""

    session_id: str
    uid: str
    endpoint: str
    generation: int = 1


# -------------------- somebody asks


@dataclass(frozen=True, slots=True)
class CommandIssued(Input):
    """A command was given; `origin` says where (button, socket, mqtt, python, page).

    `request` comes back in the `Reply` effect; None where nobody waits for one.
    """

    command: Command
    origin: str
    request: int | None = None


# -------------------- signaling


@dataclass(frozen=True, slots=True)
class MessageReceived(Input):
    """A message came that is well-formed, fresh, not a duplicate and for this endpoint."""

    sender: Address
    call_id: str
    message: Message


@dataclass(frozen=True, slots=True)
class MessageExpired(Input):
    """A message was dropped from the outbox: nobody answered it within its time.

    `sent` is False where it never even left this device.
    """

    to: Address
    call_id: str
    message: Message
    sent: bool


@dataclass(frozen=True, slots=True)
class PresenceChanged(Input):
    """An endpoint of somebody came online (`epoch` is its connection's id) or went offline."""

    uid: str
    endpoint: str
    online: bool
    epoch: str | None = None
    name: str | None = None


class LinkState(StrEnum):
    """How the broker is reached; connected means that the subscriptions are acknowledged."""

    CONNECTED = "connected"
    CONNECTING = "connecting"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class LinkChanged(Input):
    """The link to the broker changed."""

    state: LinkState


# -------------------- media


@dataclass(frozen=True, slots=True)
class PeerOffered(Input):
    """The offer of a connection that this device opens is ready."""

    peer: PeerKey
    description: SessionDescription


@dataclass(frozen=True, slots=True)
class PeerAnswered(Input):
    """The answer to a remote offer is ready."""

    peer: PeerKey
    description: SessionDescription


@dataclass(frozen=True, slots=True)
class PeerConnected(Input):
    """ICE and DTLS are done: media flows."""

    peer: PeerKey


@dataclass(frozen=True, slots=True)
class PeerLost(Input):
    """Nothing has come from the peer for the liveness time; it may come back."""

    peer: PeerKey


@dataclass(frozen=True, slots=True)
class PeerRestored(Input):
    """Media from the peer flows again after it was lost."""

    peer: PeerKey


@dataclass(frozen=True, slots=True)
class PeerFailed(Input):
    """The connection cannot be made or is gone for good; `message` is a sentence for people."""

    peer: PeerKey
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class DeviceFailed(Input):
    """A camera or microphone (`device`) failed, or works again (`type` None)."""

    device: str
    type: DeviceException | None
    message: str | None = None


# -------------------- the panel


@dataclass(frozen=True, slots=True)
class ButtonPressed(Input):
    """The first edge of a press: for what must be seen and heard at once."""

    button: str


@dataclass(frozen=True, slots=True)
class ButtonGestured(Input):
    """A press, double press or hold is complete."""

    button: str
    gesture: Gesture


@dataclass(frozen=True, slots=True)
class InputSwitched(Input):
    """A contact or sensor of the panel changed."""

    input: str
    kind: str
    on: bool


@dataclass(frozen=True, slots=True)
class RelayChanged(Input):
    """A relay was energized or released, read back from its pin."""

    relay: str
    energized: bool


# -------------------- the rest


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer's name: what it is for, and of which call (or other key)."""

    kind: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class TimerFired(Input):
    """A timer ran out."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class FaultReported(Input):
    """An edge could not do or believe something: it becomes an `error` event, and is counted.

    `code` is snake_case for programs, `message` a sentence, `where` a topic, file or name.
    """

    code: str
    message: str
    where: str | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class StopRequested(Input):
    """The daemon is to end: every call ends first."""
