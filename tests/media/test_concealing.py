"""The concealment that does without libopus."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.concealing import Concealment, joined
from appliance.media.synthetic import dominant_hz
from tests.media.speech import likeness_db, speech, tone


@pytest.mark.parametrize("hz", [100, 150, 233, 390])
def test_a_voice_s_wave_goes_on_as_it_was(hz: int) -> None:
    concealment = Concealment()
    wave = tone(hz, 1)
    concealment.heard(wave[:9600])
    made_up = concealment.conceal(960)
    assert likeness_db(made_up[:240], wave[9600:9840]) > 15, "in phase"
    assert dominant_hz(np.concatenate([wave[:9600], made_up])) == pytest.approx(hz, abs=5)


def test_it_fades_by_two_thirds_in_60_ms() -> None:
    concealment = Concealment()
    concealment.heard(tone(200, 0.1))
    first, *_, last = (concealment.conceal(480) for _ in range(7))
    assert np.abs(last).max() / np.abs(first).max() == pytest.approx(0.37, abs=0.05)


def test_silence_goes_on_as_silence() -> None:
    concealment = Concealment()
    concealment.heard(np.zeros(960, np.int16))
    assert not concealment.conceal(960).any()


def test_what_comes_back_begins_where_the_concealment_has_ended() -> None:
    concealment = Concealment()
    wave = speech(1)
    concealment.heard(wave[:4800])
    made_up = concealment.conceal(960)
    back = concealment.heard(wave[9600:10560])
    assert abs(int(back[0]) - int(made_up[-1])) <= 1
    assert back[120:].tolist() == wave[9720:10560].tolist(), "and is unchanged after 2.5 ms"
    again = concealment.heard(wave[10560:11520])
    assert again.tolist() == wave[10560:11520].tolist()


@given(
    last=st.integers(-32768, 32767),
    samples=st.lists(st.integers(-32768, 32767), max_size=300),
)
def test_there_is_no_step_where_two_sounds_are_joined(last: int, samples: list[int]) -> None:
    sound = np.array(samples, np.int16)
    result = joined(last, sound)
    assert (len(result), result.dtype.name) == (len(samples), "int16")
    if samples:
        assert abs(int(result[0]) - last) <= 1
        assert result[120:].tolist() == samples[120:]
