"""Down to 16 kHz and up again: what passes, what does not, and how late."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.media.wideband import DELAY_SAMPLES, WIDE_SAMPLES, Narrowing, Widening, whole
from tests.parts.rooms import RATE, Signal, frames, level_dbfs, signal


def tone(hz: float, amplitude: float = 20_000) -> Signal:
    made: Signal = amplitude * np.sin(2 * np.pi * hz * np.arange(RATE // 2) / RATE)
    return made


def there_and_back(heard: Signal) -> Signal:
    narrowing, widening = Narrowing(), Widening()
    return signal([widening(narrowing(frame)) for frame in frames(heard)])


@pytest.mark.parametrize("hz", [50, 440, 1000, 3400, 6000, 6600])
def test_a_voice_comes_back_as_it_was_two_and_a_half_milliseconds_later(hz: float) -> None:
    sent = tone(hz)
    back = there_and_back(sent)
    difference = back[DELAY_SAMPLES + 960 :] - sent[960:-DELAY_SAMPLES]
    assert np.abs(difference).max() < 50


@pytest.mark.parametrize("hz", [8300, 10_000, 15_000, 20_000])
def test_what_16_khz_cannot_hold_does_not_come_back_as_something_else(hz: float) -> None:
    assert level_dbfs(there_and_back(tone(hz))[960:]) < -55


def test_each_frame_is_a_third_and_a_whole_again() -> None:
    samples = Narrowing()(bytes(1920))
    assert samples.shape == (WIDE_SAMPLES,)
    assert samples.dtype == np.float32
    assert Widening()(samples) == bytes(1920)


def test_what_is_too_loud_is_cut_and_does_not_turn_over() -> None:
    assert whole(np.array([40_000.0, -40_000.0, 0.6], np.float32)) == b"\xff\x7f\x00\x80\x01\x00"
