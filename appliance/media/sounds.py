"""What the device's own sounds are made of: chime, refusal, ring tone and alarm, computed once."""

from __future__ import annotations

from functools import cache

import numpy as np

from appliance.calls.effects import Sound
from appliance.media.base import SAMPLE_RATE_HZ

LEVEL_DBFS = -9.0

_NOTES = {
    Sound.CHIME: ((659.3, 0.0, 1.2), (523.3, 0.5, 1.4)),
    Sound.REFUSED: ((311.1, 0.0, 0.3), (261.6, 0.3, 0.5)),
    Sound.RINGTONE: ((523.3, 0.0, 0.5), (659.3, 0.25, 0.5), (784.0, 0.5, 1.0)),
    Sound.ALARM: tuple((1318.5, begin * 0.3, 0.2) for begin in range(4)),
}
"""Each note's frequency in Hz, when it begins and how long it sounds, in seconds."""
_LENGTH_S = {Sound.CHIME: 1.9, Sound.REFUSED: 0.8, Sound.RINGTONE: 3.0, Sound.ALARM: 1.2}


@cache
def pcm_of(sound: Sound, language: str) -> bytes:
    """As samples: 48 kHz, mono, signed 16 bit, little endian. These sounds are the same in any language."""
    line = np.zeros(round(_LENGTH_S[sound] * SAMPLE_RATE_HZ))
    for hz, begin_s, length_s in _NOTES[sound]:
        at_s = np.arange(round(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        # a struck bell: at once there, dying away, its overtone faster than itself
        rise = np.minimum(1, at_s / 0.005)
        fall = np.exp(-4 * at_s / length_s) * np.minimum(1, (length_s - at_s) / 0.02)
        turns = 2 * np.pi * hz * at_s
        note = np.sin(turns) + 0.3 * np.exp(-6 * at_s) * np.sin(2 * turns)
        begin = round(begin_s * SAMPLE_RATE_HZ)
        line[begin : begin + len(note)] += rise * fall * note
    loudest = 32767 * 10 ** (LEVEL_DBFS / 20)
    return bytes((line * loudest / np.abs(line).max()).astype("<i2").tobytes())
