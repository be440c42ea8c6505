"""Camera, microphone and loudspeaker of a laptop: a test card, tones, and a meter that listens."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

from appliance.config import Audio
from appliance.media.base import (
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    AccessUnit,
    AudioSink,
    AudioSource,
    SourceFailed,
)
from appliance.media.card import Card
from appliance.media.encoding import H264Encoder
from appliance.media.pacing import Cadence, Paced
from appliance.media.stills import jpeg, rgb
from appliance.model import AudioMode, CameraFacing, DeviceException

if TYPE_CHECKING:
    from appliance.media.base import Rgb

T = TypeVar("T")
Samples: TypeAlias = npt.NDArray[np.int16]

FULL_SCALE_SINE_RMS = 32768 / math.sqrt(2)
"""0 dBFS is the level of a sine that just fits (AES17)."""
SILENCE_DBFS = -100.0
FRAMES_PER_S = SAMPLE_RATE_HZ // FRAME_SAMPLES
LOOK_S = 0.25
SOUNDS = {"tone": -20.0, "silence": None}
"""What a simulated microphone hears, and its level in dBFS."""


class CardCamera:
    """`test-card`: the card of `card.py`, encoded once by libx264; the pictures are numbered from 0.

    It is always drawn in its configured size, and scaled where a smaller one is to be sent.
    """

    encoder = "software"

    def __init__(
        self,
        width: int,
        height: int,
        framerate: int,
        bitrate_kbps: int,
        facing: CameraFacing = CameraFacing.FRONT,
    ) -> None:
        """In pixels, pictures per second and kbit/s; odd sizes are taken one pixel smaller."""
        self._facing = facing
        self._full = width & ~1, height & ~1
        self._fastest, self._bitrate_kbps = framerate, bitrate_kbps
        self._begin_as_configured()
        self._encoder: H264Encoder | None = None
        self._thread: Paced | None = None
        self._resting = False
        self._drawing = threading.Lock()
        self._picture: VideoFrame | None = None

    def _begin_as_configured(self) -> None:
        self.framerate, self._divisor, self._kbps = self._fastest, 1, self._bitrate_kbps
        self._cadence = Cadence()

    @property
    def width(self) -> int:
        """Of what is sent."""
        return self._full[0] // self._divisor & ~1

    @property
    def height(self) -> int:
        """Of what is sent."""
        return self._full[1] // self._divisor & ~1

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        """Begin to draw and encode. Raises SourceFailed where no encoder can be had."""
        card = Card(*self._full, self._facing)
        self._begin_as_configured()
        try:
            self._encoder = self._new_encoder()
        except ValueError as fault:
            raise SourceFailed(DeviceException.MEDIA_SERVICES_WERE_LOST, str(fault)) from fault

        def take(number: int, at_s: float) -> None:
            encoder = self._encoder
            assert encoder is not None  # it outlives the thread
            if not self._cadence.takes(at_s, self.framerate, at_once=encoder.keyframe_wanted):
                return
            if (encoder.width, encoder.height) != (self.width, self.height):
                encoder = self._encoder = self._new_encoder()
            now = datetime.now().astimezone()
            with self._drawing:
                picture = card.draw(number, f"{now:%H:%M:%S}", number / self._fastest)
                self._picture = picture
                if self._divisor > 1:
                    picture = picture.reformat(encoder.width, encoder.height)
                unit = encoder.encode(picture, int(at_s * 1e6))
            deliver(unit)

        self._resting = False
        self._thread = Paced("camera", self._fastest, take, _failure("camera", failed))

    def _new_encoder(self) -> H264Encoder:
        encoder = H264Encoder(self.width, self.height, self._fastest, self._bitrate_kbps)
        encoder.set_bitrate(self._kbps)
        return encoder

    def stop(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._thread.stop()
        self._thread = self._encoder = self._picture = None

    def rest(self, resting: bool, /) -> None:
        """Neither draw nor encode, or go on with a keyframe; the frame numbers go on meanwhile."""
        self._resting = resting
        if not resting:
            self.request_keyframe()
        if self._thread is not None:
            self._thread.rest(resting)

    def request_keyframe(self) -> None:
        """Make the next picture a keyframe; none is sent again, since each number is to come once."""
        if self._encoder is not None:
            self._encoder.request_keyframe()

    def set_bitrate(self, kbps: int) -> None:
        """Aim at `kbps`; at most what was configured."""
        self._kbps = kbps
        if self._encoder is not None:
            self._encoder.set_bitrate(kbps)

    def set_framerate(self, fps: int) -> None:
        """Send so many of the pictures."""
        self.framerate = max(1, min(fps, self._fastest))

    def set_scale(self, divisor: int) -> None:
        """Send them in a size of 1/`divisor`, encoded anew."""
        self._divisor = divisor

    def frame(self) -> Rgb | None:
        """The latest card."""
        return self._look(rgb)

    def picture(self) -> bytes | None:
        """The latest card as JPEG."""
        return self._look(jpeg)

    def _look(self, take: Callable[[VideoFrame], T]) -> T | None:
        with self._drawing:  # it is drawn over, again and again
            if self._picture is None or self._resting:
                return None
            return take(self._picture)


class ToneMicrophone:
    """`tone`: a steady sine; or with a level of None, `silence`."""

    def __init__(self, tone_hz: int = 440, level_dbfs: float | None = -20) -> None:
        """A whole number of Hz, so that a second of it repeats without a click."""
        self.silent = level_dbfs is None
        amplitude = 0.0 if level_dbfs is None else 32767 * 10 ** (level_dbfs / 20)
        turns = 2 * math.pi * tone_hz * np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
        second = (amplitude * np.sin(turns)).astype("<i2")
        self._frames = [frame.tobytes() for frame in second.reshape(FRAMES_PER_S, FRAME_SAMPLES)]
        self._thread: Paced | None = None

    def start(
        self, deliver: Callable[[bytes], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        """Begin to sound."""

        def hear(number: int, _: float) -> None:
            deliver(self._frames[number % FRAMES_PER_S])

        fails = _failure("microphone", failed)
        self._thread = Paced("microphone", FRAMES_PER_S, hear, fails, catch_up=True)

    def stop(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._thread.stop()
        self._thread = None


def _failure(device: str, failed: Callable[[SourceFailed], None]) -> Callable[[Exception], None]:
    """Tell `failed` what made the thread of `device` end: what draws and encodes, which is all there is."""

    def tell(fault: Exception) -> None:
        lost = f"the {device} stopped: {fault}"
        failed(SourceFailed(DeviceException.MEDIA_SERVICES_WERE_LOST, lost))

    return tell


class Meter:
    """A loudspeaker nobody hears: keeps the last second, and tells how loud it was and which tone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds, as the loop's."""
        self._clock = clock
        self._voices: dict[str, deque[tuple[float, Samples]]] = {}
        self._looked_at_s: float | None = None
        self._tone_hz: float | None = None

    def push(self, participant: str, frame: bytes) -> None:
        """One frame, heard now."""
        voice = self._voices.setdefault(participant, deque(maxlen=FRAMES_PER_S))
        voice.append((self._clock(), np.frombuffer(frame, "<i2")))

    def remove(self, participant: str) -> None:
        """Nothing of `participant` is heard any more."""
        self._voices.pop(participant, None)

    def heard(self) -> Samples:
        """The last second of all voices together: 48,000 samples, silence where there was none."""
        mix = np.zeros(SAMPLE_RATE_HZ, np.int32)
        for recent in self._recent():
            line = np.concatenate(recent)[-SAMPLE_RATE_HZ:]
            mix[-len(line) :] += line
        return np.clip(mix, -32768, 32767).astype(np.int16)

    def _recent(self) -> list[list[Samples]]:
        """The last second of each voice that was heard in it: of silence nothing is to be worked out."""
        since_s = self._clock() - 1
        lately = (
            [samples for at_s, samples in voice if at_s >= since_s]
            for voice in self._voices.values()
        )
        return [recent for recent in lately if recent]

    def level_dbfs(self) -> float:
        """How loud the last second was: 0 for a full-scale sine, -100 for silence and below."""
        return round(level_dbfs(self.heard()), 1) if self._recent() else SILENCE_DBFS

    def tone_hz(self) -> float | None:
        """The frequency that stands out in the last second, or None where none does.

        Looked for four times a second at most: whoever shows the status asks more often.
        """
        now_s = self._clock()
        if self._looked_at_s is None or now_s - self._looked_at_s >= LOOK_S:
            self._looked_at_s = now_s
            tone_hz = dominant_hz(self.heard()) if self._recent() else None
            self._tone_hz = None if tone_hz is None else round(tone_hz, 1)
        return self._tone_hz


class SimulatedOutputs:
    """The outputs of a simulated board: each a meter of its own, plugged in and out as one likes."""

    def __init__(
        self,
        audio: Mapping[AudioMode, Audio],
        speaker: AudioSink | None = None,
        failed: Callable[[AudioMode, SourceFailed | None], None] = lambda mode, fault: None,
    ) -> None:
        """All that are configured are present; `speaker` stands in for the output of that mode.

        `failed` is told what `fail` is.
        """
        self._failed = failed
        self._sinks: dict[AudioMode, AudioSink] = {mode: Meter() for mode in audio}
        if speaker is not None:
            self._sinks[AudioMode.SPEAKER] = speaker
        self._sources: dict[str, AudioSource] = {}
        self._captures = {mode: configured.capture for mode, configured in audio.items()}
        self._present = set(self._sinks)
        self._changed: Callable[[], None] = lambda: None

    def present(self) -> frozenset[AudioMode]:
        """Those that are plugged in."""
        return frozenset(self._present)

    def plug(self, mode: AudioMode, present: bool, /) -> None:
        """Plug one in or out. Raises ValueError for one that is not configured."""
        if mode not in self._sinks:
            raise ValueError(f"there is no {mode}: it is not configured, see [audio.{mode}]")
        before = self.present()
        (self._present.add if present else self._present.discard)(mode)
        if self._present != before:
            self._changed()

    def fail(self, mode: AudioMode, fault: SourceFailed | None, /) -> None:
        """Let a loudspeaker break as if it were a real one, or work again (None); from any thread."""
        self._failed(mode, fault)

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` where something is plugged in or out."""
        self._changed = changed

    def close(self) -> None:
        """Call nobody any more."""
        self._changed = lambda: None

    def use(self, mode: AudioMode) -> None:
        """Nothing of a meter is heard by a microphone."""

    def sink(self, mode: AudioMode) -> AudioSink:
        """Its meter."""
        return self._sinks[mode]

    def source(self, mode: AudioMode) -> AudioSource:
        """Its microphone. Raises SourceFailed for a name that is none of a simulated board's."""
        capture = self._captures.get(mode, "silence")
        if capture not in SOUNDS:
            known = " and ".join(f'"{name}"' for name in SOUNDS)
            raise SourceFailed(
                DeviceException.INVALID_ID,
                f'there is no microphone "{capture}": this release knows {known}',
            )
        if capture not in self._sources:
            self._sources[capture] = ToneMicrophone(level_dbfs=SOUNDS[capture])
        return self._sources[capture]


def level_dbfs(samples: Samples) -> float:
    """The level of `samples` in dB below a full-scale sine (AES17), at least -100."""
    rms = math.sqrt(float(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0
    if rms == 0:
        return SILENCE_DBFS
    return max(SILENCE_DBFS, 20 * math.log10(rms / FULL_SCALE_SINE_RMS))


def dominant_hz(samples: Samples) -> float | None:
    """The frequency of the tone in `samples` at 48 kHz, or None.

    A tone is a peak of the spectrum (Hann window) that carries a quarter of the energy above 40 Hz, at
    -60 dBFS or more. Exact to a hundredth of the spectrum's resolution, 1 Hz for a second of samples.
    """
    if len(samples) < FRAME_SAMPLES or level_dbfs(samples) < -60:
        return None
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    power[: 40 * len(samples) // SAMPLE_RATE_HZ] = 0
    peak = int(power.argmax())
    total = float(power.sum())
    if not 1 < peak < len(power) - 2 or float(power[peak - 2 : peak + 3].sum()) < total / 4:
        return None
    low, mid, high = np.log(power[peak - 1 : peak + 2] + 1e-9)
    offset = (low - high) / (2 * (low - 2 * mid + high))  # the top of a parabola through the three
    return float((peak + offset) * SAMPLE_RATE_HZ / len(samples))
