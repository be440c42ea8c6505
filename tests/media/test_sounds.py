"""What the device's own sounds are made of."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.calls.effects import Sound
from appliance.media.sounds import LEVEL_DBFS, pcm_of


@pytest.mark.parametrize("sound", Sound)
def test_each_sound_is_short_loud_enough_and_begins_and_ends_softly(sound: Sound) -> None:
    line = np.frombuffer(pcm_of(sound, "en"), "<i2").astype(int)
    assert 0.5 < len(line) / 48_000 <= 3
    assert np.abs(line).max() == pytest.approx(32767 * 10 ** (LEVEL_DBFS / 20), rel=0.01)
    assert np.abs(line[[0, -1]]).max() < 200
    assert pcm_of(sound, "en") is pcm_of(sound, "en")
