"""The laptop's camera, microphone and loudspeaker."""

from __future__ import annotations

import queue
from itertools import pairwise

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from appliance.media.base import FRAME_BYTES, AccessUnit, SourceFailed
from appliance.media.card import read_counter
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


def decoded(units: list[AccessUnit]) -> list[VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    return [*frames, *decoder.decode(None)]


def test_a_camera_sends_fewer_pictures_evenly_and_a_keyframe_at_once() -> None:
    units: queue.Queue[AccessUnit] = queue.Queue()
    camera = CardCamera(160, 90, 50, 200)
    camera.set_framerate(10)
    camera.start(units.put, no_failure)
    assert camera.framerate == 50, "as configured"
    camera.set_framerate(10)
    assert camera.framerate == 10
    before = units.qsize() + 2  # on a slow machine some have come already
    taken = [units.get(timeout=PATIENCE_S) for _ in range(before + 4)]
    numbers = [read_counter(frame) for frame in decoded(taken)]
    steps = {(later or 0) - (earlier or 0) for earlier, later in pairwise(numbers[before:])}
    assert min(steps) >= 5, "more where the machine was slow"
    camera.set_framerate(1)
    units.get(timeout=PATIENCE_S)
    camera.request_keyframe()
    while not (asked := units.get(timeout=PATIENCE_S)).keyframe:
        pass
    camera.set_framerate(500)
    camera.stop()
    assert camera.framerate == 50, "never more than was configured"
    assert asked.pts_us > taken[-1].pts_us


def test_a_camera_scales_with_a_keyframe_and_its_own_picture_stays_as_it_is() -> None:
    units: queue.Queue[AccessUnit] = queue.Queue()
    camera = CardCamera(640, 360, 30, 600)
    camera.start(units.put, no_failure)
    taken = [units.get(timeout=PATIENCE_S) for _ in range(2)]
    for divisor, size in ((2, (320, 180)), (4, (160, 90)), (1, (640, 360))):
        camera.set_scale(divisor)
        assert (camera.width, camera.height) == size
        while not taken[-1].keyframe:
            taken.append(units.get(timeout=PATIENCE_S))
        taken.append(units.get(timeout=PATIENCE_S))
    looked = camera.frame()
    camera.set_scale(4)
    camera.stop()
    assert looked is not None
    assert looked.shape == (360, 640, 3)
    frames = decoded(taken)
    assert [unit.keyframe for unit in taken] == [frame.key_frame for frame in frames]
    sizes = [(frame.width, frame.height) for frame in frames if frame.key_frame]
    assert sizes == [(640, 360), (320, 180), (160, 90), (640, 360)]
    numbers = [read_counter(frame) for frame in frames]
    assert None not in numbers, "the counter is read in every size"
    camera.start(units.put, no_failure)
    camera.stop()
    assert camera.width == 640, "each start begins as configured"


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
