"""The devices of a studio, from the core's effects to its reports and to what a peer sees and hears."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise

import av
import numpy as np
import pytest

from appliance.calls.effects import (
    Effect,
    OpenCamera,
    OpenMicrophone,
    OpenPeer,
    SetVolume,
    StartCapture,
    StopCapture,
    SwitchCamera,
    UseAudioMode,
)
from appliance.calls.inputs import (
    AudioOutputs,
    CameraSwitched,
    DeviceFailed,
    FaultReported,
    PeerAnswered,
    PeerConnected,
    PeerKey,
)
from appliance.config import Audio
from appliance.media import devices as keeping
from appliance.media.base import AccessUnit, Devices, SourceFailed
from appliance.media.card import read_counter, read_facing
from appliance.media.outputs import gain
from appliance.media.sending import Packet
from appliance.media.studio import Studio
from appliance.media.synthetic import CardCamera, dominant_hz, level_dbfs
from appliance.media.tracks import VideoTrack
from appliance.model import AudioMode, CallType, CameraFacing, DeviceException
from tests.media.booth import BOTH, EVERY, SMALL, Booth, a_booth
from tests.media.stranger import Stranger, until

FRONT, REAR = CameraFacing
SPEAKER, EARPIECE, BLUETOOTH, HEADPHONES = AudioMode
ALL = (SPEAKER, EARPIECE, BLUETOOTH, HEADPHONES)
ALICE = PeerKey("call", "alice", "phone-1")


class Viewer:
    """Takes every packet of the camera, as a connection does."""

    def __init__(self, track: VideoTrack) -> None:
        self.track = track
        self.packets: list[Packet] = []
        self.facings: list[CameraFacing] = []
        self.numbers: list[int | None] = []
        self._decoder = av.CodecContext.create("h264", "r")

    async def look(self) -> None:
        while True:
            packet = await self.track.recv()
            self.packets.append(packet)
            for picture in self._decoder.decode(av.Packet(packet.data)):
                self.facings.append(read_facing(picture))
                self.numbers.append(read_counter(picture))

    async def until_sees(self, facing: CameraFacing) -> None:
        already = len(self.facings)
        await until(lambda: self.facings[already:].count(facing) > 5, f"pictures of {facing}")


class Watching:
    """`async with` a viewer of a booth."""

    def __init__(self, booth: Booth) -> None:
        self._viewer = Viewer(booth.equipment.video.track())

    async def __aenter__(self) -> Viewer:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._looking = self._tasks.create_task(self._viewer.look())
        return self._viewer

    async def __aexit__(self, *_: object) -> None:
        self._looking.cancel()
        await self._tasks.__aexit__(None, None, None)
        self._viewer.track.stop()


class Camera2(CardCamera):
    """A test card that refuses to open, or breaks, when it is told to."""

    refuses: Exception | None = None
    starts = 0
    _failed: Callable[[SourceFailed], None]

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        self.starts += 1
        self._failed = failed
        if self.refuses is not None:
            raise self.refuses
        super().start(deliver, failed)

    def break_down(self) -> None:
        assert self._thread is not None
        self._thread.stop()
        self._failed(SourceFailed(DeviceException.DEVICE_UNPLUGGED, "the cable is loose"))


def test_the_studio_performs_all_that_is_about_devices() -> None:
    wanted: set[type[Effect]] = {StartCapture, StopCapture, OpenCamera, OpenMicrophone}
    wanted |= {SwitchCamera, UseAudioMode, SetVolume}
    assert wanted <= set(Studio.EFFECTS)


# -------------------- two cameras


async def test_the_camera_is_switched_in_a_call_without_negotiation_from_a_keyframe_on() -> None:
    async with a_booth() as booth, Watching(booth) as viewer:
        booth.studio.perform(StartCapture(video=True))
        await viewer.until_sees(FRONT)
        booth.studio.perform(SwitchCamera(REAR))
        assert (await booth.next(CameraSwitched)).facing is REAR
        await viewer.until_sees(REAR)
        assert booth.status("camera_facing") == "rear"
        booth.studio.perform(SwitchCamera(FRONT))
        assert (await booth.next(CameraSwitched)).facing is FRONT
        await viewer.until_sees(FRONT)
        times = [packet.pts for packet in viewer.packets]
        assert all(earlier < later for earlier, later in pairwise(times)), "time never steps back"
        changes = [at for at, (a, b) in enumerate(pairwise(viewer.facings), 1) if a is not b]
        assert len(changes) == 2
        late = len(viewer.packets) - len(viewer.facings)
        for at in changes:
            assert any(packet.is_keyframe for packet in viewer.packets[at : at + late + 1])
        assert None not in viewer.numbers, "the counter is readable on both"
        names = [thread for thread in threads() if "camera" in thread]
        assert len(names) == 1, "the other one is closed"
    assert booth.all(DeviceFailed) == []


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


async def test_a_peer_sees_the_other_camera_over_the_same_connection() -> None:
    async with a_booth() as booth, Stranger() as alice:
        booth.studio.perform(StartCapture(video=True))
        booth.studio.perform(OpenPeer(ALICE, CallType.VIDEO, await alice.call()))
        await alice.take((await booth.next(PeerAnswered)).description)
        await until(lambda: len(alice.numbers) > 20, "pictures")
        before = alice.numbers[-1]
        booth.studio.perform(SwitchCamera(REAR))
        await booth.next(CameraSwitched)
        await until(
            lambda: (alice.numbers[-1] or 99) < (before or 0), "the rear card's first numbers"
        )
        seen = len(alice.numbers)
        await until(lambda: len(alice.numbers) > seen + 10, "more pictures")
        assert None not in alice.numbers
        assert booth.all(PeerAnswered) == []


async def test_a_camera_that_is_chosen_while_closed_is_used_for_the_next_call_and_then_front() -> (
    None
):
    async with a_booth() as booth:
        booth.studio.perform(SwitchCamera(REAR))
        assert (await booth.next(CameraSwitched)).facing is REAR
        assert not booth.status("camera_open")
        async with Watching(booth) as viewer:
            booth.studio.perform(StartCapture(video=True))
            await viewer.until_sees(REAR)
            assert set(viewer.facings) == {REAR}
        booth.studio.perform(StopCapture())
        assert (await booth.next(CameraSwitched)).facing is FRONT, "the next call begins with it"
        async with Watching(booth) as viewer:
            booth.studio.perform(StartCapture(video=True))
            await viewer.until_sees(FRONT)
            assert set(viewer.facings) == {FRONT}


async def test_where_the_rear_camera_fails_the_front_one_goes_on() -> None:
    rear = Camera2(320, 180, 25, 300, REAR)
    rear.refuses = SourceFailed(DeviceException.DEVICE_OCCUPIED, "the rear camera is in use")
    async with a_booth(devices=Devices(rear=rear)) as booth, Watching(booth) as viewer:
        booth.studio.perform(StartCapture(video=True))
        await viewer.until_sees(FRONT)
        booth.studio.perform(SwitchCamera(REAR))
        failed = await booth.next(DeviceFailed)
        assert failed == DeviceFailed(
            "camera", DeviceException.DEVICE_OCCUPIED, "the rear camera is in use"
        )
        assert await booth.next(DeviceFailed) == DeviceFailed("camera", None), "that in use works"
        await viewer.until_sees(FRONT)
        assert booth.status("camera_facing") == "front"
        assert booth.all(CameraSwitched) == []


async def test_there_may_be_no_rear_camera() -> None:
    async with a_booth(cameras={"front": BOTH["front"]}) as booth:
        booth.studio.perform(SwitchCamera(REAR))
        failed = await booth.next(DeviceFailed)
        assert failed.type is DeviceException.INVALID_ID
        assert "[cameras.rear]" in (failed.message or "")


async def test_a_paused_camera_stays_paused_through_a_switch() -> None:
    async with a_booth() as booth, Watching(booth) as viewer:
        booth.studio.perform(StartCapture(video=True))
        await viewer.until_sees(FRONT)
        booth.studio.perform(OpenCamera(on=False))
        sent = len(viewer.packets)
        booth.studio.perform(SwitchCamera(REAR))
        await booth.next(CameraSwitched)
        await asyncio.to_thread(lambda: None)
        assert len(viewer.packets) == sent
        booth.studio.perform(OpenCamera(on=True))
        await viewer.until_sees(REAR)
        assert viewer.packets[sent].is_keyframe


async def test_a_camera_that_breaks_in_a_call_comes_back_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeping, "RETRY_S", (0.01,))
    front = Camera2(320, 180, 25, 300)
    async with a_booth(devices=Devices(camera=front)) as booth, Watching(booth) as viewer:
        booth.studio.perform(StartCapture(video=True))
        await viewer.until_sees(FRONT)
        front.refuses = SourceFailed(DeviceException.DEVICE_UNPLUGGED, "the cable is loose")
        front.break_down()
        failed = await booth.next(DeviceFailed)
        assert (failed.device, failed.type) == ("camera", DeviceException.DEVICE_UNPLUGGED)
        await until(lambda: front.starts > 3, "attempts")
        seen = len(viewer.packets)
        front.refuses = None
        assert await booth.next(DeviceFailed) == DeviceFailed("camera", None)
        await viewer.until_sees(FRONT)
        assert viewer.packets[seen].is_keyframe


# -------------------- paused and muted


class Counting(CardCamera):
    """Counts the pictures that it has encoded."""

    encoded = 0

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        super().start(deliver, failed)
        assert self._encoder is not None
        encode = self._encoder.encode

        def count(frame: av.VideoFrame, pts_us: int) -> AccessUnit:
            self.encoded += 1
            return encode(frame, pts_us)

        self._encoder.encode = count  # type: ignore[method-assign]


async def test_while_paused_the_encoder_rests_and_nothing_leaves() -> None:
    camera = Counting(320, 180, 50, 300)
    async with a_booth(devices=Devices(camera=camera)) as booth, Watching(booth) as viewer:
        booth.studio.perform(StartCapture(video=True))
        await until(lambda: len(viewer.packets) > 5, "pictures")
        booth.studio.perform(OpenCamera(on=False))
        sent = len(viewer.packets)
        await asyncio.sleep(0.1)  # one picture may be half made
        encoded = camera.encoded
        await asyncio.sleep(0.5)  # 25 pictures' time
        assert camera.encoded <= encoded + 1
        assert len(viewer.packets) == sent
        booth.studio.perform(OpenCamera(on=True))
        await until(lambda: camera.encoded > encoded + 5, "pictures")
        await until(lambda: len(viewer.packets) > sent + 5, "pictures")
        assert viewer.packets[sent].is_keyframe


async def test_a_muted_microphone_is_heard_by_nobody_and_its_time_goes_on() -> None:
    decoder = av.CodecContext.create("libopus", "r")
    async with a_booth() as booth:
        track = booth.equipment.audio.track()
        times: list[int] = []

        async def half_a_second() -> np.ndarray[tuple[int], np.dtype[np.int16]]:
            packets = [await track.recv() for _ in range(25)]
            times.extend(packet.pts or 0 for packet in packets)
            frames = [
                frame for packet in packets for frame in decoder.decode(av.Packet(packet.data))
            ]
            return np.concatenate([frame.to_ndarray()[0] for frame in frames])

        booth.studio.perform(StartCapture(video=False))
        assert level_dbfs(await half_a_second()) > -30
        booth.studio.perform(OpenMicrophone(on=False))
        await half_a_second()
        assert level_dbfs(await half_a_second()) < -80
        booth.studio.perform(OpenMicrophone(on=True))
        await half_a_second()
        assert level_dbfs(await half_a_second()) > -30
        steps = {later - earlier for earlier, later in pairwise(times)}
        assert all(step > 0 and step % 960 == 0 for step in steps)
        track.stop()


# -------------------- outputs


def push_a_second(booth: Booth, hz: int = 500) -> None:
    wave = (8000 * np.sin(np.arange(48_000) * 2 * np.pi * hz / 48_000)).astype("<i2")
    for frame in wave.reshape(50, 960):
        booth.equipment.loudspeaker.push("alice", frame.tobytes())


def speaker(booth: Booth) -> dict[str, object]:
    status = booth.studio.status()["speaker"]
    assert isinstance(status, dict)
    return status


async def test_the_outputs_are_told_at_the_start_and_whenever_one_comes_or_goes() -> None:
    async with a_booth() as booth:
        assert await booth.next(AudioOutputs) == AudioOutputs(SPEAKER, ALL)
        booth.studio.plug(BLUETOOTH, False)
        without = (SPEAKER, EARPIECE, HEADPHONES)
        assert await booth.next(AudioOutputs) == AudioOutputs(SPEAKER, without)
        booth.studio.plug(BLUETOOTH, True)
        assert await booth.next(AudioOutputs) == AudioOutputs(SPEAKER, ALL)
        booth.studio.plug(BLUETOOTH, True)
        booth.studio.perform(UseAudioMode(SPEAKER))
        assert await booth.next(AudioOutputs) == AudioOutputs(SPEAKER, ALL)
        assert booth.reports == []


async def test_the_sound_goes_where_it_is_told_to_and_each_output_is_measured() -> None:
    async with a_booth() as booth:
        await booth.next(AudioOutputs)
        push_a_second(booth)
        assert speaker(booth)["mode"] == booth.status("audio_mode") == "speaker"
        assert speaker(booth)["tone_hz"] == pytest.approx(500, abs=1)
        booth.studio.perform(UseAudioMode(HEADPHONES))
        assert await booth.next(AudioOutputs) == AudioOutputs(HEADPHONES, ALL)
        assert speaker(booth) == {"mode": "headphones", "level_dbfs": -100, "tone_hz": None}
        push_a_second(booth, 800)
        await until(lambda: speaker(booth)["tone_hz"], "the tone at the headphones")
        assert speaker(booth)["tone_hz"] == pytest.approx(800, abs=1)
        assert booth.status("audio_mode") == "headphones"


async def test_who_unplugs_the_output_in_use_hears_the_first_that_is_left() -> None:
    async with a_booth() as booth:
        await booth.next(AudioOutputs)
        booth.studio.perform(UseAudioMode(BLUETOOTH))
        await booth.next(AudioOutputs)
        booth.studio.plug(BLUETOOTH, False)
        left = (SPEAKER, EARPIECE, HEADPHONES)
        assert await booth.next(AudioOutputs) == AudioOutputs(SPEAKER, left)
        booth.studio.plug(BLUETOOTH, True)
        assert await booth.next(AudioOutputs) == AudioOutputs(SPEAKER, ALL), "it stays there"


async def test_an_output_that_is_not_there_is_not_used_and_what_is_in_use_is_told() -> None:
    audio = {SPEAKER: Audio("tone", "tone"), EARPIECE: Audio("tone", "tone")}
    async with a_booth(audio=audio) as booth:
        await booth.next(AudioOutputs)
        booth.studio.perform(UseAudioMode(HEADPHONES))
        fault = await booth.next(FaultReported)
        assert (fault.code, fault.where) == ("no_such_output", "audio.headphones")
        assert "speaker, earpiece" in fault.message
        assert await booth.next(AudioOutputs) == AudioOutputs(SPEAKER, (SPEAKER, EARPIECE))
        with pytest.raises(ValueError, match="no headphones"):
            booth.studio.plug(HEADPHONES, True)


async def test_outputs_of_a_real_board_are_not_plugged_by_hand() -> None:
    class Fixed:
        """Outputs that are as they are."""

        def present(self) -> frozenset[AudioMode]:
            return frozenset()

        def watch(self, changed: Callable[[], None]) -> None: ...
        def close(self) -> None: ...
        def use(self, mode: AudioMode) -> None: ...
        def sink(self, mode: AudioMode) -> None: ...
        def source(self, mode: AudioMode) -> None: ...

    async with a_booth(devices=Devices(outputs=Fixed())) as booth:  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="not simulated"):
            booth.studio.plug(SPEAKER, True)


async def test_the_microphone_of_the_output_is_heard_without_a_gap() -> None:
    """The headphones' microphone is a silent one here, so that the two can be told apart."""
    audio = {SPEAKER: Audio("tone", "tone"), HEADPHONES: Audio("tone", "silence")}
    async with a_booth(audio=audio) as booth, Stranger() as alice:
        booth.studio.perform(StartCapture(video=False))
        offer = await alice.call(video=None)
        booth.studio.perform(OpenPeer(ALICE, CallType.AUDIO, offer))
        await alice.take((await booth.next(PeerAnswered)).description)
        await booth.next(PeerConnected)
        await until(lambda: dominant_hz(alice.sound), "the loudspeaker's microphone")
        packets: list[Packet] = []
        (track,) = booth.equipment.audio._tracks
        push = track.push
        track.push = lambda packet: (packets.append(packet), push(packet))[1]  # type: ignore[method-assign, func-returns-value]
        booth.studio.perform(UseAudioMode(HEADPHONES))
        await until(lambda: len(alice.sound) and level_dbfs(alice.sound[-9600:]) < -80, "the other")
        booth.studio.perform(UseAudioMode(SPEAKER))
        await until(lambda: level_dbfs(alice.sound[-9600:]) > -30, "the first again")
        times = [packet.pts or 0 for packet in packets]
        assert {later - earlier for earlier, later in pairwise(times)} == {960}
        assert booth.all(DeviceFailed) == []


async def test_volume_belongs_to_an_output_and_scales_what_it_plays() -> None:
    async with a_booth(volumes={HEADPHONES: 50}) as booth:
        assert booth.status("volume_percent") == 100
        push_a_second(booth)
        full = speaker(booth)["level_dbfs"]
        booth.studio.perform(SetVolume(SPEAKER, 40))
        assert booth.status("volume_percent") == 40
        push_a_second(booth)
        assert isinstance(full, float)
        expected = full + 20 * np.log10(gain(40))
        assert speaker(booth)["level_dbfs"] == pytest.approx(expected, abs=0.2)
        booth.studio.perform(UseAudioMode(HEADPHONES))
        assert booth.status("volume_percent") == 50
        booth.studio.perform(SetVolume(SPEAKER, 10))
        assert booth.status("volume_percent") == 50, "it was another's"


async def test_what_is_told_before_anything_is_loaded_is_done_afterwards() -> None:
    reports: list[object] = []
    studio = Studio(
        SMALL,
        BOTH,
        EVERY,
        reports.append,
    )
    async with studio:
        studio.perform(SetVolume(EARPIECE, 30))
        studio.perform(UseAudioMode(EARPIECE))
        assert studio.status()["audio_mode"] == "speaker"
        await studio.load()
        assert studio.status()["audio_mode"] == "earpiece"
        assert studio.status()["volume_percent"] == 30
    assert reports == [AudioOutputs(SPEAKER, ALL), AudioOutputs(EARPIECE, ALL)]


# -------------------- its own picture


async def test_a_snapshot_is_a_jpeg_of_what_the_camera_in_use_sees() -> None:
    async with a_booth() as booth:
        assert await booth.studio.snapshot() is None, "the camera is closed"
        booth.studio.perform(SwitchCamera(REAR))
        booth.studio.perform(StartCapture(video=True))
        await until(lambda: booth.equipment.video.source, "the camera")
        data = await booth.studio.snapshot()
        assert data is not None
        decoder = av.CodecContext.create("mjpeg", "r")
        (picture,) = decoder.decode(av.Packet(data))
        assert read_facing(picture) is REAR
        assert read_counter(picture) is not None
        booth.studio.perform(OpenCamera(on=False))
        assert await booth.studio.snapshot() is None, "it is paused"


async def test_the_screen_gets_the_own_picture_when_it_asks_and_no_second_encode() -> None:
    camera = Counting(320, 180, 25, 300)
    async with a_booth(devices=Devices(camera=camera)) as booth:
        frames = booth.studio.own_frames(50)
        assert await anext(frames) is None
        booth.studio.perform(StartCapture(video=True))
        await until(lambda: booth.equipment.video.source, "the camera")
        seen = [await anext(frames) for _ in range(5)]
        assert [frame.shape for frame in seen if frame is not None] == 5 * [(180, 320, 3)]
        booth.studio.perform(OpenCamera(on=False))
        assert await anext(frames) is None
        await frames.aclose()  # type: ignore[attr-defined]
