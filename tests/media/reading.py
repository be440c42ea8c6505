"""A recording, read back with PyAV as a player would."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from appliance.media.card import read_counter, read_facing
from appliance.media.synthetic import Samples, dominant_hz
from appliance.model import CameraFacing

PIECE = 2400
DARK = 24
"""Luma above that of black, which is 16."""


@dataclass
class Read:
    """What is in a file."""

    duration_s: float
    numbers: list[int] = field(default_factory=list)
    """The frame counter of each picture, -1 where it cannot be read."""
    black: int = 0
    """How many of those are black all over: there was no picture."""
    facings: list[CameraFacing] = field(default_factory=list)
    sizes: set[tuple[int, int]] = field(default_factory=set)
    picture_times_s: list[float] = field(default_factory=list)
    keyframe_times_s: list[float] = field(default_factory=list)
    sound: Samples = field(default_factory=lambda: np.zeros(0, np.int16))

    def shown(self) -> list[tuple[float, float, bool]]:
        """The times at which there is a picture of a camera, from and to, and whether it begins with a
        keyframe; between them it is black."""
        spans: list[tuple[float, float, bool]] = []
        previous = -1
        for number, at_s in zip(self.numbers, self.picture_times_s, strict=True):
            if number != -1 and previous == -1:
                spans.append((at_s, at_s, at_s in self.keyframe_times_s))
            elif number != -1:
                spans[-1] = (spans[-1][0], at_s, spans[-1][2])
            previous = number
        return spans

    def tone_hz(self, from_s: float = 0, to_s: float | None = None) -> float | None:
        """The tone in a part of the sound."""
        end = len(self.sound) if to_s is None else round(to_s * 48_000)
        return dominant_hz(self.sound[round(from_s * 48_000) : end])

    def level(self, hz: float, from_s: float = 0, to_s: float | None = None) -> float:
        """The amplitude of one tone among others, on average.

        In pieces of 50 ms: what comes from afar is stretched a little, so its phase wanders.
        """
        end = len(self.sound) if to_s is None else round(to_s * 48_000)
        part = self.sound[round(from_s * 48_000) : end].astype(np.float64)
        pieces = part[: len(part) // PIECE * PIECE].reshape(-1, PIECE)
        if not len(pieces):
            return 0.0
        window = np.hanning(PIECE)
        turns = window * np.exp(-2j * np.pi * hz * np.arange(PIECE) / 48_000)
        return float((2 * np.abs(pieces @ turns) / window.sum()).mean())


def read(path: Path) -> Read:
    """Everything. Raises what PyAV does for a file that no player could open."""
    with av.open(str(path), "r") as file:
        found = Read(float(file.duration or 0) / 1e6)
        sound = []
        for packet in file.demux():
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    number = read_counter(frame)
                    found.numbers.append(-1 if number is None else number)
                    if number is None:
                        found.black += int(frame.to_ndarray(format="gray").max() < DARK)
                    found.sizes.add((frame.width, frame.height))
                    found.facings.append(read_facing(frame))
                    found.picture_times_s.append(frame.time or 0.0)
                    if frame.key_frame:
                        found.keyframe_times_s.append(frame.time or 0.0)
                elif isinstance(frame, av.AudioFrame):
                    sound.append(frame.to_ndarray()[0])
        if sound:
            joined = np.concatenate(sound)
            whole = joined.dtype == np.int16
            found.sound = joined if whole else (joined * 32767).astype(np.int16)
    return found
