"""The laptop's camera, microphone and loudspeaker."""

from __future__ import annotations

import queue
from itertools import pairwise

import numpy as np
import pytest

from appliance.media.base import FRAME_BYTES, AccessUnit, SourceFailed
from appliance.media.synthetic import (
    CardCamera,
    Meter,
    Samples,
    ToneMicrophone,
    dominant_hz,
    level_dbfs,
)

PATIENCE_S = 30


def no_failure(fault: SourceFailed) -> None:
    raise AssertionError(fault)


def rested(units: queue.Queue[AccessUnit]) -> int:
    """Wait until nothing has come for a fifth of a second, twelve pictures' time; the last time stamp."""
    last = 0
    for _ in range(3):  # one or two may have been under way
        try:
            last = units.get(timeout=0.2).pts_us
        except queue.Empty:
            return last
    raise AssertionError("pictures go on coming")


def sine(tone_hz: float, dbfs: float, samples: int = 48_000) -> Samples:
    wave = 32767 * 10 ** (dbfs / 20) * np.sin(2 * np.pi * tone_hz * np.arange(samples) / 48_000)
    return wave.astype(np.int16)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


# -------------------- camera


def test_the_camera_begins_with_a_keyframe_and_can_be_started_again() -> None:
    camera = CardCamera(161, 91, 60, 200)
    assert (camera.width, camera.height) == (160, 90)
    for _ in range(2):
        units: queue.Queue[AccessUnit] = queue.Queue()
        camera.start(units.put, no_failure)
        taken = [units.get(timeout=PATIENCE_S) for _ in range(4)]
        camera.stop()
        assert [unit.keyframe for unit in taken] == [True, False, False, False]
        assert all(earlier.pts_us < later.pts_us for earlier, later in pairwise(taken))


def test_a_resting_camera_encodes_nothing_and_goes_on_with_a_keyframe() -> None:
    units: queue.Queue[AccessUnit] = queue.Queue()
    camera = CardCamera(160, 90, 60, 200)
    camera.start(units.put, no_failure)
    units.get(timeout=PATIENCE_S)
    camera.rest(True)
    last = rested(units)
    camera.rest(False)
    first = units.get(timeout=PATIENCE_S)
    camera.stop()
    assert first.keyframe
    assert first.pts_us > last


def test_a_camera_whose_thread_fails_says_so_and_can_still_be_stopped() -> None:
    failures: queue.Queue[SourceFailed] = queue.Queue()

    def broken(unit: AccessUnit) -> None:
        raise OSError("no room")

    camera = CardCamera(160, 90, 60, 200)
    camera.start(broken, failures.put)
    assert "no room" in str(failures.get(timeout=PATIENCE_S))
    camera.stop()


def test_a_camera_too_large_for_the_encoder_does_not_start() -> None:
    with pytest.raises(SourceFailed, match=r"level 4\.2"):
        CardCamera(1920, 1088, 240, 1000).start(print, no_failure)


# -------------------- microphone


@pytest.mark.parametrize(("level", "tone_hz", "dbfs"), [(-20.0, 440, -20), (None, None, -100)])
def test_the_microphone_gives_a_steady_tone_or_silence(
    level: float | None, tone_hz: float | None, dbfs: float
) -> None:
    frames: queue.Queue[bytes] = queue.Queue()
    microphone = ToneMicrophone(level_dbfs=level)
    microphone.start(frames.put, no_failure)
    heard = [frames.get(timeout=PATIENCE_S) for _ in range(55)]  # past the seam of its second
    microphone.stop()
    assert {len(frame) for frame in heard} == {FRAME_BYTES}
    samples = np.frombuffer(b"".join(heard), "<i2")
    assert level_dbfs(samples) == pytest.approx(dbfs, abs=0.1)
    assert dominant_hz(samples) == (tone_hz and pytest.approx(tone_hz, abs=0.1))


# -------------------- loudspeaker


@pytest.mark.parametrize("tone_hz", [60, 440, 997.3, 4000, 15_000])
@pytest.mark.parametrize("dbfs", [-3, -20, -50])
def test_a_tone_is_found_and_its_level(tone_hz: float, dbfs: float) -> None:
    samples = sine(tone_hz, dbfs)
    assert dominant_hz(samples) == pytest.approx(tone_hz, abs=0.2)
    assert level_dbfs(samples) == pytest.approx(dbfs, abs=0.2)


def test_noise_silence_and_whispers_have_no_tone() -> None:
    rng = np.random.default_rng(3)
    assert dominant_hz(rng.integers(-9000, 9000, 48_000).astype(np.int16)) is None
    assert dominant_hz(np.zeros(48_000, np.int16)) is None
    assert dominant_hz(sine(440, -70)) is None
    assert dominant_hz(np.zeros(0, np.int16)) is None


def test_a_tone_is_found_in_noise() -> None:
    rng = np.random.default_rng(3)
    mixed = sine(880, -20) + rng.normal(0, 1500, 48_000).astype(np.int16)
    assert dominant_hz(mixed) == pytest.approx(880, abs=0.5)


def test_the_meter_hears_the_last_second_and_forgets() -> None:
    clock = Clock()
    meter = Meter(clock)
    assert (meter.level_dbfs(), meter.tone_hz()) == (-100, None)
    for frame in sine(500, -10).reshape(50, 960):
        clock.now_s += 0.02
        meter.push("alice", frame.tobytes())
    assert meter.level_dbfs() == pytest.approx(-10, abs=0.2)
    assert meter.tone_hz() == pytest.approx(500, abs=0.2)
    clock.now_s += 5
    assert (meter.level_dbfs(), meter.tone_hz()) == (-100, None)


def test_the_meter_mixes_and_does_not_wrap_around() -> None:
    clock = Clock()
    meter = Meter(clock)
    for frame in sine(500, 0).reshape(50, 960):
        clock.now_s += 0.02
        meter.push("alice", frame.tobytes())
        meter.push("bob", frame.tobytes())
    assert meter.heard().max() == 32767
    assert meter.tone_hz() == pytest.approx(500, abs=0.2)
    meter.remove("alice")
    meter.remove("bob")
    meter.remove("carol")
    assert meter.level_dbfs() == -100
