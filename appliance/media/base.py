"""The seams of media: what a camera, a microphone and a loudspeaker are to the rest.

A driver owns its thread. It calls back from that thread, and whoever is called hands over to the loop
(`handover.py`). Sound is passed in frames of 20 ms: 960 samples at 48 kHz, mono, signed 16 bit, little
endian, as `bytes` (what ALSA reads and writes). Nothing here imports av, numpy or aiortc.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from appliance.errors import ApplianceError
from appliance.model import AudioMode, DeviceException

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Rgb: TypeAlias = npt.NDArray[np.uint8]
    """RGB, of the shape (height, width, 3)."""

SAMPLE_RATE_HZ = 48_000
FRAME_SAMPLES = 960
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
FRAME_MS = 1000 * FRAME_SAMPLES // SAMPLE_RATE_HZ
FRAME_BYTES = 2 * FRAME_SAMPLES
SILENT_FRAME = bytes(FRAME_BYTES)


def check_frame(frame: bytes) -> None:
    """Raise ValueError, with a sentence, for what is no frame of 20 ms."""
    if len(frame) != FRAME_BYTES:
        raise ValueError(
            f"a frame of sound has {FRAME_BYTES} bytes (20 ms at 48 kHz, mono, 16 bit), not {len(frame)}"
        )


class SourceFailed(ApplianceError):
    """A camera, microphone or loudspeaker cannot be opened, or has stopped; `type` is the reason in ZEGO's
    words, `errno` the system's where there is one (`causes.py` makes the one from the other).
    """

    code = "source_failed"

    def __init__(self, type: DeviceException, message: str, errno: int | None = None) -> None:
        """Keep the reason beside the sentence."""
        super().__init__(message)
        self.type = type
        self.errno = errno


class BadDescription(ApplianceError):
    """The other side's description or candidate cannot be used."""

    code = "bad_description"


class NoCommonCodec(BadDescription):
    """The other side has no H.264 (or no Opus) that this device could send."""

    code = "no_common_codec"


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One encoded picture: H.264 in Annex B (ITU-T H.264), start codes included.

    `pts_us` is when it was taken, in µs of the monotonic clock (a camera's sensor time). A keyframe is
    an IDR with its SPS and PPS before it, so that a decoder can begin there.
    """

    data: bytes
    pts_us: int
    keyframe: bool


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """What a file's header says of its pictures; `parameter_sets` are SPS and PPS in Annex B."""

    width: int
    height: int
    framerate: int
    parameter_sets: bytes


class Onlooker(Protocol):
    """Somebody beside the peers who gets each picture that is sent. On the loop."""

    def push(self, unit: AccessUnit, /) -> None:
        """The next picture."""

    def restart(self) -> None:
        """Some are left out: what comes next is of no use before a keyframe."""


class VideoSource(Protocol):
    """A camera with its encoder: gives access units, without B frames, each as soon as it is taken.

    The methods may be called from any thread, and often: a source can be started again once stopped. Each
    start begins as configured, whatever was set before.
    """

    @property
    def encoder(self) -> str:
        """What encodes: software or v4l2."""

    @property
    def width(self) -> int:
        """Of what is sent now, in pixels."""

    @property
    def height(self) -> int:
        """Of what is sent now, in pixels."""

    @property
    def framerate(self) -> int:
        """Pictures per second, of what is sent now."""

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        """Open the camera and encode from now on, the first unit a keyframe; may block.

        `deliver` and `failed` are called from the source's thread; after `failed` nothing more comes.
        Raises SourceFailed where it cannot be opened.
        """

    def stop(self) -> None:
        """Release the camera; returns when its thread has ended, nothing is delivered after."""

    def rest(self, resting: bool, /) -> None:
        """Keep the camera open and encode nothing, or go on with a keyframe."""

    def request_keyframe(self) -> None:
        """Make the next picture a keyframe."""

    def set_bitrate(self, kbps: int) -> None:
        """Aim at `kbps` (1000 bit/s) from the next picture; never above what was configured."""

    def set_framerate(self, fps: int) -> None:
        """Give at most `fps` pictures a second, one at least; never more than was configured.

        A keyframe that is asked for need not wait for its turn.
        """

    def set_scale(self, divisor: int) -> None:
        """Encode at 1/`divisor` (1, 2 or 4) of the configured width and height.

        The next picture is then a keyframe with an SPS of its own. A source that cannot do so stays as it
        is: its `width` tells.
        """


@runtime_checkable
class Viewfinder(Protocol):
    """A camera whose pictures can be had before they are encoded, too.

    It costs nothing while nobody asks, and may block for as long as a picture takes to be made. While the
    camera is closed or rests there is none.
    """

    def frame(self) -> Rgb | None:
        """The latest picture, a copy."""

    def picture(self) -> bytes | None:
        """The latest picture as JPEG for people, some 640 pixels wide."""


class AudioSource(Protocol):
    """A microphone: one frame every 20 ms."""

    def start(
        self, deliver: Callable[[bytes], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        """Open it; may block. `deliver` gets each frame on the source's thread.

        Raises SourceFailed where it cannot be opened.
        """

    def stop(self) -> None:
        """Release it; returns when its thread has ended."""


@runtime_checkable
class Silent(Protocol):
    """A microphone that may be silent on purpose: its silence is then no fault."""

    @property
    def silent(self) -> bool:
        """Whether it is."""


@runtime_checkable
class Processed(Protocol):
    """A microphone that delivers something else than it hears: without echo, or without noise."""

    @property
    def unprocessed(self) -> bytes:
        """What it heard itself of the frame that is being delivered. To be read inside `deliver`."""


@runtime_checkable
class Locatable(Protocol):
    """A camera or microphone that can be looked for without being opened: it neither sees nor hears."""

    def locate(self) -> bool:
        """Look whether it is there and may be used; may block. Raises SourceFailed where it is not.

        Whether it was seen: where nothing speaks against it, that is not yet to say that it is there.
        """


@runtime_checkable
class Lingering(Protocol):
    """A camera or microphone that can be stopped though its driver hangs: that one is left behind."""

    @property
    def lingers(self) -> bool:
        """Whether a driver that was left behind has not come back: it may see or hear still."""


class AudioSink(Protocol):
    """A loudspeaker: mixes what the participants say. Called on the loop; must not block."""

    def push(self, participant: str, frame: bytes) -> None:
        """One frame from `participant`, to be heard as soon as possible."""

    def remove(self, participant: str) -> None:
        """Nothing more comes from `participant`."""


class EchoCanceller(Protocol):
    """Takes out of the microphone what comes to it from the loudspeaker beside it.

    `far` is called on the playback's thread and `near` on the capture's, at the same time. Frames are
    those of this module; another length raises ValueError. Once closed it passes `near` through as it
    comes and forgets `far`, so that the threads can end after it.
    """

    def far(self, frame: bytes, /) -> None:
        """20 ms that are being written to the loudspeaker now: all that sounds, mixed, after the volume.

        Told for silence, too, as long as the loudspeaker is open.
        """

    def near(self, frame: bytes, delay_ms: int, /) -> bytes:
        """20 ms of the microphone, with what the far side says taken out.

        `delay_ms`: how long after the latest `far` its sound is in `near`, as far as the sound card can
        tell: what still waits in the playback's buffer and in the capture's; 0 where it cannot tell.
        """

    def close(self) -> None:
        """Release what it holds; may be called again."""


class Outputs(Protocol):
    """The configured outputs, each a loudspeaker with the microphone that belongs to it.

    Earphones come and go, and so do some loudspeakers.
    """

    def present(self) -> frozenset[AudioMode]:
        """Those that can be used now."""

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed`, from any thread, whenever `present` gives something else."""

    def close(self) -> None:
        """Watch no more."""

    def use(self, mode: AudioMode) -> None:
        """From now on it is this one that the others are heard on: the one whose echo may be heard."""

    def sink(self, mode: AudioMode) -> AudioSink:
        """The loudspeaker of a configured output, present or not; the same one each time."""

    def source(self, mode: AudioMode) -> AudioSource:
        """The microphone of a configured output; one and the same where outputs share it.

        Raises SourceFailed where there is none that could be used.
        """


@runtime_checkable
class Pluggable(Protocol):
    """Outputs that are plugged in and out by hand: those of a simulated board."""

    def plug(self, mode: AudioMode, present: bool, /) -> None:
        """Let a configured output come or go. Raises ValueError for one that is not configured."""


class PictureSink(Protocol):
    """A screen: shows what the others' cameras and screens show. Called on the loop; must not block."""

    @property
    def framerate(self) -> int:
        """How many pictures per second it can show of each stream, at most."""

    def show(self, uid: str, endpoint: str, screen: bool, frame: Rgb, /) -> None:
        """The latest picture of that endpoint's camera, or of its `screen`; nobody else changes it."""

    def gone(self, uid: str, endpoint: str, screen: bool, /) -> None:
        """No more pictures come of it."""


@runtime_checkable
class Measuring(Protocol):
    """A loudspeaker that can tell what was heard in the last second."""

    def level_dbfs(self) -> float:
        """How loud it was: 0 for a full-scale sine, -100 for silence."""

    def tone_hz(self) -> float | None:
        """The frequency that stood out, or None."""


@runtime_checkable
class Counting(Protocol):
    """Outputs that count what went wrong without anybody having failed."""

    def counts(self) -> dict[str, int]:
        """Since the start: how often sound was lost at either end, ran dry, or was cut short, by name."""


@dataclass(frozen=True, slots=True)
class Devices:
    """Devices that stand in for the configured ones: a test's, a program's own."""

    camera: VideoSource | None = None
    """The front one."""
    rear: VideoSource | None = None
    microphone: AudioSource | None = None
    """That of every output."""
    speaker: AudioSink | None = None
    """What plays in the mode `speaker`."""
    outputs: Outputs | None = None
