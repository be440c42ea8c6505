"""Everything that the device itself lets hear, as samples: computed tones, and spoken prompts.

All are 48 kHz, mono, signed 16 bit, little endian, as the frames of `base.py`, and whole frames long.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
import numpy.typing as npt

from appliance.calls.effects import Sound
from appliance.media.base import FRAME_SAMPLES, SAMPLE_RATE_HZ
from appliance.model import Notice
from appliance.prompts import own_file, spoken_file

log = logging.getLogger(__name__)

Samples: TypeAlias = npt.NDArray[np.float64]
"""From -1 to 1."""

LONGEST_S = 10.0
"""Of a sound: what is longer in a household's own file is not played."""
PEAK = 10 ** (-6 / 20)
"""Of each tone: loud, and far from cut off."""
PAUSE_S = 0.15
"""Between a prompt's tone and its words."""

Note: TypeAlias = tuple[float, float, float]
"""When it is struck, its frequency in Hz, and after how long it has died away; times in seconds."""

_DO, _MI, _SOL, _DO2 = 523.25, 659.26, 783.99, 1046.5
_LA = 880.0
_NOTES: dict[Sound, tuple[float, Sequence[Note]]] = {
    # how long the whole is, and its notes
    Sound.CHIME: (1.9, [(0.0, _MI, 1.2), (0.5, _DO, 1.4)]),
    Sound.REFUSED: (0.5, [(0.0, 233.1, 0.2), (0.22, 185.0, 0.28)]),
    # looped while it rings: its pause belongs to it
    Sound.RINGTONE: (
        3.0,
        [
            (begin + step * 0.05, (_LA, _DO2)[step % 2], 0.09)
            for begin in (0.0, 0.5)
            for step in range(8)
        ],
    ),
    Sound.ALARM: (1.2, [(begin * 0.3, 1318.5, 0.25) for begin in range(4)]),
    Sound.IT_IS_RINGING: (0.6, [(0.0, _SOL, 0.25), (0.25, _SOL, 0.35)]),
    Sound.NO_ANSWER: (0.75, [(0.0, _SOL, 0.25), (0.2, _MI, 0.25), (0.4, _DO, 0.35)]),
    Sound.NOT_NOW: (0.7, [(0.0, _MI, 0.3), (0.3, _DO, 0.4)]),
    Sound.DOOR_OPEN: (0.75, [(0.0, _DO, 0.3), (0.15, _MI, 0.3), (0.3, _DO2, 0.45)]),
}
_UNKNOWN: tuple[float, Sequence[Note]] = (0.4, [(0.0, _LA, 0.4)])


def pcm_of(
    sound: Sound, language: str, *, spoken: bool = True, directory: str | None = None
) -> bytes:
    """A sound, once; the ring tone with its pause, to be looped.

    A prompt is a tone and then its words in that language: in English where it has none, and the tone
    alone where that has none either or with `spoken` false. A file `<sound>.wav` (`ogg`, `opus`) in
    `directory` takes the place of the whole; one that cannot be played is logged, and changes nothing.
    The first call takes some milliseconds; what it gives is kept.
    """
    own = own_file(sound, directory)
    if own is not None:
        try:
            return _kept(own)
        except (OSError, ValueError, av.FFmpegError) as error:
            log.warning("%s is not played: %s", own, error)
    return _own_make(sound, language, spoken)


def lengths(language: str, *, spoken: bool, directory: str | None) -> dict[Sound, float]:
    """How long each sound takes, in seconds; takes some milliseconds a prompt."""
    given = {sound: pcm_of(sound, language, spoken=spoken, directory=directory) for sound in Sound}
    return {sound: len(pcm) / 2 / SAMPLE_RATE_HZ for sound, pcm in given.items()}


def length_s(file: Path) -> float:
    """How long a file plays; raises ValueError with a sentence where it is no sound that can be."""
    try:
        return len(decoded(file)) / SAMPLE_RATE_HZ
    except (OSError, av.FFmpegError) as error:
        raise ValueError(f"{file} cannot be played: {error}") from error


@lru_cache(maxsize=64)
def _own_make(sound: Sound, language: str, spoken: bool) -> bytes:
    parts = [_tone(*_NOTES.get(sound, _UNKNOWN))]
    file = spoken_file(Notice(sound), language) if spoken and sound.value in list(Notice) else None
    if file is not None:
        try:
            parts += [np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ)), decoded(file)]
        except (OSError, ValueError, av.FFmpegError) as error:
            log.warning("%s is not spoken: %s", file, error)
    return _whole_frames(np.concatenate(parts))


def _tone(lasts_s: float, notes: Sequence[Note]) -> Samples:
    """Struck bells: each with one overtone, dying away."""
    whole = np.zeros(round(lasts_s * SAMPLE_RATE_HZ))
    for begin_s, hz, dies_s in notes:
        time_s = np.arange(round(dies_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        wave = np.sin(2 * np.pi * hz * time_s) + 0.25 * np.sin(2 * np.pi * 2.76 * hz * time_s)
        # a click at neither end
        shape = np.minimum(1, time_s / 0.006) * np.exp(-5 * time_s / dies_s)
        shape *= np.minimum(1, (dies_s - time_s) / 0.01)
        begin = round(begin_s * SAMPLE_RATE_HZ)
        part = whole[begin : begin + len(wave)]
        part += (wave * shape)[: len(part)]
    return np.asarray(whole * (PEAK / np.abs(whole).max()), np.float64)


@lru_cache(maxsize=16)
def _kept(file: Path) -> bytes:
    return _whole_frames(decoded(file))


def decoded(file: Path) -> Samples:
    """The first sound in a file. Raises OSError, av.FFmpegError, or ValueError with a sentence."""
    frames: list[npt.NDArray[np.float32]] = []
    total = 0
    with av.open(str(file)) as container:
        if not container.streams.audio:
            raise ValueError(f"{file} has no sound in it")
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        for frame in container.decode(audio=0):
            for part in resampler.resample(frame):
                frames.append(part.to_ndarray()[0])
                total += part.samples
            if total > LONGEST_S * SAMPLE_RATE_HZ:
                raise ValueError(f"{file} is longer than {LONGEST_S:g} s")
        frames += [part.to_ndarray()[0] for part in resampler.resample(None)]
    if not total:
        raise ValueError(f"{file} has no sound in it")
    return np.concatenate(frames).astype(np.float64)


def _whole_frames(samples: Samples) -> bytes:
    whole = np.concatenate([samples, np.zeros(-len(samples) % FRAME_SAMPLES)])
    pcm: npt.NDArray[np.int16] = np.round(np.clip(whole, -1, 1) * 32767).astype("<i2")
    return pcm.tobytes()
