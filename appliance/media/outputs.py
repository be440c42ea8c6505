"""Where the participants are heard: one of several outputs, each with its own volume."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from appliance.media.base import AudioSink, Measuring, Outputs
from appliance.model import AudioMode

FULL_PERCENT = 100


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


class Loudspeaker:
    """The output in use, as one sink for all connections. On the loop.

    `AudioMode` lists the outputs in the order in which they are offered and fallen back to.
    """

    def __init__(self, outputs: Outputs, volumes: Mapping[AudioMode, int]) -> None:
        """Begin with the first output that is present. `volumes` in percent, 100 where there is none."""
        self.tap: Callable[[str, bytes], None] | None = None
        """Gets what each participant says, at full volume."""
        self._outputs = outputs
        self._volumes = dict.fromkeys(AudioMode, FULL_PERCENT) | dict(volumes)
        self._gains = {mode: gain(percent) for mode, percent in self._volumes.items()}
        self._voices: set[str] = set()
        self.mode = next(iter(self.available), AudioMode.SPEAKER)

    @property
    def available(self) -> tuple[AudioMode, ...]:
        """The outputs that are present, in their order."""
        present = self._outputs.present()
        return tuple(mode for mode in AudioMode if mode in present)

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
        if mode is not self.mode:
            old, self.mode = self._sink, mode
            for voice in self._voices:
                old.remove(voice)

    def fall_back(self) -> None:
        """Use the first that is present, where the one in use has gone."""
        available = self.available
        if available and self.mode not in available:
            self.use(available[0])

    def set_volume(self, mode: AudioMode, percent: int) -> None:
        """From the next frame on; kept until it is set anew."""
        self._volumes[mode] = percent
        self._gains[mode] = gain(percent)

    def push(self, participant: str, frame: bytes) -> None:
        """One frame from `participant`, to be heard as soon as possible."""
        if self.tap is not None:
            self.tap(participant, frame)
        self._voices.add(participant)
        self._sink.push(participant, scaled(frame, self._gains[self.mode]))

    def remove(self, participant: str) -> None:
        """Nothing more comes from `participant`."""
        self._voices.discard(participant)
        self._sink.remove(participant)

    @property
    def _sink(self) -> AudioSink:
        return self._outputs.sink(self.mode)
