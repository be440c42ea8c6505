"""How loud a frame is."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.media.base import FRAME_SAMPLES, SILENT_FRAME
from appliance.media.voice import level_dbfs


@pytest.mark.parametrize(
    ("amplitude", "dbfs"), [(32767, 0), (16384, -6), (3277, -20), (104, -50), (1, -90)]
)
def test_a_sine_s_level_is_that_of_its_peak(amplitude: int, dbfs: float) -> None:
    turns = np.arange(FRAME_SAMPLES) * 400 / 48_000
    frame = np.round(amplitude * np.sin(2 * np.pi * turns)).astype("<i2").tobytes()
    assert level_dbfs(frame) == pytest.approx(dbfs, abs=0.5 if amplitude > 1 else 2)


def test_silence_has_the_lowest_level() -> None:
    assert level_dbfs(SILENT_FRAME) == -100
