"""What any camera with its encoder does, whatever is behind it: a bench with `source` runs these bodies.

A bench is a subclass with a fixture `source`; see test_camera.py for the test card, picamera2 on its
stand-ins, and a real camera.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import av
import pytest
from av.video.frame import VideoFrame

from appliance.media.base import AccessUnit, SourceFailed, VideoSource, Viewfinder
from appliance.media.encoding import h264_level

PATIENCE_S = 30
UNDER_WAY = 8
"""Pictures that may have been taken before a wish was known."""

SLICE, IDR, SPS, PPS = 1, 5, 7, 8


def nal_units(unit: AccessUnit) -> list[bytes]:
    """Without start codes (ITU-T H.264, annex B)."""
    return [part.rstrip(b"\x00") for part in unit.data.split(b"\x00\x00\x01")[1:]]


def kinds(unit: AccessUnit) -> list[int]:
    return [nal[0] & 0x1F for nal in nal_units(unit)]


def sps_of(unit: AccessUnit) -> bytes:
    return next(nal for nal in nal_units(unit) if nal[0] & 0x1F == SPS)


class Film:
    """A source that runs, and what it gives."""

    def __init__(self, source: VideoSource) -> None:
        self.source = source
        self.units: queue.Queue[AccessUnit] = queue.Queue()
        self.failures: queue.Queue[SourceFailed] = queue.Queue()
        source.start(self.units.put, self.failures.put)

    def take(self, count: int = 1) -> list[AccessUnit]:
        return [self.units.get(timeout=PATIENCE_S) for _ in range(count)]

    def until(self, suits: Callable[[AccessUnit], bool], limit: int = 1000) -> list[AccessUnit]:
        """What comes, up to the first that suits."""
        taken = self.take()
        while not suits(taken[-1]):
            assert len(taken) < limit, "it never comes"
            taken += self.take()
        return taken

    def rested(self) -> None:
        """Wait until nothing has come for a time in which several pictures would have."""
        for _ in range(20):
            try:
                self.units.get(timeout=0.4)
            except queue.Empty:
                return
        raise AssertionError("pictures go on coming")

    def failure(self) -> SourceFailed:
        return self.failures.get(timeout=PATIENCE_S)


def decoded(units: list[AccessUnit]) -> list[VideoFrame]:
    """What a decoder that knows nothing else makes of them."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit.data))]
    return [*frames, *decoder.decode(None)]


class VideoSourceContract:
    """One encode for everybody: access units in order, each as soon as it is taken; 30 a second."""

    low_kbps = 25
    """So little that it shows in what the source films."""
    repeats = False
    """Who wants a keyframe gets the latest picture once more."""

    @pytest.fixture
    def source(self) -> VideoSource:
        raise NotImplementedError

    @pytest.fixture
    def film(self, source: VideoSource) -> Iterator[Film]:
        film = Film(source)
        yield film
        source.stop()
        assert film.failures.empty(), film.failures.get_nowait()

    def test_it_begins_with_a_keyframe_and_time_goes_on_by_the_monotonic_clock(
        self, film: Film
    ) -> None:
        taken = film.take(10)
        now_s = time.monotonic()
        assert taken[0].keyframe
        assert all(earlier.pts_us < later.pts_us for earlier, later in pairwise(taken))
        assert -0.1 < now_s - taken[-1].pts_us / 1e6 < 10, "when it was taken, not since when"

    def test_each_unit_is_one_picture_of_the_size_that_it_tells(self, film: Film) -> None:
        taken = film.take(12)
        frames = decoded(taken)
        assert len(frames) == len(taken)
        assert {(frame.width, frame.height) for frame in frames} == {
            (film.source.width, film.source.height)
        }
        assert frames[0].key_frame

    def test_it_is_constrained_baseline_of_the_lowest_level_that_will_do(self, film: Film) -> None:
        first = film.take()[0]
        profile, constraints, level = sps_of(first)[1:4]
        assert profile == 66, "baseline"
        assert constraints & 0x40, "constraint_set1: what main-profile decoders take too"
        source = film.source
        name = h264_level(source.width, source.height, source.framerate)
        assert level == int(name.replace(".", ""))

    def test_parameter_sets_come_with_each_keyframe_and_nowhere_else(self, film: Film) -> None:
        taken = film.take(3)
        film.source.request_keyframe()
        taken += film.until(lambda unit: unit.keyframe)
        assert len([unit for unit in taken if unit.keyframe]) == 2
        for unit in taken:
            has = set(kinds(unit))
            if unit.keyframe:
                assert {SPS, PPS, IDR} <= has
            else:
                assert SLICE in has
                assert not {SPS, PPS, IDR} & has

    def test_a_keyframe_comes_when_it_is_asked_for_and_not_before(self, film: Film) -> None:
        assert [unit.keyframe for unit in film.take(20)] == [True] + 19 * [False]
        film.source.request_keyframe()
        film.source.request_keyframe()
        asked = film.until(lambda unit: unit.keyframe, UNDER_WAY)
        assert decoded(asked[-1:])[0].key_frame, "who joins can begin with it"
        assert not any(unit.keyframe for unit in film.take(5)), "asked twice at once, made once"

    def test_who_wants_a_keyframe_between_two_pictures_need_not_wait_for_the_next(
        self, film: Film
    ) -> None:
        """Where the picture is still there. A busy machine asks too late; it asks again."""
        last = film.take(3)[-1]
        for _ in range(100):
            film.source.request_keyframe()
            *_, before, asked = [last, *film.until(lambda unit: unit.keyframe, UNDER_WAY)]
            passed_s = (asked.pts_us - before.pts_us) / 1e6
            assert passed_s > 0
            last, *_ = following = film.take(UNDER_WAY)
            assert not any(unit.keyframe for unit in following)
            assert last.pts_us > asked.pts_us, "the next picture comes as ever"
            frames = decoded([asked, *following])
            assert len(frames) == 1 + UNDER_WAY
            last = following[-1]
            if not self.repeats or passed_s < 0.25 / film.source.framerate:
                return
        raise AssertionError("it always waits")

    def test_resting_it_gives_nothing_and_goes_on_with_a_keyframe(self, film: Film) -> None:
        last = film.take(3)[-1]
        film.source.rest(True)
        film.rested()
        film.source.rest(False)
        first = film.take()[0]
        assert first.keyframe
        assert first.pts_us > last.pts_us

    def test_less_bitrate_makes_less_of_it(self, film: Film) -> None:
        """A second each, keyframes left out; the first half second after the change is not counted."""

        def weight() -> int:
            film.take(15)
            return sum(len(unit.data) for unit in film.take(30) if not unit.keyframe)

        full = weight()
        film.source.set_bitrate(self.low_kbps)
        assert weight() < 0.8 * full
        film.source.set_bitrate(1_000_000)
        film.take(3)

    def test_it_can_be_stopped_twice_and_started_again(self, source: VideoSource) -> None:
        for _ in range(2):
            film = Film(source)
            assert film.take()[0].keyframe
            source.stop()
            source.stop()
            while not film.units.empty():
                film.units.get_nowait()
            time.sleep(0.1)  # what would come would come now
            assert film.units.empty(), "nothing is delivered once it is stopped"
            assert film.failures.empty()

    def test_anybody_may_ask_at_any_time(self, source: VideoSource) -> None:
        """Also before it runs, and after."""
        done = threading.Event()

        def ask() -> None:
            while not done.wait(0.001):
                source.request_keyframe()
                source.set_bitrate(200)
                source.rest(False)

        askers = [threading.Thread(target=ask) for _ in range(3)]
        for asker in askers:
            asker.start()
        film = Film(source)
        taken = film.take(10)
        source.stop()
        done.set()
        for asker in askers:
            asker.join()
        assert len(decoded(taken)) == 10

    def test_fewer_pictures_a_second_where_the_way_is_narrow(self, film: Film) -> None:
        film.take(3)
        film.source.set_framerate(5)
        assert film.source.framerate == 5
        film.take(UNDER_WAY)
        taken = film.take(5)
        gaps = [(later.pts_us - earlier.pts_us) / 1e6 for earlier, later in pairwise(taken)]
        assert min(gaps) > 0.1, "0.2 on the average"
        assert sum(gaps) / len(gaps) > 0.17
        film.source.set_framerate(10_000)
        assert film.source.framerate == 30, "never more than was configured"
        faster = film.take(UNDER_WAY + 10)[-10:]
        assert faster[-1].pts_us - faster[0].pts_us < taken[-1].pts_us - taken[0].pts_us

    def test_a_smaller_picture_begins_with_a_keyframe_of_its_own(self, film: Film) -> None:
        width, height = film.source.width, film.source.height
        taken = film.take(2)
        sets = [sps_of(taken[0])]
        for divisor in (2, 4, 1):
            size = width // divisor & ~1, height // divisor & ~1
            film.source.set_scale(divisor)
            taken += film.until(lambda unit: unit.keyframe and sps_of(unit) != sets[-1])
            sets.append(sps_of(taken[-1]))
            assert (film.source.width, film.source.height) == size
            taken += film.take(2)
        frames = decoded(taken)
        assert len(frames) == len(taken)
        sizes = [(frame.width, frame.height) for frame in frames if frame.key_frame]
        assert sizes[0] == sizes[-1] == (width, height)
        assert {(width // 2 & ~1, height // 2 & ~1), (width // 4 & ~1, height // 4 & ~1)} < set(
            sizes
        )
        assert all(earlier.pts_us < later.pts_us for earlier, later in pairwise(taken))

    def test_each_start_begins_as_configured(self, source: VideoSource) -> None:
        whole = source.width
        Film(source).take()
        source.set_scale(4)
        source.set_framerate(3)
        source.stop()
        film = Film(source)
        film.take(3)
        assert (source.width, source.framerate) == (whole, 30)
        source.stop()


class ViewfinderContract:
    """Of a source whose pictures can be had before they are encoded, too."""

    @pytest.fixture
    def source(self) -> VideoSource:
        raise NotImplementedError

    def test_who_looks_sees_the_picture_while_it_runs(self, source: VideoSource) -> None:
        assert isinstance(source, Viewfinder)
        assert source.frame() is None
        assert source.picture() is None
        film = Film(source)
        film.take(2)
        frame, picture = source.frame(), source.picture()
        assert frame is not None
        height, width, colours = frame.shape
        assert colours == 3
        assert width / height == pytest.approx(source.width / source.height, rel=0.02)
        assert picture is not None
        assert picture.startswith(b"\xff\xd8\xff")
        source.rest(True)
        assert source.frame() is None, "paused is private"
        source.stop()
        assert source.picture() is None
