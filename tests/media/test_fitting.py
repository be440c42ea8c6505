"""A little more or less sound made to last a frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.fitting import fitted, needed
from appliance.media.opus import Samples
from appliance.media.synthetic import dominant_hz
from tests.media.speech import speech, tone


def played(wave: Samples, excess_s: float) -> tuple[Samples, list[int]]:
    """All of it at a constant excess, and how much went into each frame."""
    frames, used = [], []
    at = 0
    while len(wave) - at >= 1440:
        frame, count = fitted(wave[at : at + needed(excess_s)], excess_s)
        assert (frame.dtype.name, len(frame)) == ("int16", 960)
        frames.append(frame)
        used.append(count)
        at += count
    return np.concatenate(frames), used


def roughness(wave: Samples) -> int:
    """The sharpest bend: a click is one."""
    return int(np.abs(np.diff(wave.astype(int), 2)).max())


@given(
    excess_s=st.floats(-0.5, 0.5),
    samples=st.lists(st.integers(-32768, 32767), min_size=1, max_size=50),
    length=st.integers(960, 3000),
)
def test_a_frame_comes_of_anything(excess_s: float, samples: list[int], length: int) -> None:
    ahead = np.resize(np.array(samples, np.int16), length)
    frame, used = fitted(ahead, excess_s)
    assert (frame.dtype.name, len(frame)) == ("int16", 960)
    assert 480 <= used <= min(1440, length)
    assert used == 960 or (used > 960) == (excess_s > 0), "never the wrong way"
    assert abs(used - 960) / 48_000 <= abs(excess_s) + 1e-9, "and never too far"


@pytest.mark.parametrize("excess_s", [0, 0.0039, -0.0039])
def test_what_is_as_it_should_be_stays_as_it_is(excess_s: float) -> None:
    wave = speech(1)
    heard, _ = played(wave, excess_s)
    assert heard.tolist() == wave[: len(heard)].tolist()


@pytest.mark.parametrize("excess_s", [0.004, 0.0079, 0.02, 0.0399, -0.004, -0.02, -0.0399])
def test_a_voice_is_stretched_by_less_than_half_a_percent(excess_s: float) -> None:
    wave = tone(1000, 3)
    heard, used = played(wave, excess_s)
    change = (np.mean(used) - 960) / 960
    assert 0.001 <= abs(change) <= 0.005
    assert (change > 0) == (excess_s > 0)
    assert dominant_hz(heard) == pytest.approx(1000, abs=6)
    assert roughness(heard) < 1.05 * roughness(wave) + 10, "without a click"


@pytest.mark.parametrize("excess_s", [0.01, 0.035, -0.01, -0.035])
def test_where_it_is_quiet_pieces_are_left_out_or_put_in(excess_s: float) -> None:
    wave = tone(400, 2, amplitude=60)
    heard, used = played(wave, excess_s)
    assert abs(np.mean(used) - 960) > 120
    assert roughness(heard) <= 2 * roughness(wave)


@pytest.mark.parametrize("excess_s", [0.04, 0.3, -0.04, -0.3])
def test_where_it_is_far_off_that_is_done_whatever_sounds_and_in_whole_periods(
    excess_s: float,
) -> None:
    wave = tone(200, 3)
    heard, used = played(wave, excess_s)
    assert all(abs(count - 960) in (240, 480) for count in used), "of 200 Hz"
    assert dominant_hz(heard) == pytest.approx(200, abs=2)
    assert roughness(heard) < 1.2 * roughness(wave) + 10
    assert np.abs(heard.astype(int)).max() <= 8000
