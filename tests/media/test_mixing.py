"""Voices that come early, late, in bursts and not at all, and the steady track that becomes of them."""

from __future__ import annotations

import random

import numpy as np
import pytest

from appliance.media.base import SILENT_FRAME
from appliance.media.mixing import SETTLE_S, SLACK_S, Mix
from appliance.media.synthetic import Samples, dominant_hz

START_S = 1000.0


def flat(value: int) -> bytes:
    return np.full(960, value, "<i2").tobytes()


def sine(hz: float, frames: int) -> list[bytes]:
    wave = (8000 * np.sin(np.arange(frames * 960) * 2 * np.pi * hz / 48_000)).astype("<i2")
    return [frame.tobytes() for frame in wave.reshape(frames, 960)]


def at(frame: int) -> float:
    """When the frame of this number has ended."""
    return START_S + (frame + 1) * 0.02


def taken(mix: Mix, until_s: float) -> Samples:
    return np.frombuffer(b"".join(mix.take(until_s + 0.001)), "<i2")


def test_a_recording_takes_longer_to_settle_than_a_voice_may_be_late() -> None:
    assert SLACK_S + 0.02 < SETTLE_S


def test_nothing_is_silence_and_the_track_has_its_length_all_the_same() -> None:
    mix = Mix(START_S)
    assert b"".join(mix.take(START_S + 0.059)) == SILENT_FRAME * 2
    assert b"".join(mix.take(START_S + 0.1)) == SILENT_FRAME * 2 + SILENT_FRAME
    assert mix.frames == 5


def test_two_voices_are_added_and_do_not_wrap_around() -> None:
    mix = Mix(START_S)
    mix.put("alice", flat(20_000), at(0))
    mix.put("bob", flat(10_000), at(0))
    mix.put("alice", flat(-20_000), at(1))
    mix.put("bob", flat(-20_000), at(1))
    sound = taken(mix, at(1))
    assert set(sound[:960]) == {30_000}
    assert set(sound[960:]) == {-32_768}


@pytest.mark.parametrize("jitter_s", [0.0, 0.05, 0.12])
def test_a_voice_that_comes_unevenly_has_no_seam(jitter_s: float) -> None:
    mix, frames = Mix(START_S), sine(440, 100)
    rng = random.Random(7)
    come_s, heard = START_S, []
    for number, frame in enumerate(frames):
        come_s = max(come_s, at(number) + rng.uniform(0, jitter_s))
        mix.put("alice", frame, come_s)
        heard.append(taken(mix, at(number) - SETTLE_S))
    heard.append(taken(mix, at(150)))
    sound = np.concatenate(heard)
    spoken = np.flatnonzero(sound)
    whole = np.frombuffer(b"".join(frames), "<i2")
    first = spoken[0] - np.flatnonzero(whole)[0]
    assert np.array_equal(sound[first : first + len(whole)], whole), "sample by sample"
    assert first <= (jitter_s + 0.001) * 48_000


def test_a_voice_that_pauses_is_silent_meanwhile_and_goes_on_at_its_time() -> None:
    mix = Mix(START_S)
    mix.put("alice", flat(1), at(0))
    mix.put("alice", flat(2), at(50))
    sound = taken(mix, at(60))
    assert set(sound[:960]) == {1}
    assert set(sound[960 : 50 * 960]) == {0}
    assert set(sound[50 * 960 : 51 * 960]) == {2}


def test_a_voice_that_is_too_fast_loses_frames_and_nothing_is_laid_over_itself() -> None:
    mix = Mix(START_S)
    for number in range(200):
        mix.put("alice", flat(100), START_S + 0.02 + number * 0.01)
    sound = taken(mix, START_S + 3)
    assert set(sound) <= {0, 100}
    assert (sound == 100).sum() <= (2.0 + SLACK_S + 0.03) * 48_000


def test_what_comes_after_its_time_was_taken_is_left_out() -> None:
    mix = Mix(START_S)
    taken(mix, at(9))
    mix.put("alice", flat(5), at(4))
    mix.put("bob", flat(7), at(10))
    assert set(taken(mix, at(10))) == {7}


def test_much_that_is_not_taken_for_long_is_kept() -> None:
    mix = Mix(START_S)
    for number, frame in enumerate(sine(700, 500)):
        mix.put("alice", frame, at(number))
    sound = taken(mix, at(499))
    assert len(sound) == 500 * 960
    assert dominant_hz(sound[-48_000:]) == pytest.approx(700, abs=1)
