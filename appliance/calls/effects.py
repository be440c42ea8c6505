"""What the core wants done: an edge performs each and reports back through the inbox."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.calls.inputs import PeerKey, Timer
from appliance.events import Event
from appliance.messages import Address, IceCandidate, Message, SessionDescription
from appliance.model import CallType, Json


@dataclass(frozen=True, slots=True)
class Output:
    """One entry of the list that a turn of the core gives back."""


@dataclass(frozen=True, slots=True)
class Emit(Output):
    """Tell the bus of an event; `call_id` is its subject."""

    event: Event
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Effect(Output):
    """Something to be done outside."""


@dataclass(frozen=True, slots=True)
class Reply(Effect):
    """The answer to a command that somebody waits for; with `code` where it was refused."""

    request: int
    result: Json = None
    code: str | None = None
    message: str | None = None


# -------------------- signaling


@dataclass(frozen=True, slots=True)
class Send(Effect):
    """Send a message; the signaling edge repeats it where its type asks for that."""

    to: Address
    call_id: str
    message: Message
    ttl_s: float = 30


@dataclass(frozen=True, slots=True)
class SettleMessage(Effect):
    """What a message asked for has come about: it is to be repeated no more. `type` is its type."""

    to: Address
    call_id: str
    type: str


@dataclass(frozen=True, slots=True)
class ForgetCall(Effect):
    """The call is over: nothing of it is to be repeated any more."""

    call_id: str


# -------------------- media


@dataclass(frozen=True, slots=True)
class StartCapture(Effect):
    """Open the microphone, and the camera for a video call; the privacy LED is lit before."""

    video: bool


@dataclass(frozen=True, slots=True)
class StopCapture(Effect):
    """Close microphone and camera."""


@dataclass(frozen=True, slots=True)
class OpenPeer(Effect):
    """Open a connection: answer `offer` (`PeerAnswered`), or without one, offer (`PeerOffered`)."""

    peer: PeerKey
    type: CallType
    offer: SessionDescription | None = None


@dataclass(frozen=True, slots=True)
class AcceptAnswer(Effect):
    """Give the connection that this device offered the remote answer."""

    peer: PeerKey
    answer: SessionDescription


@dataclass(frozen=True, slots=True)
class AddCandidate(Effect):
    """Give the connection a remote candidate; None: there are no more."""

    peer: PeerKey
    candidate: IceCandidate | None


@dataclass(frozen=True, slots=True)
class ClosePeer(Effect):
    """Close a connection; nothing of it is reported afterwards."""

    peer: PeerKey


@dataclass(frozen=True, slots=True)
class OpenMicrophone(Effect):
    """Send what the microphone hears (`on`), or silence."""

    on: bool


@dataclass(frozen=True, slots=True)
class OpenCamera(Effect):
    """Send what the camera sees (`on`), or nothing at all."""

    on: bool


# -------------------- the panel


class Sound(StrEnum):
    """What the device itself lets hear."""

    CHIME = "chime"
    """To the visitor: your press was taken; the house is rung."""
    RINGTONE = "ringtone"
    """In the house: somebody calls."""


@dataclass(frozen=True, slots=True)
class PlaySound(Effect):
    """Play a sound until it ends by itself (chime) or is stopped (ring tone)."""

    sound: Sound


@dataclass(frozen=True, slots=True)
class StopSound(Effect):
    """Stop a sound."""

    sound: Sound


@dataclass(frozen=True, slots=True)
class PulseRelay(Effect):
    """Energize a relay for its pulse time; while it is energized the pulse begins anew."""

    relay: str


# -------------------- timers


@dataclass(frozen=True, slots=True)
class StartTimer(Effect):
    """Fire `timer` after `delay_s`; one that runs already begins anew."""

    timer: Timer
    delay_s: float


@dataclass(frozen=True, slots=True)
class StopTimer(Effect):
    """Stop a timer, running or not."""

    timer: Timer
