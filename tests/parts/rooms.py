"""Rooms that are worked out: voices, what a microphone hears of a loudspeaker, and what is left of it.

Two voices are made of pulses and noise through the formants of vowels, with pauses (source and filter, Fant
1960; formants of Peterson and Barney 1952). A room is a direct sound, a few early reflections and an
exponentially decaying tail (Polack 1988), heard through a small loudspeaker: nothing below 300 Hz, little
above 9 kHz. All levels are in dBFS, 0 for a full-scale sine; all signals are float64 at 48 kHz, full
scale 32768.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from appliance.media.base import FRAME_SAMPLES, SAMPLE_RATE_HZ, EchoCanceller

Signal: TypeAlias = npt.NDArray[np.float64]

RATE = SAMPLE_RATE_HZ
FULL_SCALE_SINE = 32768 / np.sqrt(2)
VOWELS = (
    (730, 1090, 2440),
    (270, 2290, 3010),
    (300, 870, 2240),
    (530, 1840, 2480),
    (570, 840, 2410),
    (660, 1720, 2410),
)
BANDWIDTHS = (80, 100, 140)
STRENGTHS = (1.0, 0.6, 0.35)


def convolved(signal: Signal, response: Signal) -> Signal:
    """As long as `signal`."""
    size = 1 << (len(signal) + len(response) - 2).bit_length()
    product = np.fft.rfft(signal, size) * np.fft.rfft(response, size)
    return np.fft.irfft(product, size)[: len(signal)]


@functools.lru_cache(maxsize=16)
def voice(seconds: float, pitch_hz: float, seed: int, dbfs: float) -> Signal:
    """Somebody who speaks in phrases of four to eight syllables; `dbfs` is the level while it sounds."""
    rng = np.random.default_rng(seed)
    parts: list[Signal] = []
    length = 0
    while length < seconds * RATE:
        for _ in range(rng.integers(4, 9)):
            parts += [_consonant(rng), _vowel(rng, pitch_hz)]
        parts.append(np.zeros(int(rng.uniform(0.15, 0.5) * RATE)))
        length = sum(len(part) for part in parts)
    whole = np.concatenate(parts)[: int(seconds * RATE)]
    spectrum = np.fft.rfft(whole)
    spectrum[: int(70 * seconds)] = 0  # no voice is so low, and no pause has an offset
    whole = np.fft.irfft(spectrum, len(whole))
    sounding = whole[np.abs(whole) > 1e-3 * np.abs(whole).max()]
    made: Signal = whole / np.sqrt(np.mean(sounding**2)) * FULL_SCALE_SINE * 10 ** (dbfs / 20)
    made.setflags(write=False)
    return made


def _vowel(rng: np.random.Generator, pitch_hz: float) -> Signal:
    length = int(rng.uniform(0.12, 0.28) * RATE)
    waver = 1 + 0.01 * np.cumsum(rng.standard_normal(length)) / np.sqrt(length)
    pitch = pitch_hz * rng.uniform(0.85, 1.2) * np.linspace(1.05, 0.92, length) * waver
    pulses = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0) * np.sqrt(RATE / pitch_hz)
    source = pulses + 0.05 * rng.standard_normal(length)
    sound: Signal = 0.02 * np.diff(source, prepend=0)
    formants = VOWELS[rng.integers(len(VOWELS))]
    for formant, bandwidth, strength in zip(formants, BANDWIDTHS, STRENGTHS, strict=True):
        ringing = _resonance(formant * rng.uniform(0.95, 1.05), bandwidth)
        sound = sound + strength * convolved(source, ringing)
    at = np.arange(length) / RATE
    envelope = np.minimum(1, np.minimum(at / 0.02, at[::-1] / 0.04))
    loud: Signal = sound / np.sqrt(np.mean(sound**2)) * envelope * rng.uniform(0.6, 1.2)
    return loud


def _consonant(rng: np.random.Generator) -> Signal:
    length = int(rng.uniform(0.03, 0.1) * RATE)
    hiss = np.diff(rng.standard_normal(length + 1))
    made: Signal = hiss * np.hanning(length) * rng.uniform(0.1, 0.5)
    return made


def _resonance(hz: float, bandwidth_hz: float) -> Signal:
    """The response of a two-pole resonator, of gain 1 at 0 Hz."""
    at = np.arange(int(0.05 * RATE))
    radius, turn = np.exp(-np.pi * bandwidth_hz / RATE), 2 * np.pi * hz / RATE
    gain = 1 - 2 * radius * np.cos(turn) + radius**2
    made: Signal = gain * radius**at * np.sin((at + 1) * turn) / np.sin(turn)
    return made


def noise(seconds: float, dbfs: float, seed: int = 5) -> Signal:
    """White."""
    rng = np.random.default_rng(seed)
    made: Signal = rng.standard_normal(int(seconds * RATE)) * FULL_SCALE_SINE * 10 ** (dbfs / 20)
    return made


@dataclass(frozen=True)
class Room:
    """A box with a loudspeaker and a microphone, and what is around it."""

    name: str
    rt60_s: float
    delay_ms: float
    """From the write to the loudspeaker until its sound is in the frame that is read."""
    drift_ppm: float = 0
    """By how much the microphone's clock is slower than the loudspeaker's."""
    told_ms: int | None = None
    """The delay that the sound card tells of, where it is wrong."""
    distortion: float = 0
    """How much of full scale a cheap loudspeaker's cubic is; 0.3 is plain to hear."""

    @property
    def hint_ms(self) -> int:
        """What is told to the canceller."""
        return round(self.delay_ms) if self.told_ms is None else self.told_ms

    def response(self) -> Signal:
        """The impulse response, of energy 1, the delay before it."""
        rng = np.random.default_rng(round(1000 * self.rt60_s + self.delay_ms))
        length = int(max(self.rt60_s, 0.05) * RATE)
        direct = np.zeros(length)
        direct[0] = 1
        for _ in range(8):
            at = rng.uniform(0.002, 0.03)
            direct[int(at * RATE)] += (
                rng.choice([-1, 1]) * rng.uniform(0.15, 0.4) * 0.5 ** (at / 0.02)
            )
        tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / RATE / self.rt60_s)
        tail[: int(0.003 * RATE)] = 0
        tail = np.convolve(tail, [0.25, 0.5, 0.25], "same")
        tail *= np.sqrt(np.sum(direct**2) / np.sum(tail**2)) / 2  # 6 dB below what comes directly
        hz = np.fft.rfftfreq(2 * length, 1 / RATE)
        box = (hz / 300) ** 2 / np.sqrt(1 + (hz / 300) ** 4) / np.sqrt(1 + (hz / 9000) ** 4)
        heard = np.fft.irfft(np.fft.rfft(direct + tail, 2 * length) * box)[:length]
        silence = np.zeros(int(self.delay_ms * RATE / 1000))
        return np.concatenate([silence, heard / np.sqrt(np.sum(heard**2))])

    def echo(self, far: Signal) -> Signal:
        """What the microphone hears of `far`, as loud as it was played."""
        played = far
        if self.distortion:
            peak = np.abs(far).max()
            played = far - self.distortion * far**3 / peak**2
        heard = convolved(played, self.response())
        if not self.drift_ppm:
            return heard
        at = np.arange(len(heard))
        return np.asarray(np.interp(at * (1 + self.drift_ppm * 1e-6), at, heard))


ROOMS = (
    Room("dry, 0 ms", 0.1, 0),
    Room("porch, 20 ms", 0.2, 20),
    Room("hall, 40 ms", 0.3, 40),
    Room("hall, 60 ms, told 120", 0.3, 60, told_ms=120),
    Room("hall, 80 ms, cheap speaker", 0.3, 80, distortion=0.3),
    Room("stairs, 100 ms", 0.5, 100),
    Room("stairs, 120 ms, told 0", 0.5, 120, told_ms=0),
    Room("church, 150 ms", 0.7, 150),
    Room("hall, 40 ms, 100 ppm", 0.3, 40, drift_ppm=100),
    Room("hall, 60 ms, -100 ppm", 0.3, 60, drift_ppm=-100),
)
"""Reverberation times of a bathroom to a church; delays of a bare sound card to a deep buffer."""


def frames(signal: Signal) -> list[bytes]:
    """In 20 ms, cut where it is too loud; what is left over at the end is left out."""
    whole = len(signal) // FRAME_SAMPLES * FRAME_SAMPLES
    rounded = np.clip(np.rint(signal[:whole]), -32768, 32767).astype("<i2")
    return [frame.tobytes() for frame in rounded.reshape(-1, FRAME_SAMPLES)]


def signal(heard: list[bytes]) -> Signal:
    """The other way round."""
    return np.frombuffer(b"".join(heard), "<i2").astype(np.float64)


def cancelled(canceller: EchoCanceller, far: Signal, near: Signal, delay_ms: int = 0) -> Signal:
    """What a canceller makes of it: a frame to the loudspeaker, then one of the microphone, and so on."""
    heard = []
    for played, read in zip(frames(far), frames(near), strict=True):
        canceller.far(played)
        heard.append(canceller.near(read, delay_ms))
    return signal(heard)


def part(signal: Signal, begin_s: float, end_s: float) -> Signal:
    """A stretch of it."""
    return signal[int(begin_s * RATE) : int(end_s * RATE)]


def level_dbfs(signal: Signal) -> float:
    """0 for a full-scale sine, -120 for silence and below."""
    power = float(np.mean(signal**2)) if len(signal) else 0.0
    return max(-120.0, 10 * float(np.log10(max(power, 1e-9) / FULL_SCALE_SINE**2)))


def erle_db(near: Signal, out: Signal, begin_s: float, end_s: float) -> float:
    """Echo return loss enhancement (ITU-T G.168): how much quieter the echo is behind the canceller."""
    return level_dbfs(part(near, begin_s, end_s)) - level_dbfs(part(out, begin_s, end_s))


def lag_samples(reference: Signal, out: Signal, longest_ms: float = 60) -> int:
    """How much later `out` is, by the peak of their correlation."""
    size = 1 << (2 * len(reference) - 1).bit_length()
    product = np.fft.rfft(out, size) * np.conj(np.fft.rfft(reference, size))
    return int(np.abs(np.fft.irfft(product, size)[: int(longest_ms * RATE / 1000)]).argmax())


def loss_db(voice: Signal, echo: Signal, out: Signal) -> float:
    """How much quieter `voice` is in `out` than it came, whatever else is in there.

    The parts of `out` that follow the voice and the echo are told apart by least squares in each bin of the
    spectrum (1024 samples, Hann) over half seconds, in which a suppressor's gain may vary; what is
    energy of the voice there is set against all of its energy.
    """
    late = lag_samples(voice, out)
    aligned = out[late:]
    spectra = [_spectra(line[: len(aligned)]) for line in (voice, echo, aligned)]
    came = kept = 0.0
    for begin in range(0, len(spectra[0]) - 93, 94):  # 94 windows, every 256 samples: half a second
        near, far, rest = (line[begin : begin + 94] for line in spectra)
        nn, ff = (np.abs(near) ** 2).sum(0), (np.abs(far) ** 2).sum(0)
        nn, ff = nn + 1, ff + 1  # where there is nothing, nothing follows it
        nf = (near.conj() * far).sum(0)
        nr, fr = (near.conj() * rest).sum(0), (far.conj() * rest).sum(0)
        gain = (nr * ff - nf * fr) / np.maximum(nn * ff - np.abs(nf) ** 2, 1e-6 * nn * ff)
        came += float(nn.sum())
        kept += float((np.minimum(np.abs(gain), 4) ** 2 * nn).sum())
    return -10 * float(np.log10(max(kept, 1e-9) / max(came, 1e-9)))


def _spectra(signal: Signal) -> npt.NDArray[np.complex128]:
    windows = np.lib.stride_tricks.sliding_window_view(signal, 1024)[::256]
    return np.fft.rfft(windows * np.hanning(1024))
