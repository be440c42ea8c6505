"""The media sections of one connection that are in use: what each is for, and what goes over it when."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from aiortc import RTCRtpTransceiver

from appliance.media.fanout import AudioFanout, VideoFanout
from appliance.media.hold_tone import HoldTone
from appliance.media.tracks import PacketTrack


class Role(Enum):
    """What a section is for: the first of sound, the first and the second of pictures."""

    SOUND = "audio"
    CAMERA = "camera"
    SCREEN = "screen"
    RETURN = "return"
    """Sound the other way round, where the other side keeps the two apart: players do."""

    @property
    def kind(self) -> str:
        """As in the `m=` line."""
        return "audio" if self in (Role.SOUND, Role.RETURN) else "video"


@dataclass(frozen=True, slots=True)
class Sources:
    """What can be sent, whoever gets it. None: this device has nothing of the kind."""

    audio: AudioFanout | None
    camera: VideoFanout | None = None
    screen: VideoFanout | None = None
    hold: HoldTone | None = None
    """What is sent instead of the microphone while on hold; None: nothing."""

    def of(self, role: Role) -> AudioFanout | VideoFanout | None:
        """The fan-out of a section."""
        match role:
            case Role.SOUND | Role.RETURN:
                return self.audio
            case Role.CAMERA:
                return self.camera
            case Role.SCREEN:
                return self.screen

    def direction(self, role: Role, *, video: bool, watching: bool) -> str:
        """What this device wants of a section, in a call that has `video` or not, `watching` or not."""
        if role.kind == "audio":
            return "inactive" if self.audio is None else "sendrecv"
        match video and self.of(role) is not None, video and watching:
            case True, True:
                return "sendrecv"
            case True, False:
                return "sendonly"
            case False, True:
                return "recvonly"
        return "inactive"


@dataclass(frozen=True, slots=True)
class Hold:
    """Whether this device holds the connection (`here`), and whether the other side does (`there`)."""

    here: bool = False
    there: bool = False

    def __bool__(self) -> bool:
        """Nothing of the other side is heard or seen, and it gets no picture."""
        return self.here or self.there


NOT_ON_HOLD = Hold()


@dataclass(frozen=True, slots=True)
class Line:
    """A section in use."""

    role: Role
    transceiver: RTCRtpTransceiver
    track: PacketTrack | None

    @property
    def sends(self) -> bool:
        """It was agreed that this device sends."""
        return self.transceiver.currentDirection in ("sendrecv", "sendonly")

    @property
    def receives(self) -> bool:
        """It was agreed that the other side sends."""
        return self.transceiver.currentDirection in ("sendrecv", "recvonly")

    def feed(self, sources: Sources, hold: Hold, *, muted: bool = False) -> None:
        """Let the track have what it is to send now; while `muted`, no sound."""
        if self.track is None:
            return
        if not self.sends or (muted and self.role.kind == "audio"):
            self.track.draw_from(None)
        elif not hold:
            self.track.draw_from(sources.of(self.role))
        elif self.role.kind != "audio" or sources.hold is None:
            self.track.draw_from(None)
        else:
            self.track.draw_from(sources.hold.silence if hold.there else sources.hold.tone)
