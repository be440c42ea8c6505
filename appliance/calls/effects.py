"""What the core wants done: an edge performs each and reports back through the inbox."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from appliance.calls.inputs import PeerKey, Timer
from appliance.events import Event
from appliance.messages import Address, IceCandidate, Message, SessionDescription
from appliance.model import CallType, Json


class Output(Struct, frozen=True):
    """One entry of the list that a turn of the core gives back."""


class Emit(Output, frozen=True):
    """Tell the bus of an event; `call_id` is its subject."""

    event: Event
    call_id: str | None = None


class Effect(Output, frozen=True):
    """Something to be done outside."""


class Reply(Effect, frozen=True):
    """The answer to a command that somebody waits for; with `code` where it was refused."""

    request: int
    result: Json = None
    code: str | None = None
    message: str | None = None


# -------------------- signaling


class Send(Effect, frozen=True):
    """Send a message; the signaling edge repeats it where its type asks for that."""

    to: Address
    call_id: str
    message: Message
    ttl_s: float = 30


class SettleMessage(Effect, frozen=True):
    """What a message asked for has come about: it is to be repeated no more. `type` is its type."""

    to: Address
    call_id: str
    type: str


class ForgetCall(Effect, frozen=True):
    """The call is over: nothing of it is to be repeated any more."""

    call_id: str


# -------------------- media


class StartCapture(Effect, frozen=True):
    """Open the microphone, and the camera for a video call; the privacy LED is lit before."""

    video: bool


class StopCapture(Effect, frozen=True):
    """Close microphone and camera."""


class OpenPeer(Effect, frozen=True):
    """Open a connection: answer `offer` (`PeerAnswered`), or without one, offer (`PeerOffered`)."""

    peer: PeerKey
    type: CallType
    offer: SessionDescription | None = None


class AcceptAnswer(Effect, frozen=True):
    """Give the connection that this device offered the remote answer."""

    peer: PeerKey
    answer: SessionDescription


class AddCandidate(Effect, frozen=True):
    """Give the connection a remote candidate; None: there are no more."""

    peer: PeerKey
    candidate: IceCandidate | None


class ClosePeer(Effect, frozen=True):
    """Close a connection; nothing of it is reported afterwards."""

    peer: PeerKey


class OpenMicrophone(Effect, frozen=True):
    """Send what the microphone hears (`on`), or silence."""

    on: bool


class OpenCamera(Effect, frozen=True):
    """Send what the camera sees (`on`), or nothing at all."""

    on: bool


# -------------------- the panel


class Sound(StrEnum):
    """What the device itself lets hear."""

    CHIME = "chime"
    """To the visitor: your press was taken; the house is rung."""
    RINGTONE = "ringtone"
    """In the house: somebody calls."""


class PlaySound(Effect, frozen=True):
    """Play a sound until it ends by itself (chime) or is stopped (ring tone)."""

    sound: Sound


class StopSound(Effect, frozen=True):
    """Stop a sound."""

    sound: Sound


class PulseRelay(Effect, frozen=True):
    """Energize a relay for its pulse time; while it is energized the pulse begins anew."""

    relay: str


# -------------------- timers


class StartTimer(Effect, frozen=True):
    """Fire `timer` after `delay_s`; one that runs already begins anew."""

    timer: Timer
    delay_s: float


class StopTimer(Effect, frozen=True):
    """Stop a timer, running or not."""

    timer: Timer
