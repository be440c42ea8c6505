"""One source, many tracks: who gets what, what is kept while nobody looks, who asks for keyframes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from aiortc.mediastreams import MediaStreamError

from appliance.media.annexb import parameter_sets
from appliance.media.base import FRAME_SAMPLES, AccessUnit, SourceFailed
from appliance.media.capture import LiveCamera
from appliance.media.fanout import VIDEO_CLOCK, AudioFanout, VideoFanout
from appliance.media.governor import KEYFRAME_INTERVAL_S, Cause
from appliance.media.latest import FRESH_S
from appliance.media.sending import Packet
from appliance.media.synthetic import CardCamera
from appliance.media.tracks import AudioTrack, PacketTrack, VideoTrack
from tests.media.stranger import Film, Stranger, until
from tests.parts import encoders


class Encoder:
    """A source whose pictures the test makes, and that notes what it is asked for."""

    encoder, width, height, framerate = "software", 320, 180, 30

    def __init__(self) -> None:
        self.requests: list[float] = []
        self.resting = False

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None: ...
    def stop(self) -> None: ...
    def set_bitrate(self, kbps: int) -> None: ...
    def set_framerate(self, fps: int) -> None: ...
    def set_scale(self, divisor: int) -> None: ...

    def rest(self, resting: bool, /) -> None:
        self.resting = resting

    def request_keyframe(self) -> None:
        self.requests.append(asyncio.get_running_loop().time())


class Scene:
    """A fan-out with such a source, 25 pictures a second, at a time that passes with the pictures."""

    def __init__(self) -> None:
        self.encoder = Encoder()
        self.now_s = 0.0
        self.fanout = VideoFanout(lambda: self.now_s)
        self.fanout.attach(self.encoder)
        self.number = 0

    def picture(self, *, keyframe: bool = False) -> None:
        self.now_s += 0.04
        pts_us = round(self.now_s * 1e6)
        self.fanout.deliver(AccessUnit(b"%d" % self.number, pts_us, keyframe))
        self.number += 1

    def pictures(self, count: int) -> str:
        """So many, keyframes where they have been asked for; I for a keyframe, P for none."""
        kinds = ""
        for _ in range(count):
            wanted = not self.number or bool(self.encoder.requests)
            self.encoder.requests.clear()
            self.picture(keyframe=wanted)
            kinds += "I" if wanted else "P"
        return kinds

    def rests(self) -> bool:
        return self.encoder.resting

    def postponed(self) -> bool:
        return self.fanout._postponed is not None

    async def viewer(self) -> tuple[VideoTrack, asyncio.Task[Packet]]:
        """A track that somebody has begun to read."""
        track = self.fanout.track()
        task = asyncio.get_running_loop().create_task(track.recv())
        await asyncio.sleep(0)
        return track, task


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def queued(track: PacketTrack) -> list[str]:
    """What the track has in store."""
    store = []
    while track._queue:
        store.append(bytes(await track.recv()).decode())
    return store


async def shown(viewer: tuple[VideoTrack, asyncio.Task[Packet]]) -> list[str]:
    """What a viewer has got since it joined, without waiting for more; nothing waits for ever."""
    track, reading = viewer
    await asyncio.sleep(0)
    return [bytes(reading.result()).decode(), *await queued(track)] if reading.done() else []


async def test_who_joins_begins_with_the_latest_pictures_and_waits_for_none(scene: Scene) -> None:
    assert scene.pictures(8) == "IPPIPPIP"
    assert not scene.rests()
    track, reading = viewer = await scene.viewer()
    assert scene.encoder.requests == [], "no other is needed"
    scene.picture()
    assert await shown(viewer) == ["6", "7", "8"], "what comes continues from what was kept"
    packet = reading.result()
    assert packet.is_keyframe
    assert (packet.pts, packet.time_base) == (7 * 3600, VIDEO_CLOCK), "when it was taken"
    track.stop()


async def test_a_track_that_nobody_reads_yet_is_nobody_who_looks(scene: Scene) -> None:
    scene.pictures(2)
    track = scene.fanout.track()
    assert scene.pictures(6) == "PIPPIP"
    assert await queued(track) == []
    assert scene.fanout.listeners == 0
    track.stop()


async def test_two_who_join_between_two_pictures_begin_alike(scene: Scene) -> None:
    scene.pictures(2)
    viewers = [await scene.viewer() for _ in range(2)]
    for viewer in viewers:
        assert await shown(viewer) == ["0", "1"]
        viewer[0].stop()


async def test_while_somebody_looks_there_are_no_more_keyframes_and_afterwards_there_are(
    scene: Scene,
) -> None:
    scene.pictures(2)
    track, _ = await scene.viewer()
    assert scene.pictures(6) == 6 * "P"
    track.stop()
    assert scene.pictures(7) == "PIPPIPP", "as soon as one comes that nobody sees"
    viewer = await scene.viewer()
    assert await shown(viewer) == ["12", "13", "14"]
    viewer[0].stop()


async def test_who_joins_while_others_look_gets_a_keyframe_of_its_own(scene: Scene) -> None:
    scene.pictures(2)
    early, _ = await scene.viewer()
    scene.picture()
    late = await scene.viewer()
    assert len(scene.encoder.requests) == 1
    scene.picture()
    assert await shown(late) == [], "what was kept has a gap after it by now"
    scene.picture(keyframe=True)
    assert await shown(late) == ["4"]
    early.stop()
    late[0].stop()


async def test_what_a_stalled_camera_took_long_ago_is_not_shown(scene: Scene) -> None:
    scene.pictures(2)
    scene.now_s += FRESH_S + 0.01
    viewer = await scene.viewer()
    assert len(scene.encoder.requests) == 1
    scene.picture()
    assert await shown(viewer) == []
    scene.picture(keyframe=True)
    assert await shown(viewer) == ["3"]
    viewer[0].stop()


async def test_keyframes_for_what_is_kept_do_not_make_a_viewer_s_own_wait(scene: Scene) -> None:
    assert scene.pictures(20).count("I") == 7, "nor do they wait for one another"
    track, _ = await scene.viewer()
    scene.encoder.requests.clear()
    scene.fanout.request_keyframe(Cause.PLI)
    assert len(scene.encoder.requests) == 1, "at once"
    track.stop()


async def test_paused_the_encoder_rests_and_nothing_is_kept(scene: Scene) -> None:
    scene.pictures(2)
    scene.fanout.pause(True)
    assert scene.rests()
    scene.encoder.requests.clear()
    scene.picture(keyframe=True)  # it was under way
    assert scene.encoder.requests == []
    scene.fanout.pause(False)
    assert not scene.rests()
    viewer = await scene.viewer()
    scene.picture()
    assert await shown(viewer) == [], "neither from before the pause nor from it"
    scene.picture(keyframe=True)
    assert await shown(viewer) == ["4"]
    viewer[0].stop()


async def test_a_source_that_begins_during_a_pause_rests_from_its_first_picture_on() -> None:
    encoder, fanout = Encoder(), VideoFanout()
    fanout.pause(True)
    fanout.attach(encoder)
    assert not encoder.resting
    fanout.deliver(AccessUnit(b"", 0, keyframe=True))
    assert encoder.resting


async def test_a_source_that_is_gone_leaves_no_picture_behind(scene: Scene) -> None:
    scene.pictures(2)
    scene.fanout.detach()
    scene.fanout.attach(scene.encoder)
    track, reading = viewer = await scene.viewer()
    assert await shown(viewer) == []
    track.stop()
    with pytest.raises(MediaStreamError):
        await reading


async def test_another_camera_takes_over_with_its_keyframe_and_time_never_steps_back(
    scene: Scene,
) -> None:
    scene.pictures(1)
    track, reading = await scene.viewer()
    scene.picture()
    await asyncio.sleep(0)
    last = await track.recv()
    other = Encoder()
    scene.fanout.attach(other)
    assert scene.fanout.source is other
    before = round(scene.now_s * 1e6) - 20_000  # taken before the other's last, by the same clock
    scene.fanout.deliver(AccessUnit(b"delta", before - 20_000, keyframe=False))
    scene.fanout.deliver(AccessUnit(b"keyframe", before, keyframe=True))
    first = await track.recv()
    assert bytes(first) == b"keyframe"
    assert 0 < (first.pts or 0) - (last.pts or 0) < 1000
    assert reading.done()
    track.stop()


async def test_each_track_begins_with_a_keyframe(scene: Scene) -> None:
    early, first = await scene.viewer()
    scene.picture(keyframe=True)
    await first
    late, reading = await scene.viewer()
    scene.picture()
    assert await queued(early) == ["1"]
    assert not reading.done()
    scene.picture(keyframe=True)
    scene.picture()
    assert bytes(await reading) == b"2"
    assert await queued(late) == ["3"]
    early.stop()
    late.stop()


async def test_who_reads_too_slowly_goes_on_with_the_next_keyframe(scene: Scene) -> None:
    slow, first = await scene.viewer()
    quick, _ = await scene.viewer()
    scene.picture(keyframe=True)
    await first
    asked = len(scene.encoder.requests)
    for _ in range(VideoTrack.LIMIT):
        scene.picture()
        await queued(quick)
    assert slow.dropped == 0
    scene.picture()
    assert slow.dropped == VideoTrack.LIMIT + 1
    await until(lambda: len(scene.encoder.requests) == asked + 1, "a request")
    scene.picture()
    assert await queued(slow) == [], "not decodable"
    scene.picture(keyframe=True)
    scene.picture()
    keyframe = scene.number - 2
    assert await queued(slow) == [str(keyframe), str(keyframe + 1)]
    assert quick.dropped == 0
    slow.stop()
    quick.stop()


async def test_a_keyframe_that_finds_the_queue_full_is_kept(scene: Scene) -> None:
    slow, first = await scene.viewer()
    scene.picture(keyframe=True)
    await first
    for _ in range(VideoTrack.LIMIT):
        scene.picture()
    scene.picture(keyframe=True)
    assert await queued(slow) == [str(scene.number - 1)]
    slow.stop()


async def test_keyframe_requests_are_served_at_once_and_then_coalesced(scene: Scene) -> None:
    track, first = await scene.viewer()
    scene.picture(keyframe=True)
    await first
    await asyncio.sleep(KEYFRAME_INTERVAL_S)  # the interval itself is what is tested
    scene.encoder.requests.clear()
    scene.fanout.request_keyframe(Cause.PLI)
    assert len(scene.encoder.requests) == 1, "at once"
    for _ in range(10):
        scene.fanout.request_keyframe(Cause.PLI)
    assert len(scene.encoder.requests) == 1
    await until(lambda: len(scene.encoder.requests) == 2, "the second")
    earlier, later = scene.encoder.requests
    assert later - earlier >= KEYFRAME_INTERVAL_S - 0.02
    track.stop()


async def test_a_keyframe_answers_all_who_have_asked_before_it(scene: Scene) -> None:
    track, first = await scene.viewer()
    scene.fanout.request_keyframe(Cause.PLI)
    assert scene.postponed()
    scene.picture(keyframe=True)
    assert not scene.postponed()
    await first
    assert len(scene.encoder.requests) == 1
    track.stop()


async def test_a_pause_lets_nothing_out_not_even_what_is_queued(scene: Scene) -> None:
    track, first = await scene.viewer()
    scene.picture(keyframe=True)
    await first
    scene.picture()
    scene.fanout.pause(True)
    assert scene.rests()
    scene.picture()
    scene.picture(keyframe=True)
    assert await queued(track) == []
    scene.fanout.pause(False)
    assert not scene.rests()
    scene.picture()
    assert await queued(track) == []
    scene.picture(keyframe=True)
    assert await queued(track) == [str(scene.number - 1)]
    track.stop()


async def test_a_source_that_goes_and_comes_back_begins_with_a_keyframe(scene: Scene) -> None:
    track, first = await scene.viewer()
    scene.picture(keyframe=True)
    await first
    scene.picture()
    scene.fanout.detach()
    scene.picture(keyframe=True)
    scene.fanout.request_keyframe(Cause.PLI)
    assert await queued(track) == []
    scene.fanout.attach(scene.encoder)
    scene.picture()
    scene.picture(keyframe=True)
    assert await queued(track) == [str(scene.number - 1)]
    track.stop()


async def test_a_source_that_comes_back_in_the_middle_is_asked_for_a_keyframe(scene: Scene) -> None:
    """It had stalled, and its first picture, that nobody saw, was the keyframe."""
    scene.fanout.detach()
    track, first = await scene.viewer()
    scene.fanout.attach(scene.encoder)
    assert scene.encoder.requests == []
    scene.picture()
    scene.picture()
    assert len(scene.encoder.requests) == 1
    scene.picture(keyframe=True)
    assert (await first).is_keyframe
    scene.picture()
    assert len(scene.encoder.requests) == 1
    track.stop()


async def test_eight_who_look_have_one_encoder_and_a_ninth_makes_none() -> None:
    """By the encoders of video that are made in this process; with real peers it is in `make bench`."""
    loop = asyncio.get_running_loop()
    with encoders.counted() as made:
        fanout, began = VideoFanout(), asyncio.Event()
        live = LiveCamera(CardCamera(320, 180, 15, 300), fanout, began.set)
        tracks: list[VideoTrack] = []

        async def look(track: VideoTrack) -> list[bytes]:
            return [bytes(await track.recv()) for _ in range(6)]

        async def looks(count: int) -> list[list[bytes]]:
            new = [fanout.track() for _ in range(count)]
            tracks.extend(new)
            return await asyncio.gather(*(loop.create_task(look(track)) for track in new))

        await live.open()
        async with asyncio.timeout(30):
            await began.wait()
            seen = await looks(8)
            late = await looks(1)
        assert fanout.listeners == 9
        assert all(one == seen[0] for one in seen), "all of them the same bytes"
        assert parameter_sets(late[0][0]), "from a keyframe on"
        assert made == {"libx264": 1}
        assert await live.close() is None
        for track in tracks:
            track.stop()


async def test_who_sends_pictures_by_aiortc_has_an_encoder_that_is_counted() -> None:
    """The count is no use if it cannot rise."""
    with encoders.counted() as made:
        async with Stranger(bundle=True) as alice, Stranger(bundle=True) as bob:
            answer = await bob.reply_again(await alice.call(audio=False), Film((9, 99, 9)))
            await alice.take(answer)
            await until(lambda: alice.numbers, "a picture")
        assert sum(made.values()) == 1


async def test_a_stopped_track_ends_for_its_reader(scene: Scene) -> None:
    track, reading = await scene.viewer()
    track.stop()
    with pytest.raises(MediaStreamError):
        await reading
    with pytest.raises(MediaStreamError):
        await track.recv()
    assert scene.fanout.listeners == 0, "reading it again does not bring it back"


async def test_sound_goes_to_everybody_and_what_is_too_old_is_dropped() -> None:
    fanout = AudioFanout()
    tracks = [fanout.track(), fanout.track()]
    reading = [asyncio.get_running_loop().create_task(track.recv()) for track in tracks]
    await asyncio.sleep(0)
    assert fanout.listeners == 2
    fanout.deliver(b"first")
    assert [bytes(await packet) for packet in reading] == [b"first", b"first"]
    for number in range(AudioTrack.LIMIT + 2):
        fanout.deliver(b"%d" % number)
    packets = [await tracks[0].recv() for _ in range(AudioTrack.LIMIT)]
    assert [bytes(packet) for packet in packets] == [b"2", b"3", b"4", b"5", b"6"]
    stamps = [packet.pts or 0 for packet in packets]
    steps = {later - earlier for earlier, later in pairwise(stamps)}
    assert steps == {FRAME_SAMPLES}
    assert tracks[0].dropped == 2
    for track in tracks:
        track.stop()
    assert fanout.listeners == 0
