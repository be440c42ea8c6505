"""Speaks the prompts of `appliance/prompts.py` with espeak-ng: `appliance/sounds/<language>/<notice>.opus`.

`python .ci/sounds.py [FOLDER]`, or `make sounds`. It needs Debian's package espeak-ng, and nothing of it is
needed to run the appliance. With the same espeak-ng and FFmpeg the files come out the same, byte for byte:
nothing in them is random or a date.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import av
import numpy as np

from appliance.model import Notice
from appliance.prompts import PROMPTS, WORDS

RATE_HZ = 48_000
VOICES = {"de": "de", "en": "en-gb", "es": "es", "fr": "fr-fr", "it": "it", "nl": "nl"}
WORDS_A_MINUTE = 150
LOUDNESS_DBFS = -20.0
"""Root mean square of what is spoken, without the pauses."""
PEAK_DBFS = -1.5
"""Room for what Opus adds."""
BITRATE = 24_000
EDGE_S = 0.03
"""Of silence before and behind what is spoken."""


def main(folder: Path = PROMPTS) -> None:
    """Make all files anew."""
    for language, words in WORDS.items():
        (folder / language).mkdir(parents=True, exist_ok=True)
        for notice, text in words.items():
            make(notice, text, language, folder)


def make(notice: Notice, text: str, language: str, folder: Path) -> None:
    """One file."""
    file = folder / language / f"{notice}.opus"
    samples = levelled(trimmed(spoken(text, VOICES[language])))
    write(file, samples)
    print(f"{file}  {len(samples) / RATE_HZ:.2f} s  {file.stat().st_size} bytes  {text}")


def spoken(text: str, voice: str) -> np.ndarray:
    """What espeak-ng makes of a text, as numbers from -1 to 1, 48,000 a second."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "spoken.wav"
        command = ["espeak-ng", "-v", voice, "-s", str(WORDS_A_MINUTE), "-w", str(file), text]
        subprocess.run(command, check=True)
        with wave.open(str(file)) as spoken_:
            rate = spoken_.getframerate()
            raw = np.frombuffer(spoken_.readframes(spoken_.getnframes()), "<i2")
    return at_48_khz(raw.astype(float) / 32768, rate)


def at_48_khz(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """By its spectrum: exact, and the whole is short."""
    wanted = round(len(samples) * RATE_HZ / rate_hz)
    return np.fft.irfft(np.fft.rfft(samples), wanted) * (wanted / len(samples))


def trimmed(samples: np.ndarray) -> np.ndarray:
    """Without the silence before and behind it, but for a little."""
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    edge = round(EDGE_S * RATE_HZ)
    silence = np.zeros(edge)
    return np.concatenate([silence, samples[loud[0] : loud[-1] + 1], silence])


def levelled(samples: np.ndarray) -> np.ndarray:
    """All equally loud; peaks are bent, not cut."""
    limit = 10 ** (PEAK_DBFS / 20)
    for _ in range(8):  # what is bent is less loud
        samples = samples * (10 ** (LOUDNESS_DBFS / 20) / loudness(samples))
        samples = np.tanh(samples / limit) * limit
    return samples


def loudness(samples: np.ndarray) -> float:
    """Root mean square over the windows of 20 ms in which somebody speaks."""
    size = RATE_HZ // 50
    windows = samples[: len(samples) // size * size].reshape(-1, size)
    power = (windows**2).mean(axis=1)
    return float(np.sqrt(power[power > power.max() / 1000].mean()))


def write(file: Path, samples: np.ndarray) -> None:
    """As Opus in Ogg."""
    whole = np.concatenate([samples, np.zeros(-len(samples) % 960)])
    pcm = np.round(whole * 32767).astype("<i2").reshape(1, -1)
    with av.open(str(file), "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=RATE_HZ, layout="mono")
        stream.bit_rate = BITRATE
        stream.codec_context.options = {"application": "voip", "vbr": "on"}
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE_HZ, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
