"""Where the participants are heard: one of several outputs, each with its own volume.

An output that breaks is told as an `error`, and another takes its place until it works again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

import numpy as np

from appliance.calls.inputs import FaultCleared, FaultReported, Input
from appliance.media.base import AudioSink, Measuring, Outputs, SourceFailed
from appliance.media.causes import failure
from appliance.model import AudioMode

logger = logging.getLogger(__name__)

FULL_PERCENT = 100
DUCKED = 0.25
"""By how much the device's own sounds are softer while somebody is heard: 12 dB."""
RETRY_S = 3.0
"""How soon an output that took no sound is given some again."""


def gain(percent: int) -> float:
    """The factor for a volume: its cube, as PulseAudio has it, since loudness is felt by ratios.

    100 is as it came, 50 is 18 dB less, 0 is silence.
    """
    return (percent / FULL_PERCENT) ** 3


def scaled(frame: bytes, factor: float) -> bytes:
    """A frame made quieter; `factor` is 0 to 1."""
    if factor == 1:
        return frame
    return bytes((np.frombuffer(frame, "<i2") * factor).astype("<i2").tobytes())


def faded(frame: bytes, begin: float, end: float) -> bytes:
    """A frame whose loudness goes from one factor to another, without a click."""
    if begin == end:
        return scaled(frame, end)
    samples = np.frombuffer(frame, "<i2")
    factors = np.linspace(begin, end, len(samples))
    return bytes((samples * factors).astype("<i2").tobytes())


class Loudspeaker:
    """The output in use, as one sink for all connections. On the loop.

    `AudioMode` lists the outputs in the order in which they are offered and fallen back to.
    """

    def __init__(
        self,
        outputs: Outputs,
        volumes: Mapping[AudioMode, int],
        post: Callable[[Input], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with the first output that is present. `volumes` in percent, 100 where there is none.

        `post` is told of outputs that break; `clock` in seconds.
        """
        self.tap: Callable[[str, bytes], None] | None = None
        """Gets what each participant says, at full volume."""
        self.changed: Callable[[], None] = lambda: None
        """Called when an output broke or works again, and perhaps another is in use."""
        self._post, self._clock = post, clock
        self._broken: dict[AudioMode, tuple[str, str]] = {}
        self._again_at_s: dict[AudioMode, float] = {}
        """Outputs that took no sound, and when they are tried again."""
        self._left: AudioMode | None = None
        """The output that was in use when it broke, and is to be used again."""
        self._outputs = outputs
        self._volumes = dict.fromkeys(AudioMode, FULL_PERCENT) | dict(volumes)
        self._gains = {mode: gain(percent) for mode, percent in self._volumes.items()}
        self._voices: set[str] = set()
        self._sounds: dict[str, float] = {}
        self.mode = next(iter(self.available), AudioMode.SPEAKER)
        outputs.use(self.mode)

    @property
    def available(self) -> tuple[AudioMode, ...]:
        """The outputs that are present and work, in their order."""
        present = self._outputs.present()
        return tuple(mode for mode in AudioMode if mode in present and mode not in self._broken)

    @property
    def volume_percent(self) -> int:
        """That of the output in use."""
        return self._volumes[self.mode]

    @property
    def measured(self) -> Measuring | None:
        """What tells how loud the output in use is, if anything can."""
        sink = self._sink
        return sink if isinstance(sink, Measuring) else None

    def use(self, mode: AudioMode) -> None:
        """Let everybody be heard there from the next frame on. It has to be a configured one."""
        self._left = None
        self._move(mode)

    def _move(self, mode: AudioMode) -> None:
        if mode is not self.mode:
            old, self.mode = self.mode, mode
            self._outputs.use(mode)
            for voice in (*self._voices, *self._sounds):
                self._silence(old, voice)

    def fall_back(self) -> None:
        """Use the first that is present, where the one in use has gone."""
        available = self.available
        if available and self.mode not in available:
            self._move(available[0])

    def failed(self, mode: AudioMode, fault: SourceFailed | None) -> None:
        """An output broke, broke otherwise, or works again (None). On the loop.

        What was in use is left for another that works, and taken up again when it does.
        """
        what = None if fault is None else (fault.type.value, str(fault))
        if what == self._broken.get(mode):
            return
        if what is None:
            del self._broken[mode]
            self._again_at_s.pop(mode, None)
            self._post(FaultCleared(f"audio.{mode}"))
            if mode is self._left and mode in self.available:
                self.use(mode)
        else:
            self._broken[mode] = what
            self._post(FaultReported(*what, where=f"audio.{mode}", lasts=True))
            if mode is self.mode:
                self._left = self._left or mode
                self.fall_back()
        self.changed()

    def set_volume(self, mode: AudioMode, percent: int) -> None:
        """From the next frame on; kept until it is set anew."""
        self._volumes[mode] = percent
        self._gains[mode] = gain(percent)

    def push(self, participant: str, frame: bytes) -> None:
        """One frame from `participant`, to be heard as soon as possible."""
        if self.tap is not None:
            self.tap(participant, frame)
        self._voices.add(participant)
        self._pass_on(participant, lambda mode: scaled(frame, self._gains[mode]))

    def _pass_on(self, name: str, frame: Callable[[AudioMode], bytes]) -> None:
        tried = self._due_again()
        for mode in tried:
            self._play(mode, name, frame(mode))
        if self.mode not in tried and self.mode not in self._again_at_s:
            self._play(self.mode, name, frame(self.mode))

    def _due_again(self) -> list[AudioMode]:
        if not self._again_at_s:
            return []
        now_s = self._clock()
        return [mode for mode, at_s in self._again_at_s.items() if at_s <= now_s]

    def _play(self, mode: AudioMode, participant: str, frame: bytes) -> None:
        """Whatever a driver raises: the call goes on, and is heard elsewhere if that can be."""
        try:
            self._outputs.sink(mode).push(participant, frame)
        except Exception as error:
            self._again_at_s[mode] = self._clock() + RETRY_S
            self.failed(mode, failure(f"the {mode} takes no sound", error))
        else:
            if mode in self._again_at_s:
                self.failed(mode, None)

    def _silence(self, mode: AudioMode, participant: str) -> None:
        try:
            self._outputs.sink(mode).remove(participant)
        except Exception:  # a broken one is silent already
            logger.warning("the %s did not forget %s", mode, participant, exc_info=True)

    def remove(self, participant: str) -> None:
        """Nothing more comes from `participant`."""
        self._voices.discard(participant)
        self._silence(self.mode, participant)

    def sound(self, name: str, frame: bytes) -> None:
        """20 ms of a sound of the device's own: softer under a call, and in no recording of it."""
        factor = self._gains[self.mode] * (DUCKED if self._voices else 1)
        before = self._sounds.get(name, factor)
        self._sounds[name] = factor
        self._pass_on(name, lambda _: faded(frame, before, factor))

    def hush(self, name: str) -> None:
        """That sound is over."""
        if self._sounds.pop(name, None) is not None:
            self._silence(self.mode, name)

    @property
    def _sink(self) -> AudioSink:
        return self._outputs.sink(self.mode)
