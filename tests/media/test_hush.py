"""When a microphone that is open hears nothing at all."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.media.base import FRAME_SAMPLES, SILENT_FRAME
from appliance.media.hush import TOO_LONG_S, Hush


def tone(level_dbfs: float) -> bytes:
    """20 ms of a sine."""
    turns = 2 * np.pi * 10 * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES
    wave = 32767 * 10 ** (level_dbfs / 20) * np.sin(turns)
    return bytes(wave.round().astype("<i2").tobytes())


def judged(hush: Hush, frame: bytes, from_s: float, to_s: float) -> list[bool]:
    return [hush.heard(frame, at_s) for at_s in np.arange(from_s, to_s, 0.02)]


@pytest.mark.parametrize("frame", [SILENT_FRAME, tone(-75)])
def test_ten_seconds_below_the_level_are_too_long(frame: bytes) -> None:
    hush = Hush()
    assert not any(judged(hush, frame, 100, 100 + TOO_LONG_S - 0.01))
    assert all(judged(hush, frame, 100 + TOO_LONG_S, 120))
    assert not hush.heard(tone(-40), 120), "a sound ends it at once"
    assert not any(judged(hush, frame, 120.02, 120 + TOO_LONG_S))


def test_a_quiet_room_is_not_silent() -> None:
    assert not any(judged(Hush(), tone(-65), 0, 3 * TOO_LONG_S))


def test_what_nobody_cares_about_is_not_counted() -> None:
    hush = Hush()
    judged(hush, SILENT_FRAME, 0, TOO_LONG_S - 1)
    hush.forget()
    assert not any(judged(hush, SILENT_FRAME, TOO_LONG_S - 1, 2 * TOO_LONG_S - 2))
