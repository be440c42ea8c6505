"""Recordings of a studio, read back as a player would: whole, cut off, over the limit, on a full disk."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from appliance.calls.effects import (
    OpenCamera,
    OpenMicrophone,
    SetVolume,
    StartCapture,
    StartRecording,
    StopRecording,
    SwitchCamera,
)
from appliance.calls.inputs import (
    CameraSwitched,
    RecordingFailed,
    RecordingStarted,
    RecordingStopped,
)
from appliance.config import Media, Recording
from appliance.media import movie, recorder, shelf
from appliance.media.equipment import recordings_folder
from appliance.media.synthetic import CardCamera
from appliance.model import AudioMode, CameraFacing
from tests.media.booth import Booth, a_booth
from tests.media.reading import Read, read
from tests.media.stranger import until
from tests.parts.need import skip_where_forbidden

CALL = "1a2b3c4d5e6f7a8b"
OWN_HZ, ALICE_HZ = 440, 1000
LIVE = Media(width=320, height=180, framerate=25, bitrate_kbps=300)
FRAME_S = 1 / LIVE.framerate


class Alice:
    """A participant who is heard at the loudspeaker."""

    def __init__(self, booth: Booth) -> None:
        self._booth = booth
        self.heard = 0

    async def speak(self) -> None:
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        wave = (6000 * np.sin(np.arange(48_000) * 2 * np.pi * ALICE_HZ / 48_000)).astype("<i2")
        frames = [frame.tobytes() for frame in wave.reshape(50, 960)]
        while True:
            self._booth.equipment.loudspeaker.push("alice/phone/1", frames[self.heard % 50])
            self.heard += 1
            await asyncio.sleep(start_s + self.heard * 0.02 - loop.time())


@asynccontextmanager
async def talking(
    folder: Path, *, video: bool = True, max_mb: int = 500
) -> AsyncIterator[tuple[Booth, Alice]]:
    """A booth in a call with Alice."""
    settings = Recording(directory=str(folder), max_mb=max_mb)
    async with a_booth(recording=settings, media=LIVE) as booth:
        booth.studio.perform(StartCapture(video=video))
        alice = Alice(booth)
        async with asyncio.TaskGroup() as tasks:
            speaking = tasks.create_task(alice.speak())
            await until(lambda: booth.equipment.audio.source, "the microphone")
            if video:
                await until(lambda: booth.equipment.video.source, "the camera")
            yield booth, alice
            speaking.cancel()


async def begun(booth: Booth, *, video: bool = True) -> Path:
    booth.studio.perform(StartRecording(CALL, video))
    path = Path((await booth.next(RecordingStarted)).path)
    assert booth.status("recording") is True
    return path


async def spoken(alice: Alice, seconds: float) -> None:
    """Wait until Alice has said so much more."""
    until_frame = alice.heard + round(seconds * 50)
    await until(lambda: alice.heard >= until_frame, f"{seconds} s of speech")


async def ended(booth: Booth) -> RecordingStopped:
    booth.studio.perform(StopRecording())
    assert booth.status("recording") is False
    return await booth.next(RecordingStopped)


async def test_a_call_is_recorded_with_its_picture_and_both_voices(tmp_path: Path) -> None:
    async with talking(tmp_path / "kept") as (booth, alice):
        booth.studio.perform(SetVolume(AudioMode.SPEAKER, 0))
        path = await begun(booth)
        await spoken(alice, 2.5)
        stopped = await ended(booth)
    assert path.parent == tmp_path / "kept"
    assert path.name.endswith("Z_1a2b3c4d.mp4")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert (stopped.path, stopped.error) == (str(path), None)
    assert stopped.bytes == path.stat().st_size > 10_000
    found = read(path)
    assert stopped.duration_s >= 2.4
    assert found.duration_s == pytest.approx(stopped.duration_s, abs=2 * FRAME_S)
    assert -1 not in found.numbers
    assert found.numbers == sorted(set(found.numbers)), "the counter rises"
    steps = [number / LIVE.framerate for number in np.diff(found.numbers)]
    assert np.diff(found.picture_times_s[1:]) == pytest.approx(steps[1:], abs=0.02)
    middle = (0.5, 2.0)
    assert found.level(OWN_HZ, *middle) == pytest.approx(3277, rel=0.15)
    assert found.level(ALICE_HZ, *middle) == pytest.approx(6000, rel=0.15), "whatever the volume"
    assert found.level(700, *middle) < 150, (
        "nothing else: a late frame alone sounds a little of all"
    )


async def test_a_call_of_sound_alone_has_no_picture_in_its_file(tmp_path: Path) -> None:
    async with talking(tmp_path, video=False) as (booth, alice):
        path = await begun(booth, video=False)
        await spoken(alice, 1)
        await ended(booth)
    found = read(path)
    assert found.numbers == []
    assert found.level(OWN_HZ, 0.2, 0.8) > 2000


async def test_who_is_muted_is_not_recorded_and_neither_is_who_is_on_hold(tmp_path: Path) -> None:
    async with talking(tmp_path) as (booth, alice):
        path = await begun(booth)
        await spoken(alice, 1)
        booth.studio.perform(OpenMicrophone(on=False))
        await spoken(alice, 1)
        booth.studio.perform(OpenMicrophone(on=True))
        await spoken(alice, 1)
        booth.studio._desk.hold(frozenset({CALL}))
        await spoken(alice, 1)
        booth.studio._desk.hold(frozenset({"another"}))
        await spoken(alice, 1)
        await ended(booth)
    found = read(path)
    levels = [found.level(OWN_HZ, second + 0.4, second + 0.8) > 1500 for second in range(5)]
    assert levels == [True, False, True, False, True]
    levels = [found.level(ALICE_HZ, second + 0.4, second + 0.8) > 3000 for second in range(5)]
    assert levels == [True, True, True, False, True], "who is heard then is in another call"
    (before, after) = found.shown()
    assert before[1] == pytest.approx(3, abs=0.4), "the picture is away while on hold"
    assert after[0] == pytest.approx(4, abs=0.4)
    assert after[2], "it goes on with a keyframe"


async def test_a_pause_and_another_camera_keep_the_time_line_right(tmp_path: Path) -> None:
    async with talking(tmp_path) as (booth, alice):
        path = await begun(booth)
        await spoken(alice, 1)
        booth.studio.perform(OpenCamera(on=False))
        await spoken(alice, 1)
        booth.studio.perform(OpenCamera(on=True))
        await spoken(alice, 1)
        booth.studio.perform(SwitchCamera(CameraFacing.REAR))
        await booth.next(CameraSwitched)
        await spoken(alice, 1)
        stopped = await ended(booth)
    found = read(path)
    assert found.duration_s == pytest.approx(stopped.duration_s, abs=2 * FRAME_S)
    assert found.picture_times_s == sorted(set(found.picture_times_s))
    (before, after) = found.shown()
    assert before[1] == pytest.approx(1, abs=0.4)
    assert after[0] == pytest.approx(2, abs=0.4)
    assert after[2], "it goes on with a keyframe"
    turn = found.facings.index(CameraFacing.REAR, found.numbers.index(-1) + 10)
    assert set(found.facings[turn:]) == {CameraFacing.REAR}
    assert set(found.facings[turn - 5 : turn]) == {CameraFacing.FRONT}
    assert found.picture_times_s[turn] == pytest.approx(3, abs=0.6)
    assert found.picture_times_s[turn] in found.keyframe_times_s
    assert found.picture_times_s[-1] == pytest.approx(stopped.duration_s, abs=0.2)


async def test_a_camera_that_stands_still_leaves_no_picture_drawn_into_black(
    tmp_path: Path,
) -> None:
    """It goes on as if nothing had been, and what it sends then is made of what was before the black."""
    async with talking(tmp_path) as (booth, alice):
        camera = booth.equipment.video.source
        assert isinstance(camera, CardCamera)
        path = await begun(booth)
        await spoken(alice, 1)
        with camera._drawing:
            await spoken(alice, 1)
        await spoken(alice, 1)
        await ended(booth)
    found = read(path)
    (before, after) = found.shown()
    assert before[1] == pytest.approx(1, abs=0.4)
    assert after[0] == pytest.approx(2, abs=0.4)
    assert after[2], "it goes on with a keyframe"


async def test_a_file_has_one_size_and_nothing_of_another_gets_into_it(tmp_path: Path) -> None:
    """The rate control keeps the size while it is recorded; here the camera changes it by itself."""
    async with talking(tmp_path) as (booth, alice):
        assert not booth.equipment.steering._keeps_size()
        path = await begun(booth)
        assert booth.equipment.steering._keeps_size()
        await spoken(alice, 1)
        camera = booth.equipment.video.source
        assert camera is not None
        camera.set_scale(2)
        await spoken(alice, 1.5)
        camera.set_scale(1)
        await spoken(alice, 1)
        stopped = await ended(booth)
    found = read(path)
    assert found.duration_s == pytest.approx(stopped.duration_s, abs=2 * FRAME_S)
    (before, after) = found.shown()
    assert before[1] == pytest.approx(1, abs=0.4)
    assert after[0] == pytest.approx(2.5, abs=0.4)
    assert after[2], "it goes on with a keyframe"
    assert found.sizes == {(LIVE.width, LIVE.height)}


async def test_what_begins_small_is_recorded_small(tmp_path: Path) -> None:
    async with talking(tmp_path) as (booth, alice):
        camera = booth.equipment.video.source
        assert camera is not None
        camera.set_scale(2)  # the picture before the recording may still be large
        path = await begun(booth)
        await spoken(alice, 1.5)
        await ended(booth)
    found = read(path)
    assert found.sizes == {(LIVE.width // 2, LIVE.height // 2)}
    (shown,) = found.shown()
    assert shown[0] < 0.5


async def test_what_begins_paused_is_black_until_there_is_a_picture(tmp_path: Path) -> None:
    async with talking(tmp_path) as (booth, alice):
        booth.studio.perform(OpenCamera(on=False))
        await spoken(alice, 0.2)
        path = await begun(booth)
        await spoken(alice, 1)
        booth.studio.perform(OpenCamera(on=True))
        await spoken(alice, 1)
        await ended(booth)
    found = read(path)
    assert (found.numbers[0], found.picture_times_s[0]) == (-1, 0)
    (shown,) = found.shown()
    assert shown[0] == pytest.approx(1, abs=0.4)


async def test_one_can_seek_every_few_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "KEYFRAME_EVERY_S", 0.5)
    async with talking(tmp_path) as (booth, alice):
        path = await begun(booth)
        await spoken(alice, 2.5)
        await ended(booth)
    found = read(path)
    assert 4 <= len(found.keyframe_times_s) <= 7
    assert all(0.4 < b - a < 1 for a, b in pairwise(found.keyframe_times_s))


async def test_a_camera_that_does_not_work_leaves_the_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "HEADER_WAIT_S", 0.5)
    async with talking(tmp_path, video=False) as (booth, alice):
        path = await begun(booth, video=True)
        await spoken(alice, 1.5)
        stopped = await ended(booth)
    found = read(path)
    assert found.numbers == []
    assert found.duration_s == pytest.approx(stopped.duration_s, abs=2 * FRAME_S)


async def test_one_at_a_time_and_the_next_as_soon_as_it_is_stopped(tmp_path: Path) -> None:
    async with talking(tmp_path, video=False) as (booth, alice):
        booth.studio.perform(StopRecording())
        first = await begun(booth, video=False)
        booth.studio.perform(StartRecording(CALL, video=False))
        assert "running already" in (await booth.next(RecordingFailed)).message
        await spoken(alice, 0.5)
        booth.studio.perform(StopRecording())
        second = await begun(booth, video=False)
        await booth.next(RecordingStopped)
        await spoken(alice, 0.5)
        await ended(booth)
        assert booth.all(RecordingStopped) == []
    assert first != second
    for path in (first, second):
        assert read(path).duration_s > 0.3


async def test_a_recording_that_is_stopped_at_once_can_be_opened(tmp_path: Path) -> None:
    async with talking(tmp_path) as (booth, _):
        booth.studio.perform(StartRecording(CALL, video=True))
        booth.studio.perform(StopRecording())
        path = Path((await booth.next(RecordingStopped)).path)
    assert read(path).duration_s < 1


async def test_a_studio_that_ends_closes_its_recording(tmp_path: Path) -> None:
    async with talking(tmp_path) as (booth, alice):
        path = await begun(booth)
        await spoken(alice, 1)
    (stopped,) = booth.all(RecordingStopped)
    assert stopped.error is None
    found = read(path)
    assert found.duration_s == pytest.approx(stopped.duration_s, abs=2 * FRAME_S)


# -------------------- where there is no room


async def test_the_oldest_make_room_while_it_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "ROOM_EVERY_S", 0.1)
    old = [tmp_path / f"2026-11-1{day}T09-00-00Z_0a0b0c0d.mp4" for day in (7, 8)]
    for path in old:
        path.write_bytes((490_000).to_bytes(4) + b"moov" + bytes(489_992))  # as what can be played
    async with talking(tmp_path, max_mb=1) as (booth, alice):
        path = await begun(booth)
        assert all(path.exists() for path in old)
        await until(lambda: not old[0].exists(), "the oldest to be deleted")
        assert path.stat().st_size > 15_000
        assert old[1].exists()
        await spoken(alice, 0.1)
        assert (await ended(booth)).error is None


async def test_a_recording_ends_with_a_sentence_where_it_alone_reaches_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "ROOM_EVERY_S", 0.1)
    monkeypatch.setattr(shelf, "MEGABYTE", 30_000)
    async with talking(tmp_path, max_mb=1) as (booth, _):
        await begun(booth)
        stopped = await booth.next(RecordingStopped)
        assert "reached the 1 MB" in (stopped.error or "")
        await until(lambda: booth.status("recording") is False, "it to be over")
    found = read(Path(stopped.path))
    assert found.duration_s == pytest.approx(stopped.duration_s, abs=2 * FRAME_S)


async def test_a_disk_that_is_nearly_full_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "ROOM_EVERY_S", 0.1)
    async with talking(tmp_path) as (booth, alice):
        await begun(booth)
        await spoken(alice, 1)
        monkeypatch.setattr(shelf, "MIN_FREE_BYTES", 10**18)
        stopped = await booth.next(RecordingStopped)
        assert "MB are free on the disk" in (stopped.error or "")
        booth.studio.perform(StartRecording(CALL, video=True))
        assert "MB are free" in (await booth.next(RecordingFailed)).message
        await until(lambda: booth.status("recording") is False, "it to be over")
    found = read(Path(stopped.path))
    assert found.duration_s == pytest.approx(stopped.duration_s, abs=2 * FRAME_S)
    assert found.duration_s > 0.6


async def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with talking(tmp_path / "file" / "below") as (booth, _):
        booth.studio.perform(StartRecording(CALL, video=True))
        failed = await booth.next(RecordingFailed)
        assert failed.message.startswith(f"no recording can be kept in {tmp_path}/file/below: ")
        await until(lambda: booth.status("recording") is False, "it to be over")
        assert not [thread for thread in threading.enumerate() if thread.name == "recorder"]


async def test_a_disk_that_fails_in_the_middle_ends_it_and_the_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = movie.Growing.write

    def full(self: movie.Growing, data: bytes) -> int:
        if self.size > 30_000 and self.fault is None:
            self.fault = OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(movie.Growing, "write", full)
    async with talking(tmp_path) as (booth, alice):
        await begun(booth)
        stopped = await booth.next(RecordingStopped)
        assert stopped.error == f"{stopped.path} cannot be written: No space left on device"
        await spoken(alice, 0.1)
        assert booth.status("camera_open")
    assert read(Path(stopped.path)).duration_s > 0.3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 100 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        skip_where_forbidden("no small disk can be mounted", mounted.stderr)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_real_disk_that_is_full_ends_it_with_a_file_that_plays(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "MIN_FREE_BYTES", 0)
    async with talking(small_disk) as (booth, _):
        await begun(booth)
        stopped = await booth.next(RecordingStopped)
        assert "No space left on device" in (stopped.error or "")
    found = read(Path(stopped.path))
    assert found.duration_s == pytest.approx(stopped.duration_s, abs=0.8)
    assert -1 not in found.numbers


# -------------------- cut off

RECORDING = """
import asyncio, json, sys
from pathlib import Path
from appliance.calls.effects import StartRecording
from tests.media.test_recorder import CALL, begun, spoken, talking

async def main():
    async with talking(Path(sys.argv[1])) as (booth, alice):
        path = await begun(booth)
        began = alice.heard
        while True:
            await spoken(alice, 0.1)
            print(json.dumps([str(path), (alice.heard - began) / 50]), flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("after_s", [1.6, 2.9])
def test_who_is_killed_leaves_a_file_that_plays_up_to_the_last_second(
    tmp_path: Path, after_s: float
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RECORDING, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        recorded_s, path = 0.0, ""
        for line in process.stdout:
            path, recorded_s = json.loads(line)
            if recorded_s >= after_s:
                process.send_signal(signal.SIGKILL)
                break
        rest = [json.loads(line) for line in process.stdout.read().splitlines() if line[-1] == "]"]
        assert process.wait(timeout=30) == -signal.SIGKILL
    recorded_s = rest[-1][1] if rest else recorded_s
    found = read(Path(path))
    check_cut(found, recorded_s)


def check_cut(found: Read, recorded_s: float) -> None:
    assert found.duration_s >= recorded_s - 1.0, "no more than the last second is lost"
    assert found.numbers == sorted(set(found.numbers))
    assert -1 not in found.numbers
    assert found.picture_times_s[-1] >= recorded_s - 1.1
    assert found.level(OWN_HZ, 0.3, found.duration_s - 0.1) > 2000
    assert found.level(ALICE_HZ, 0.3, found.duration_s - 0.1) > 4000


def test_what_was_left_by_a_killed_one_counts_as_finished(tmp_path: Path) -> None:
    left = tmp_path / "2026-11-20T09-00-00Z_1a2b3c4d.mp4"
    left.write_bytes(bytes(1_500_000))
    path, file = shelf.Shelf(tmp_path, 1).open(CALL, datetime.now(UTC))
    os.close(file)
    assert not left.exists()
    assert path.exists()


# -------------------- its folder and its load


def test_recordings_lie_where_it_is_configured_else_in_the_state_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/appliance")
    assert recordings_folder(Recording()) == Path("/var/lib/appliance/recordings")
    assert recordings_folder(Recording(directory="/media/stick")) == Path("/media/stick")


async def test_a_disk_that_is_too_slow_costs_pictures_and_not_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "LIMIT", 60)
    free = threading.Event()
    sync = movie.Growing.sync

    def slow(self: movie.Growing) -> None:
        sync(self)
        if self.size > 10_000:
            free.wait(30)

    monkeypatch.setattr(movie.Growing, "sync", slow)
    async with talking(tmp_path) as (booth, alice):
        path = await begun(booth)
        await spoken(alice, 3)
        writing = booth.equipment.recorder._writing
        assert writing is not None
        assert len(writing._inbox) <= 60
        free.set()
        await spoken(alice, 1.5)
        await ended(booth)
    found = read(path)
    shown = found.shown()
    assert len(shown) == 2, "what was lost is black"
    assert shown[1][2], "it goes on with a keyframe"
    assert shown[1][1] > 3.5
