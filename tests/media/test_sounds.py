"""Tones and prompts: each is there, in each language, short, equally loud; what stands in for it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from appliance import prompts
from appliance.calls.effects import Sound
from appliance.media import sounds
from appliance.media.base import FRAME_BYTES, SAMPLE_RATE_HZ
from appliance.media.sounds import decoded, length_s, pcm_of
from appliance.model import Notice
from appliance.prompts import LANGUAGES, PROMPTS, WORDS, spoken_file
from tests.parts.need import program

EVERY = [(language, notice) for language in LANGUAGES for notice in Notice]


def samples_of(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2") / 32768


def lasts_s(pcm: bytes) -> float:
    return len(pcm) / 2 / SAMPLE_RATE_HZ


def loudness_db(samples: np.ndarray) -> float:
    """Over the tenths of a second that are no pause."""
    size = SAMPLE_RATE_HZ // 10
    power = (samples[: len(samples) // size * size].reshape(-1, size) ** 2).mean(axis=1)
    return float(10 * np.log10(power[power > power.max() / 100].mean()))


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    sounds._own_make.cache_clear()
    sounds._kept.cache_clear()


# -------------------- the project's own files


def test_there_are_words_for_every_notice_and_no_file_without() -> None:
    assert {"en", "de", "fr", "es", "it", "nl"} <= set(LANGUAGES)
    assert all(set(words) == set(Notice) for words in WORDS.values())
    files = {file.relative_to(PROMPTS).as_posix() for file in PROMPTS.rglob("*.opus")}
    assert files == {f"{language}/{notice}.opus" for language, notice in EVERY}


@pytest.mark.parametrize(("language", "notice"), EVERY)
def test_a_prompt_is_short_and_neither_silent_nor_cut_off(language: str, notice: Notice) -> None:
    file = spoken_file(notice, language)
    assert file == PROMPTS / language / f"{notice}.opus"
    assert file.stat().st_size < 15_000
    words = decoded(file)
    assert 0.5 < len(words) / SAMPLE_RATE_HZ < 3
    assert np.abs(words).max() < 0.98
    assert loudness_db(words) > -30
    whole = pcm_of(Sound(notice), language)
    assert lasts_s(whole) < 4
    assert np.abs(samples_of(whole)).max() < 0.98


def test_all_prompts_are_equally_loud() -> None:
    loud = [
        loudness_db(decoded(PROMPTS / language / f"{notice}.opus")) for language, notice in EVERY
    ]
    middle = float(np.median(loud))
    assert all(abs(one - middle) < 3 for one in loud), [round(one, 1) for one in loud]


def test_the_tones_are_not_much_louder_than_the_words() -> None:
    for notice in Notice:
        tone = loudness_db(samples_of(pcm_of(Sound(notice), "en", spoken=False)))
        words = loudness_db(decoded(PROMPTS / "en" / f"{notice}.opus"))
        assert abs(tone - words) < 8, notice


def test_the_script_makes_the_same_again(tmp_path: Path) -> None:
    program("espeak-ng")
    script = Path(__file__).parents[2] / ".ci" / "sounds.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    for language, notice in EVERY:
        made = decoded(tmp_path / language / f"{notice}.opus")
        kept = decoded(PROMPTS / language / f"{notice}.opus")
        # another espeak-ng speaks a little otherwise
        assert abs(len(made) - len(kept)) < 0.2 * len(kept), f"{language}/{notice}"


# -------------------- tones


@pytest.mark.parametrize("sound", Sound)
def test_every_sound_is_whole_frames_and_ends_without_a_click(sound: Sound) -> None:
    pcm = pcm_of(sound, "en")
    assert len(pcm) % FRAME_BYTES == 0
    heard = samples_of(pcm)
    assert pcm_of(sound, "en") is pcm, "made once"
    assert np.abs(heard).max() > 0.2
    assert abs(heard[0]) < 0.01
    assert np.abs(heard[-50:]).max() < 0.02
    assert lasts_s(pcm) < sounds.LONGEST_S


def test_every_sound_is_another() -> None:
    assert len({pcm_of(sound, "en", spoken=False) for sound in Sound}) == len(Sound)


def test_the_chime_falls_from_mi_to_do() -> None:
    heard = samples_of(pcm_of(Sound.CHIME, "en"))
    assert pitch_hz(heard[:20_000]) == pytest.approx(659, abs=5)
    assert pitch_hz(heard[40_000:]) == pytest.approx(523, abs=5)


def pitch_hz(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * SAMPLE_RATE_HZ / len(samples))


# -------------------- what is not there


def test_a_language_speaks_english_where_it_lacks_a_file_and_then_only_the_tone_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    english = pcm_of(Sound.NO_ANSWER, "en")
    assert pcm_of(Sound.NO_ANSWER, "tlh") == english
    assert pcm_of(Sound.NO_ANSWER, "de") != english
    tone = pcm_of(Sound.NO_ANSWER, "en", spoken=False)
    assert english.startswith(tone[:-FRAME_BYTES])
    monkeypatch.setattr(prompts.spoken_file, "__defaults__", (tmp_path,))
    sounds._own_make.cache_clear()
    assert pcm_of(Sound.NO_ANSWER, "de") == tone
    broken = tmp_path / "en" / "no_answer.opus"
    broken.parent.mkdir()
    broken.write_bytes(b"no sound")
    sounds._own_make.cache_clear()
    assert pcm_of(Sound.NO_ANSWER, "de") == tone


# -------------------- a household's own files


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(name: str, seconds: float = 0.5, rate: int = 22_050, channels: int = 2) -> Path:
        file = tmp_path / name
        with wave.open(str(file), "wb") as out:
            out.setnchannels(channels)
            out.setsampwidth(2)
            out.setframerate(rate)
            time = np.arange(round(seconds * rate)) / rate
            one = (np.sin(2 * np.pi * 1000 * time) * 16000).astype("<i2")
            out.writeframes(np.repeat(one, channels).tobytes())
        return file

    return written


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (22_050, 2), (48_000, 1)])
def test_an_own_file_takes_the_place_of_the_whole(
    write: Callable[..., Path], tmp_path: Path, rate: int, channels: int
) -> None:
    write("chime.wav", rate=rate, channels=channels)
    heard = pcm_of(Sound.CHIME, "en", directory=str(tmp_path))
    assert lasts_s(heard) == pytest.approx(0.5, abs=0.04)
    assert pitch_hz(samples_of(heard)) == pytest.approx(1000, abs=10)
    other = pcm_of(Sound.REFUSED, "en", directory=str(tmp_path))
    assert other == pcm_of(Sound.REFUSED, "en")


def test_an_own_prompt_may_be_ogg(tmp_path: Path) -> None:
    shutil.copy(PROMPTS / "fr" / "door_open.opus", tmp_path / "door_open.ogg")
    heard = pcm_of(Sound.DOOR_OPEN, "en", directory=str(tmp_path))
    assert lasts_s(heard) == pytest.approx(length_s(PROMPTS / "fr" / "door_open.opus"), abs=0.03)


def test_an_own_file_that_cannot_be_played_is_told_and_changes_nothing(
    write: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "chime.wav").write_bytes(b"RIFF, more or less")
    assert pcm_of(Sound.CHIME, "en", directory=str(tmp_path)) == pcm_of(Sound.CHIME, "en")
    assert "chime.wav is not played" in caplog.text
    with pytest.raises(ValueError, match="cannot be played"):
        length_s(tmp_path / "chime.wav")
    with pytest.raises(ValueError, match="longer than 10 s"):
        length_s(write("long.wav", seconds=11))
    with pytest.raises(ValueError, match="no sound in it"):
        length_s(write("empty.wav", seconds=0))
