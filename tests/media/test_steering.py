"""From reports to how a source encodes, on a clock that the test turns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from appliance.media.base import AccessUnit, SourceFailed
from appliance.media.fanout import VideoFanout
from appliance.media.feedback import Feedback
from appliance.media.governor import Cause
from appliance.media.link import Report
from appliance.media.sending import Packet
from appliance.media.steering import REFRESH_S, Steering
from appliance.media.tracks import VideoTrack

CEILING = 1500


class Camera:
    """A source that does what it is told."""

    encoder = "software"

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.start(print, print)

    def start(
        self, deliver: Callable[[AccessUnit], None], failed: Callable[[SourceFailed], None]
    ) -> None:
        self.width, self.height, self.framerate, self.kbps = 1280, 720, 30, CEILING

    def stop(self) -> None: ...
    def rest(self, resting: bool, /) -> None: ...
    def request_keyframe(self) -> None: ...

    def set_bitrate(self, kbps: int) -> None:
        self.kbps = kbps
        self.told.append(("kbps", kbps))

    def set_framerate(self, fps: int) -> None:
        self.framerate = fps
        self.told.append(("fps", fps))

    def set_scale(self, divisor: int) -> None:
        self.width, self.height = 1280 // divisor, 720 // divisor
        self.told.append(("scale", divisor))


class Scene:
    """A camera, and peers whose reports the test writes."""

    def __init__(self) -> None:
        self.fanout = VideoFanout()
        self.camera = Camera()
        self.recording = False
        self.steering = Steering(self.fanout, CEILING, lambda: self.recording)
        self.now_s = 100.0
        self.fanout.attach(self.camera)

    def peer(self) -> VideoTrack:
        track = self.fanout.track()
        track.feedback = Feedback()
        self.fanout.join(track)
        return track

    def pass_time(self, seconds: float, **loss: tuple[VideoTrack, float]) -> None:
        """Each of these peers reports so much loss, once a second."""
        for half in range(round(2 * seconds)):
            self.now_s += 0.5
            for track, lost in loss.values():
                if half % 2 and track.feedback is not None:
                    track.feedback.unread.append(Report(self.now_s, lost, 0.02))
            self.steering.look(self.now_s)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    yield scene
    for track in scene.fanout.tracks:
        track.stop()
        scene.fanout.leave(track)
    scene.fanout.detach()


async def test_while_all_is_well_the_source_is_told_nothing(scene: Scene) -> None:
    alice = scene.peer()
    scene.pass_time(20, alice=(alice, 0.0))
    assert scene.camera.told == []


async def test_on_a_narrow_way_pictures_become_fewer_and_then_smaller(scene: Scene) -> None:
    alice = scene.peer()
    scene.pass_time(30, alice=(alice, 0.3))
    assert (scene.camera.kbps, scene.camera.framerate) == (100, 10)
    assert (scene.camera.width, scene.camera.height) == (320, 180)
    kbps = [value for what, value in scene.camera.told if what == "kbps"]
    assert kbps == sorted(kbps, reverse=True)
    rates = [value for what, value in scene.camera.told if what == "fps"]
    scales = [value for what, value in scene.camera.told if what == "scale"]
    first = min(n for n, (what, _) in enumerate(scene.camera.told) if what == "scale")
    assert rates[0] < 30
    assert ("fps", rates[0]) in scene.camera.told[:first], "fewer, first"
    assert scales == [2, 4]
    scene.pass_time(120, alice=(alice, 0.0))
    assert (scene.camera.kbps, scene.camera.framerate, scene.camera.width) == (CEILING, 30, 1280)


async def test_when_the_last_has_gone_the_next_begins_as_configured(scene: Scene) -> None:
    alice = scene.peer()
    scene.pass_time(30, alice=(alice, 0.3))
    scene.fanout.leave(alice)
    scene.pass_time(0.5)
    assert (scene.camera.kbps, scene.camera.framerate, scene.camera.width) == (CEILING, 30, 1280)
    assert not alice.keyframes_only


async def test_a_source_that_takes_over_or_is_started_again_is_told_at_once(scene: Scene) -> None:
    alice = scene.peer()
    scene.pass_time(10, alice=(alice, 0.3))
    before = scene.camera.kbps, scene.camera.framerate, scene.camera.width
    assert before[0] < 700
    other = Camera()
    scene.fanout.attach(other)
    scene.pass_time(0.5)
    assert (other.kbps, other.framerate, other.width) == before
    scene.fanout.detach()
    other.start(print, print)
    scene.fanout.attach(other)
    assert other.kbps == CEILING, "each start begins as configured"
    scene.pass_time(0.5)
    assert (other.kbps, other.framerate, other.width) == before


async def test_while_it_is_recorded_the_size_stays_that_of_the_file(scene: Scene) -> None:
    alice = scene.peer()
    scene.recording = True
    scene.pass_time(30, alice=(alice, 0.3))
    assert (scene.camera.kbps, scene.camera.framerate, scene.camera.width) == (100, 10, 1280)
    scene.recording = False
    scene.pass_time(0.5, alice=(alice, 0.3))
    assert scene.camera.width == 320
    scene.recording = True
    other = Camera()
    scene.fanout.attach(other)
    scene.pass_time(90, alice=(alice, 0.0))
    assert (other.kbps, other.width) == (CEILING, 320), "also that of another camera"


async def test_who_is_left_behind_gets_keyframes_and_the_others_everything(scene: Scene) -> None:
    alice, bob = scene.peer(), scene.peer()
    scene.pass_time(20, alice=(alice, 0.0), bob=(bob, 0.4))
    assert (alice.keyframes_only, bob.keyframes_only) == (False, True)
    assert scene.camera.kbps == CEILING
    asked = scene.fanout.governor.wishes[Cause.REFRESH]
    scene.pass_time(3 * REFRESH_S, alice=(alice, 0.0), bob=(bob, 0.4))
    assert scene.fanout.governor.wishes[Cause.REFRESH] - asked == 3

    def give(*, keyframe: bool) -> None:
        scene.now_s += 0.03
        scene.fanout.deliver(AccessUnit(b"", round(scene.now_s * 1e6), keyframe))

    for keyframe in (True, False, False, True):
        give(keyframe=keyframe)
    assert [len(track._queue) for track in (alice, bob)] == [4, 2]
    scene.pass_time(30, alice=(alice, 0.0), bob=(bob, 0.0))
    assert not bob.keyframes_only
    give(keyframe=False)
    assert len(bob._queue) == 2, "it goes on with a keyframe"
    packets: list[Packet] = list(bob._queue)
    give(keyframe=True)
    give(keyframe=False)
    assert len(bob._queue) == len(packets) + 2


async def test_what_the_status_tells(scene: Scene) -> None:
    alice = scene.peer()
    assert alice.feedback is not None
    unknown = scene.steering.link(alice)
    assert unknown["rtt_ms"] is unknown["loss_percent"] is unknown["estimate_kbps"] is None
    alice.feedback.rtt_s, alice.feedback.fraction_lost, alice.feedback.jitter_s = (
        0.0312,
        0.125,
        0.01,
    )
    scene.pass_time(10, alice=(alice, 0.2))
    assert scene.steering.sent() == {
        "width": scene.camera.width,
        "height": scene.camera.height,
        "framerate": scene.camera.framerate,
        "kbps": scene.camera.kbps,
    }
    link = scene.steering.link(alice)
    assert (link["rtt_ms"], link["loss_percent"], link["jitter_ms"]) == (31.2, 12.5, 10.0)
    assert link["keyframes_only"] is False
    assert isinstance(link["estimate_kbps"], int)
    assert link["estimate_kbps"] < 700
    scene.fanout.detach()
    assert scene.steering.sent() is None


async def test_a_device_under_pressure_takes_fewer_pictures_until_it_is_eased(scene: Scene) -> None:
    scene.pass_time(1)
    scene.fanout.framerate_limit = 10
    scene.pass_time(1)
    assert scene.camera.told == [("fps", 10)]
    rear = Camera()
    scene.fanout.attach(rear)
    scene.pass_time(1)
    assert rear.framerate == 10, "and so does the other one"
    scene.fanout.framerate_limit = None
    scene.pass_time(1)
    assert rear.framerate == 30


async def test_what_the_ways_bear_still_counts_under_pressure(scene: Scene) -> None:
    alice = scene.peer()
    scene.pass_time(30, alice=(alice, 0.3))
    slower = scene.camera.framerate
    scene.fanout.framerate_limit = 15
    scene.pass_time(1, alice=(alice, 0.3))
    assert scene.camera.framerate == slower <= 15
