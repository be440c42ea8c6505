"""Voices between two clocks: how much is in hand, what is heard, and what comes of a difference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from appliance.media.synthetic import dominant_hz, level_dbfs
from appliance.media.voices import BEGIN, MOST, SEAM, Voice, Voices, limited, stretched
from tests.media.hour import FRAME, PERIOD, RATE, Hour, sine


def frame_of(hz: float, number: int, dbfs: float = -20) -> bytes:
    return sine(hz, dbfs, number * FRAME, FRAME).tobytes()


def samples(data: bytes) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.frombuffer(data, "<i2")


@pytest.mark.parametrize("ppm", [-200, 200])
def test_clocks_that_differ_neither_build_up_delay_nor_tear_holes(ppm: float) -> None:
    hour = Hour(ppm)
    hour.run(3600, keep_s=1)
    assert (hour.voice.holes, hour.voice.cuts) == (0, 0)
    settled = np.array(hour.in_hand[500:])
    assert settled.max() <= 2 * FRAME, "within a packet of what is needed"
    tone_hz = dominant_hz(np.concatenate(hour.heard).astype(np.int16))
    assert tone_hz == pytest.approx(440, rel=0.005)


@pytest.mark.parametrize("ppm", [-1000, 1000])
def test_the_worst_of_cards_and_a_loop_that_is_late_are_borne_too(ppm: float) -> None:
    hour = Hour(ppm, jitter_ms=15)
    hour.run(600)
    minute = hour.in_hand[-6000:]
    assert hour.voice.holes <= 3, "a few at the beginning, until so much is in hand"
    assert hour.voice.cuts == 0
    assert float(np.median(minute)) <= 45 * 48


def test_what_waited_too_long_is_cut_short_and_the_rest_of_the_delay_is_made_up_for() -> None:
    voice = Voice()
    for number in range(10):
        voice.put(sine(440, -20, number * FRAME, FRAME).astype(np.float32), 0.2)
    assert voice.cuts >= 1
    assert len(voice) <= MOST
    least = []
    for number in range(10, 1000):  # 20 s
        voice.put(sine(440, -20, number * FRAME, FRAME).astype(np.float32), number * 0.02)
        assert voice.take(PERIOD, number * 0.02) is not None
        assert voice.take(PERIOD, number * 0.02 + 0.01) is not None
        least.append(len(voice))
    assert voice.holes == 0
    assert least[-1] <= 20 * 48, "no lasting delay"


def test_a_voice_begins_when_a_little_is_in_hand_and_is_then_what_was_said() -> None:
    voice = Voice()
    said = sine(440, -20, 0, 4 * FRAME).astype(np.float32)
    voice.put(said[:FRAME], 0.0)
    assert voice.take(PERIOD, 0.01) is None
    voice.put(said[FRAME : 2 * FRAME], 0.02)
    heard = [voice.take(PERIOD, at_s) for at_s in (0.02, 0.03)]
    voice.put(said[2 * FRAME : 3 * FRAME], 0.04)
    heard += [voice.take(PERIOD, at_s) for at_s in (0.04, 0.05)]
    line = np.concatenate([part for part in heard if part is not None])
    assert np.array_equal(line[SEAM:], said[SEAM : 2 * FRAME])


def test_who_is_late_is_silent_for_a_moment_without_a_click_and_goes_on() -> None:
    voice = Voice()
    numbers = itertools.count()

    def put() -> None:
        voice.put(sine(440, -6, next(numbers) * FRAME, FRAME).astype(np.float32), 0.0)

    put()
    put()
    line: list[np.ndarray[tuple[int], np.dtype[np.float32]]] = []
    for _ in range(8):
        taken = voice.take(PERIOD, 0.0)
        line.append(np.zeros(PERIOD, np.float32) if taken is None else taken)
    assert voice.holes == 1
    put()
    assert voice.take(PERIOD, 0.0) is None, "a single frame is no beginning"
    put()
    after = voice.take(PERIOD, 0.0)
    assert after is not None
    line.append(after)
    whole = np.concatenate(line)
    steepest = 2 * np.pi * 440 / RATE * 32767 * 10 ** (-6 / 20)
    assert np.abs(np.diff(whole)).max() < 1.5 * steepest


def test_a_stretched_sound_goes_on_without_a_seam() -> None:
    said = sine(440, -6, 0, 482 * 20).astype(np.float32)
    line = np.concatenate([stretched(said[at : at + 482], 480) for at in range(0, len(said), 482)])
    steepest = 2 * np.pi * 440 / RATE * 32767 * 10 ** (-6 / 20)
    assert np.abs(np.diff(line)).max() < 1.1 * steepest
    assert stretched(said[:480], 480) is not None
    assert np.array_equal(stretched(said[:480], 480), said[:480])


# -------------------- several


def test_one_voice_is_passed_on_as_it_is() -> None:
    voices = Voices()
    for number in range(3):
        voices.put("alice", frame_of(440, number, dbfs=-0.1))
    first = [voices.take(PERIOD) for _ in range(2)]
    expected = sine(440, -0.1, 0, 2 * PERIOD)
    assert np.array_equal(samples(b"".join(first))[SEAM:], expected[SEAM:])


def test_two_are_heard_together_each_as_loud_as_it_is() -> None:
    voices = Voices()
    heard = b""
    for number in range(100):
        voices.put("alice", frame_of(440, number, -26))
        voices.put("bob", frame_of(1500, number, -32))
        if number:
            heard += voices.take(PERIOD) + voices.take(PERIOD)
    power = np.abs(np.fft.rfft(samples(heard)[-RATE:]) / (RATE / 2) / 32767) ** 2
    assert 10 * np.log10(power[400:480].sum()) == pytest.approx(-26, abs=0.3)
    assert 10 * np.log10(power[1460:1540].sum()) == pytest.approx(-32, abs=0.3)


def test_a_sum_that_is_too_loud_is_bent_and_never_turned_over() -> None:
    loud = np.linspace(-4 * 32767, 4 * 32767, 20_001).astype(np.float32)
    bent = samples(limited(loud)).astype(int)
    assert bent.min() >= -32768
    assert bent.max() <= 32767
    assert np.all(np.diff(bent) >= 0), "what is louder stays louder"
    quiet = np.arange(-20_000, 20_000, 7).astype(np.float32)
    assert np.array_equal(samples(limited(quiet)), quiet.astype(np.int16))


def test_who_is_removed_ends_at_once_and_without_a_click() -> None:
    voices = Voices()
    for number in range(4):
        voices.put("alice", frame_of(440, number, -6))
    heard = voices.take(PERIOD)
    voices.remove("alice")
    heard += voices.take(PERIOD) + voices.take(PERIOD)
    line = samples(heard).astype(int)
    assert not line[PERIOD + SEAM :].any()
    steepest = 2 * np.pi * 440 / RATE * 32767 * 10 ** (-6 / 20)
    assert np.abs(np.diff(line)).max() < 1.5 * steepest
    assert not voices.any


def test_silence_is_what_there_is_while_nobody_says_anything() -> None:
    voices = Voices()
    assert voices.take(PERIOD) == bytes(2 * PERIOD)
    assert not voices.any
    voices.remove("nobody")


def test_a_voice_that_nobody_ended_is_forgotten() -> None:
    now = [100.0]
    voices = Voices(lambda: now[0])
    there: list[bool] = []
    for number in range(2):
        voices.put("alice", frame_of(440, number))
        there.append(voices.any)
        now[0] += 11
        there.append(voices.any)
    assert there == [True, False] * 2


def test_what_went_wrong_stays_counted_when_a_voice_has_left() -> None:
    voices = Voices()
    for number in range(7):
        voices.put("alice", frame_of(440, number))
    assert voices.cuts == 1
    while voices.holes == 0:
        voices.take(PERIOD)
    voices.remove("alice")
    assert (voices.holes, voices.cuts) == (1, 1)
    assert BEGIN > FRAME


def test_the_level_is_kept_while_it_is_played_faster() -> None:
    hour = Hour(1000)
    hour.run(30, keep_s=5)
    assert level_dbfs(np.concatenate(hour.heard).astype(np.int16)) == pytest.approx(-20, abs=0.1)
