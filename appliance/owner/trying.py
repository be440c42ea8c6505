"""A loudspeaker and a microphone, tried as they are: a tone of a second, and how loud it is in the room."""

from __future__ import annotations

import math
import time

import numpy as np

from appliance.media.base import SAMPLE_RATE_HZ
from appliance.media.pcm import PERIOD_BYTES, Direction, OpenPcm, Pcm
from appliance.media.synthetic import FULL_SCALE_SINE_RMS, SILENCE_DBFS, SOUNDS

HERTZ, TONE_S, LEVEL = 660.0, 1.0, 0.25
LISTENS_S = 3.0
WINDOW_S = 0.2
PATIENCE_S = 5.0
"""Of a device from which nothing moves."""
QUIET_DBFS = -60.0
"""What a microphone in a room is above, when somebody speaks before it."""


def play_tone(device: str, open_pcm: OpenPcm) -> None:
    """Play it; returns when it has sounded. Raises OSError; what is simulated says nothing."""
    if device in SOUNDS:
        return
    at = np.arange(int(SAMPLE_RATE_HZ * TONE_S))
    wave = (32767 * LEVEL * np.sin(2 * math.pi * HERTZ * at / SAMPLE_RATE_HZ)).astype("<i2")
    left = wave.tobytes()
    pcm = open_pcm(Direction.PLAYBACK, device)
    try:
        ends_s = time.monotonic() + TONE_S + PATIENCE_S
        while left:
            taken = pcm.write(left[:PERIOD_BYTES])
            if taken == 0:
                _wait(pcm, ends_s)
            left = left[taken or 0 :]
        time.sleep(pcm.latency_s())
    finally:
        pcm.close()


def loudest_dbfs(device: str, open_pcm: OpenPcm, lasts_s: float = LISTENS_S) -> float:
    """The loudest fifth of a second of so many seconds. Raises OSError."""
    if device in SOUNDS:
        level = SOUNDS[device]
        return SILENCE_DBFS if level is None else level
    heard = bytearray()
    wanted = int(SAMPLE_RATE_HZ * lasts_s) * 2
    pcm = open_pcm(Direction.CAPTURE, device)
    try:
        ends_s = time.monotonic() + lasts_s + PATIENCE_S
        while len(heard) < wanted:
            _wait(pcm, ends_s)
            heard += pcm.read() or b""
    finally:
        pcm.close()
    return level_dbfs(bytes(heard))


def level_dbfs(sound: bytes) -> float:
    """The loudest fifth of a second; what is constant is no sound."""
    samples = np.frombuffer(sound[: len(sound) // 2 * 2], "<i2").astype(np.float64)
    size = int(SAMPLE_RATE_HZ * WINDOW_S)
    windows = [samples[at : at + size] for at in range(0, len(samples), size)]
    loudest = max((float(np.std(one)) for one in windows if len(one)), default=0.0)
    return 20 * math.log10(loudest / FULL_SCALE_SINE_RMS) if loudest > 0 else SILENCE_DBFS


def _wait(pcm: Pcm, ends_s: float) -> None:
    if time.monotonic() > ends_s:
        raise OSError("nothing moves in it")
    pcm.wait(0.1)
