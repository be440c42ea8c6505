"""One end of a sound card, with the real libasound and pyalsaaudio."""

from __future__ import annotations

import errno
import os
import sys
import time

import numpy as np
import pytest

from appliance.media import pcm
from appliance.media.base import SAMPLE_RATE_HZ
from appliance.media.pcm import (
    PERIOD_BYTES,
    PERIOD_SAMPLES,
    Direction,
    Governor,
    errno_in,
    open_pcm,
)
from appliance.media.synthetic import dominant_hz, level_dbfs
from tests.media.softcard import tone
from tests.media.soundlab import SoundLab, lab

__all__ = ["lab"]

PLAYBACK, CAPTURE = Direction
PATIENCE_S = 30.0


def play(device: str, samples: bytes) -> float:
    """All of it; how long that took."""
    begin_s = time.monotonic()
    out = open_pcm(PLAYBACK, device)
    try:
        while samples:
            assert time.monotonic() - begin_s < PATIENCE_S
            taken = out.write(samples[:PERIOD_BYTES])
            assert taken is not None, "a file never runs dry"
            samples = samples[taken:]
            if not taken:
                out.wait(0.1)
    finally:
        out.close()
    return time.monotonic() - begin_s


def record(device: str, count: int) -> bytes:
    begin_s = time.monotonic()
    into = open_pcm(CAPTURE, device)
    heard = b""
    try:
        while len(heard) < 2 * count:
            assert time.monotonic() - begin_s < PATIENCE_S
            got = into.read()
            assert got is not None
            heard += got
            if not got:
                into.wait(0.1)
    finally:
        into.close()
    return heard[: 2 * count]


def test_what_is_played_is_what_was_written_and_takes_as_long_as_it_lasts(lab: SoundLab) -> None:
    said = tone(440, -20)(0, SAMPLE_RATE_HZ)
    took_s = play("speaker", said)
    assert lab.played().tobytes().startswith(said)
    assert took_s > 0.9, "a file takes anything at once, and is held back"


def test_what_is_recorded_is_what_there_was_to_be_heard(lab: SoundLab) -> None:
    begin_s = time.monotonic()
    heard = record("microphone", SAMPLE_RATE_HZ)
    assert time.monotonic() - begin_s > 0.9
    assert heard == tone(440)(0, SAMPLE_RATE_HZ)


def test_a_name_that_converts_makes_of_mono_what_the_card_wants(lab: SoundLab) -> None:
    play("stereo", tone(440, -20)(0, SAMPLE_RATE_HZ))
    data = (lab.folder / "played").read_bytes()
    samples = np.frombuffer(data[: len(data) & ~7], "<i4").reshape(-1, 2)
    left = (samples[:, 0] >> 16).astype(np.int16)
    assert np.array_equal(samples[:, 0], samples[:, 1])
    assert dominant_hz(left) == pytest.approx(440 * 48_000 / 44_100, abs=2), "at 44.1 kHz"
    assert level_dbfs(left) == pytest.approx(-20, abs=0.5)


def test_a_device_without_mono_at_48_khz_is_refused_with_what_would_help(lab: SoundLab) -> None:
    with pytest.raises(OSError, match=r'2 channels .*"plughw:') as refused:
        open_pcm(PLAYBACK, "pair")
    assert refused.value.errno is None


@pytest.mark.parametrize("name", ["nobody", "hw:7", "hw:CARD=Gone,DEV=0", "default"])
def test_what_is_not_there_is_not_opened(lab: SoundLab, name: str) -> None:
    with pytest.raises(OSError, match="No such") as refused:
        open_pcm(PLAYBACK, name)
    assert refused.value.errno in (errno.ENOENT, errno.ENODEV)


def test_ready_for_ever_is_waited_for_by_the_clock(lab: SoundLab) -> None:
    out = open_pcm(PLAYBACK, "nothing")
    begin_s, times = time.thread_time(), 0
    end_s = time.monotonic() + 0.2
    while time.monotonic() < end_s:
        out.wait(0.1)
        times += 1
    out.close()
    assert times < 200
    assert time.thread_time() - begin_s < 0.1


def test_the_latency_is_what_stands_in_the_buffer(lab: SoundLab) -> None:
    into = open_pcm(CAPTURE, "nothing")
    assert 0 <= into.latency_s() <= 0.05
    into.close()
    out = open_pcm(PLAYBACK, "nothing")
    out.write(bytes(PERIOD_BYTES))
    assert 0 <= out.latency_s() <= 0.03
    out.close()


def test_without_pyalsaaudio_the_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "alsaaudio", None)
    pcm._alsa.cache_clear()
    try:
        with pytest.raises(OSError, match=r"pip install 'appliance\[pi\]'") as refused:
            open_pcm(PLAYBACK, "default")
        assert refused.value.errno is None
    finally:
        pcm._alsa.cache_clear()


@pytest.mark.parametrize(
    "number", [errno.EBUSY, errno.ENODEV, errno.EACCES, errno.ENOENT, errno.ESTRPIPE]
)
def test_the_errno_is_found_by_its_words(number: int) -> None:
    assert errno_in(f"{os.strerror(number)} [plughw:CARD=Box [1],DEV=0]") in (number, None)
    assert errno_in(f"{os.strerror(number)} [hw:0]") == number
    assert errno_in("PCM device is closed") is None


# -------------------- what is faster than time


def test_a_real_card_is_never_held_back_however_fast_its_clock() -> None:
    governor = Governor(0.04)
    now_s = 0.0
    for _ in range(360_000):  # an hour of a card that is 500 ppm fast
        assert governor.hold_s(now_s) <= 0
        governor.moved(PERIOD_SAMPLES, now_s)
        now_s += 0.01 / 1.0005


def test_a_file_is_held_to_real_time() -> None:
    governor = Governor(0.04)
    now_s = moved_s = 0.0
    while now_s < 60:
        hold_s = governor.hold_s(now_s)
        if hold_s > 0:
            now_s += max(hold_s, 1e-6)
        else:
            governor.moved(PERIOD_SAMPLES, now_s)
            moved_s += 0.01
    assert moved_s == pytest.approx(60, rel=0.01)


def test_after_a_pause_it_may_be_ahead_again_by_its_buffer_and_no_more() -> None:
    governor = Governor(0.04)
    for begin_s in (0.0, 1000.0):
        moved = 0
        while governor.hold_s(begin_s) <= 0:
            governor.moved(PERIOD_SAMPLES, begin_s)
            moved += 1
        assert moved == 5
