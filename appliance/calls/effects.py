"""What the core wants done: an edge performs each and reports back through the inbox."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from appliance.calls.inputs import PeerKey, Timer
from appliance.commands import Command
from appliance.events import CallEnded, Event
from appliance.messages import Address, IceCandidate, Message, SessionDescription
from appliance.model import AudioMode, CallType, CameraFacing, Json


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


class FollowList(Effect, frozen=True):
    """The host's lists under that call_id count: who is in them and no contact is believed and reached so.

    An endpoint of None: whichever of that uid. Of who is not followed no list counts for anybody.
    """

    call_id: str
    host: Address


# -------------------- media


class StartCapture(Effect, frozen=True):
    """Open the microphone, and the camera for a video call; close the camera for any other.

    The privacy LED is lit before. A device opens, and stays open, only while it is. Without `audio` the
    microphone stays closed, as for a picture of who rings under do not disturb.
    """

    video: bool
    audio: bool = True


class StopCapture(Effect, frozen=True):
    """Close microphone and camera; `CaptureClosed` with the same number tells once they are."""

    number: int = 0


class RenewCapture(Effect, frozen=True):
    """What is open was cut off from outside, as the sentence `reason` says: open it anew."""

    reason: str


class LimitFramerate(Effect, frozen=True):
    """Take at most `fps` pictures a second until told otherwise; None: as many as configured."""

    fps: int | None


class OpenPeer(Effect, frozen=True):
    """Open a connection: answer `offer` (`PeerAnswered`), or without one, offer (`PeerOffered`).

    One of a higher generation stands beside the one that it is to replace, until that is closed.
    """

    peer: PeerKey
    type: CallType
    offer: SessionDescription | None = None
    sound: bool = True
    """Without, neither side hears the other, whatever is offered."""


class Renegotiate(Effect, frozen=True):
    """Agree anew about a standing connection, of the same generation: answer `offer`
    (`PeerAnswered`), or without one, offer (`PeerOffered`); `PeerAgreed` tells what came of it.

    `type` video adds the camera where there was sound alone.
    """

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


class HoldPeer(Effect, frozen=True):
    """Put one connection on hold or take it off.

    `here`: this device holds; the other side gets the hold tone and no picture, and is not heard.
    `there`: the other side holds; it gets neither sound nor picture, is not heard either, and the hold
    tone is heard at this device instead.
    """

    peer: PeerKey
    here: bool
    there: bool


class MutePeer(Effect, frozen=True):
    """Let sound pass over one connection in neither direction (`muted`), or in both; pictures go on."""

    peer: PeerKey
    muted: bool


class AnswerViewer(Effect, frozen=True):
    """Give a viewer the answer to its offer."""

    viewer: str
    answer: SessionDescription


class DismissViewer(Effect, frozen=True):
    """A viewer is refused, or its view has ended: `code` for programs, `message` a sentence."""

    viewer: str
    code: str
    message: str


class OpenMicrophone(Effect, frozen=True):
    """Send what the microphone hears (`on`), or silence."""

    on: bool


class OpenCamera(Effect, frozen=True):
    """Send what the camera sees (`on`), or nothing at all."""

    on: bool


class SwitchCamera(Effect, frozen=True):
    """Send the pictures of the other camera, without negotiation; `CameraSwitched` tells."""

    facing: CameraFacing


class UseAudioMode(Effect, frozen=True):
    """Let the sound come out there, with the microphone that belongs to it; `AudioOutputs` tells."""

    mode: AudioMode


class SetVolume(Effect, frozen=True):
    """How loud an output is: 0 is silent, 100 as loud as it can be without distortion."""

    mode: AudioMode
    percent: int


class ShareScreen(Effect, frozen=True):
    """Send what the screen shows as a second video (`on`) to every peer that has agreed to one."""

    on: bool


class StartRecording(Effect, frozen=True):
    """Record this call: the own picture if there is one, and both sides' sound (`RecordingStarted`)."""

    call_id: str
    video: bool


class StopRecording(Effect, frozen=True):
    """Close the recording (`RecordingStopped`); nothing happens where there is none."""


# -------------------- who decides


class AskHangUp(Effect, frozen=True):
    """Ask the listeners' `hang_up_confirmation` whether a call is to end; `HangUpAnswered` tells.

    The fields come back as they are.
    """

    call_id: str
    command: Command
    origin: str
    request: int | None = None


class ReturnToIdle(Effect, frozen=True):
    """A call is over: run the default action, or let a listener that overrides it; `ReturnedToIdle`."""

    call_id: str
    event: CallEnded


# -------------------- the panel


class Sound(StrEnum):
    """What the device itself lets hear."""

    CHIME = "chime"
    """To the visitor: your press was taken; the house is rung."""
    REFUSED = "refused"
    """To who pressed a button: that is not taken."""
    RINGTONE = "ringtone"
    """In the house: somebody calls."""
    ALARM = "alarm"
    """At the door: it stands open for too long."""
    IT_IS_RINGING = "it_is_ringing"
    """A prompt to the visitor, as the others below: a tone, and a `Notice` in words."""
    NO_ANSWER = "no_answer"
    NOT_NOW = "not_now"
    DOOR_OPEN = "door_open"


class PlaySound(Effect, frozen=True):
    """Play a sound until it ends by itself, or is stopped (the ring tone)."""

    sound: Sound


class StopSound(Effect, frozen=True):
    """Stop a sound."""

    sound: Sound


class PulseRelay(Effect, frozen=True):
    """Energize a relay for its pulse time; while it is energized the pulse begins anew."""

    relay: str


class LightPrivacy(Effect, frozen=True):
    """Light the LEDs that tell of open devices (`on`), or let them go dark; done when it returns.

    Where one cannot be lit, that is reported, and no device opens.
    """

    on: bool


# -------------------- timers


class StartTimer(Effect, frozen=True):
    """Fire `timer` after `delay_s`; one that runs already begins anew."""

    timer: Timer
    delay_s: float


class StopTimer(Effect, frozen=True):
    """Stop a timer, running or not."""

    timer: Timer
