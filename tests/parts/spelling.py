"""A voice that never says the same for long: what is heard of it tells when it was, and what is missing.

Every 20 ms it sings another of sixteen tones, in an order that is known and nowhere like itself. What is
made up where a packet is missing goes on as it was, or is silence: it is not the tone that was sung then.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from aiortc import AudioStreamTrack
from av import AudioFrame, CodecContext, Packet
from av.audio.codeccontext import AudioCodecContext

RATE = 48000
FRAME = RATE // 50
TONES_HZ = tuple(900 + 150 * number for number in range(16))
"""Far from the 440 Hz that a simulated door says itself."""
LINE = 512
"""So many tones until it begins anew."""
LOUD = 8000
STEP = RATE // 200
"""What is heard is looked at every 5 ms."""
BIT_S = 40_000
WANDERS, PIECE = 8, 40
"""What is heard may come 40 ms sooner or later than most of it, if it does so for a fifth of a second."""

SAMPLES = Fraction(1, RATE)


def _line() -> tuple[int, ...]:
    """None follows itself."""
    dice, line = random.Random(7), [0]
    while len(line) < LINE:
        line.append((line[-1] + dice.randrange(1, len(TONES_HZ))) % len(TONES_HZ))
    return tuple(line)


_LINE = _line()


def sung(frame: int) -> int:
    """Which tone a frame has."""
    return _LINE[frame % LINE]


class Song(AudioStreamTrack):
    """Its packets, each with a coarse copy of the one before, as browsers send them (in-band FEC)."""

    def __init__(self) -> None:
        """It begins when somebody asks for the first of them."""
        super().__init__()
        self.began_s: float | None = None
        codec = CodecContext.create("libopus", "w")
        assert isinstance(codec, AudioCodecContext)
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", RATE
        codec.bit_rate, codec.time_base = BIT_S, SAMPLES
        codec.options = {
            "application": "voip",
            "frame_duration": "20",
            "fec": "1",
            "packet_loss": "20",
        }
        self._codec = codec
        self._frame, self._angle = 0, 0.0

    async def recv(self) -> Packet[Any]:  # type: ignore[override] # aiortc sends what is encoded as it is
        """Of the next 20 ms, when they are over."""
        while True:
            if self.began_s is None:
                self.began_s = time.monotonic()
            due_s = self.began_s + (self._frame + 1) * FRAME / RATE
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            for packet in self.next():  # none yet of the first
                return packet

    def next(self) -> list[Packet[Any]]:
        """Sing the next frame."""
        turn = 2 * np.pi * TONES_HZ[sung(self._frame)] / RATE
        samples = (LOUD * np.sin(self._angle + turn * np.arange(FRAME))).astype(np.int16)
        self._angle = (self._angle + turn * FRAME) % (2 * np.pi)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._frame * FRAME, SAMPLES
        self._frame += 1
        return list(self._codec.encode(frame))


@dataclass(frozen=True, slots=True)
class Heard:
    """Of some seconds."""

    in_place: float
    """Which part of the time had the tone that was due."""
    silent: float
    """And which part none at all."""
    late_s: float
    """How much later most of it was heard than it was sung."""


def heard(sound: npt.NDArray[Any], first_s: float) -> Heard:
    """What of a piece at 48 kHz is the song; its first sample was heard `first_s` after that began."""
    told = _tones(sound.astype(np.float64))
    late = np.arange(-40, 240)  # 0.2 s too early to 1.2 s late, in steps
    at = np.arange(len(told)) * STEP + STEP // 2 + int(first_s * RATE)
    line = np.array(_LINE)
    fits = np.stack([line[(at - one * STEP) // FRAME % LINE] == told for one in late])
    best = int(np.argmax(fits.sum(axis=1)))
    near = fits[max(0, best - WANDERS) : best + WANDERS + 1].astype(np.float64)
    around = np.stack([np.convolve(one, np.ones(PIECE), "same") for one in near])
    in_place = near[around.argmax(axis=0), np.arange(len(told))]
    return Heard(float(in_place.mean()), float((told < 0).mean()), float(late[best]) * STEP / RATE)


def recorded(file: Path) -> npt.NDArray[np.float64]:
    """The sound of a recording, at its own time: 48 kHz, mono, of the scale of 16 bit."""
    pieces: list[tuple[int, npt.NDArray[np.float64]]] = []
    with av.open(str(file)) as film:
        for frame in film.decode(audio=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            at = round(frame.pts * frame.time_base * RATE)
            sound = frame.to_ndarray().astype(np.float64)[0]
            pieces.append((at, sound * 32768 if frame.format.name == "fltp" else sound))
    whole = np.zeros(max(at + len(sound) for at, sound in pieces))
    for at, sound in pieces:
        whole[max(0, at) : at + len(sound)] = sound[max(0, -at) :]
    return whole


def _tones(sound: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The loudest of the tones in each step; -1 where it is silent."""
    width = FRAME // 2
    count = len(sound) // STEP
    padded = np.concatenate([np.zeros(width // 2), sound, np.zeros(width)])
    windows = np.stack([padded[n * STEP + STEP // 2 :][:width] for n in range(count)])
    windows = windows * np.hanning(width)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(width), TONES_HZ) / RATE)
    strength = np.abs(windows @ waves)
    return np.where(strength.max(axis=1) > 0.02 * LOUD * width / 4, strength.argmax(axis=1), -1)
