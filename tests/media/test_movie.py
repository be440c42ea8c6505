"""The file, read back with PyAV: closed, cut off, and where the disk fails in the middle."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from appliance.media.annexb import parameter_sets
from appliance.media.base import SILENT_FRAME, AccessUnit, PictureFormat
from appliance.media.boxes import can_be_played
from appliance.media.card import Card
from appliance.media.encoding import H264Encoder
from appliance.media.movie import FRAGMENT_S, Growing, Movie
from appliance.whole_file import sync_folder
from tests.media.reading import Read, read
from tests.parts.need import program
from tests.parts.powercut import instants
from tests.parts.writes import recorded

FPS = 25
FRAMES = [
    frame.tobytes()
    for frame in (8000 * np.sin(np.arange(48_000) * 2 * np.pi * 440 / 48_000))
    .astype("<i2")
    .reshape(50, 960)
]


@pytest.fixture(scope="module")
def units() -> list[AccessUnit]:
    """Four seconds of the test card."""
    encoder, card = H264Encoder(320, 180, FPS, 300), Card(320, 180)
    return [
        encoder.encode(card.draw(n, "12:00:00", n / FPS), n * 1_000_000 // FPS) for n in range(100)
    ]


def looks(units: list[AccessUnit]) -> PictureFormat:
    return PictureFormat(320, 180, FPS, parameter_sets(units[0].data))


def begin(path: Path, pictures: PictureFormat | None) -> tuple[Growing, Movie]:
    file = Growing(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), str(path))
    return file, Movie(file, pictures)


def write(file: Growing, movie: Movie, units: list[AccessUnit], seconds: float) -> Iterator[float]:
    """Sound and pictures in their order; the time after each 20 ms."""
    ends = [*(unit.pts_us for unit in units[1:]), 4_000_000]
    left = [(unit, unit.pts_us, end - unit.pts_us) for unit, end in zip(units, ends, strict=False)]
    for number in range(round(seconds * 50)):
        while left and left[0][1] < (number + 1) * 20_000:
            movie.picture(*left.pop(0))
        movie.sound(FRAMES[number % 50], number)
        file.sync()
        yield (number + 1) * 0.02


def whole(file: Growing, movie: Movie, units: list[AccessUnit], seconds: float) -> None:
    for _ in write(file, movie, units, seconds):
        pass


def check(found: Read, seconds: float) -> None:
    assert found.duration_s == pytest.approx(seconds, abs=2 / FPS)
    assert found.numbers == sorted(set(found.numbers)), "the counter rises"
    assert found.tone_hz() == pytest.approx(440, abs=1)


def test_a_file_that_was_closed_has_every_picture_and_all_the_sound(
    tmp_path: Path, units: list[AccessUnit]
) -> None:
    file, movie = begin(tmp_path / "closed.mp4", looks(units))
    whole(file, movie, units, 4)
    movie.close()
    size = file.close()
    assert size == (tmp_path / "closed.mp4").stat().st_size
    found = read(tmp_path / "closed.mp4")
    check(found, 4.0)
    assert found.numbers == list(range(100))
    assert found.picture_times_s == pytest.approx([n / FPS for n in range(100)], abs=0.01)
    assert b"moof" not in (tmp_path / "closed.mp4").read_bytes()[:200], "one plain file"


def test_a_file_that_was_cut_off_plays_up_to_its_last_half_second(
    tmp_path: Path, units: list[AccessUnit]
) -> None:
    """At whatever moment: what is on the disk is looked at after every 20 ms."""
    path = tmp_path / "cut.mp4"
    file, movie = begin(path, looks(units))
    for at_s in write(file, movie, units, 4):
        if at_s >= 1 and round(at_s * 50) % 7 == 0:
            shutil.copy(path, tmp_path / "copy.mp4")
            found = read(tmp_path / "copy.mp4")
            assert at_s - FRAGMENT_S - 0.05 <= found.duration_s <= at_s + 0.05
            assert found.numbers == list(range(len(found.numbers)))
            assert len(found.numbers) >= (at_s - FRAGMENT_S - 0.05) * FPS - 1
    movie.close()
    file.close()


def test_a_pause_of_the_pictures_is_one_in_the_file_and_stops_no_fragment(
    tmp_path: Path, units: list[AccessUnit]
) -> None:
    path = tmp_path / "paused.mp4"
    file, movie = begin(path, looks(units))
    sizes = set()
    for at_s in write(file, movie, units[:25] + units[75:], 4):
        if 1.5 < at_s < 2.9:
            sizes.add(file.size)
    assert len(sizes) >= 3, "the sound goes on to the disk"
    movie.close()
    file.close()
    found = read(path)
    assert found.duration_s == pytest.approx(4, abs=0.1)
    assert [found.picture_times_s[at] for at in (24, 25)] == pytest.approx([24 / 25, 3], abs=0.02)


def test_sound_alone_is_a_file_too(tmp_path: Path) -> None:
    file, movie = begin(tmp_path / "sound.mp4", None)
    movie.picture(AccessUnit(b"", 0, keyframe=True), 0, 1)
    whole(file, movie, [], 1.5)
    movie.close()
    file.close()
    found = read(tmp_path / "sound.mp4")
    assert found.duration_s == pytest.approx(1.5, abs=0.05)
    assert found.numbers == []
    assert found.tone_hz() == pytest.approx(440, abs=1)


def test_nothing_at_all_can_be_opened(tmp_path: Path) -> None:
    file, movie = begin(tmp_path / "empty.mp4", None)
    movie.close()
    assert file.close() > 0
    with av.open(str(tmp_path / "empty.mp4")) as found:
        assert [stream.type for stream in found.streams] == ["audio"]


class Failing(Growing):
    """A disk that has room for so many bytes."""

    room = 40_000

    def write(self, data: bytes) -> int:
        if self.fault is None:
            self.room -= len(data)
            if self.room < 0:
                super().write(data[: len(data) // 2])  # as write(2) does
                self.fault = OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("room", range(20_000, 90_000, 14_000))
def test_a_disk_that_is_full_leaves_a_file_that_plays(
    tmp_path: Path, units: list[AccessUnit], room: int
) -> None:
    path = tmp_path / "full.mp4"
    file = Failing(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), str(path))
    file.room = room
    movie = Movie(file, looks(units))
    reached_s = 0.0
    with pytest.raises(OSError, match="No space"):  # noqa: PT012 - at whatever step it is
        for at_s in write(file, movie, units, 4):
            reached_s = at_s
        movie.close()
    if reached_s < 4:
        with pytest.raises(OSError, match="No space"):
            movie.close()
    file.close()
    found = read(path)
    assert found.duration_s >= reached_s - FRAGMENT_S - 0.1
    assert found.numbers == list(range(len(found.numbers)))


@pytest.mark.parametrize("closed", [True, False])
def test_another_program_finds_nothing_wrong(
    tmp_path: Path, units: list[AccessUnit], closed: bool
) -> None:
    path = tmp_path / "other.mp4"
    file, movie = begin(path, looks(units))
    whole(file, movie, units, 4)
    shutil.copy(path, tmp_path / "cut.mp4")
    movie.close()
    file.close()
    probe = "-v error -count_packets -show_entries stream=codec_name -of csv=p=0"
    done = subprocess.run(
        [
            program("ffprobe", "ffmpeg"),
            *probe.split(),
            str(path if closed else tmp_path / "cut.mp4"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["h264", "opus"]
    assert done.stderr == ""


def test_silence_costs_little(tmp_path: Path) -> None:
    file, movie = begin(tmp_path / "silence.mp4", None)
    for number in range(500):
        movie.sound(SILENT_FRAME, number)
    movie.close()
    assert file.close() < 20_000


def packets(path: Path) -> list[tuple[str, float, bytes]]:
    """What is in it, with its time in s, as far as it can be read; nothing where it is no film."""
    found: list[tuple[str, float, bytes]] = []
    with contextlib.suppress(av.FFmpegError), av.open(str(path)) as film:
        for packet in film.demux():
            if packet.size and packet.pts is not None and packet.time_base is not None:
                at_s = round(float(packet.pts * packet.time_base), 2)
                found.append((packet.stream.type, at_s, bytes(packet)))
    return found


def test_whenever_power_is_cut_it_plays_as_far_as_it_was_synced(
    tmp_path: Path, units: list[AccessUnit]
) -> None:
    """Also while it is turned into a plain file, on a disk that does not keep the order of its writes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with recorded(folder) as record:
        file, movie = begin(folder / "cut.mp4", looks(units))
        sync_folder(folder)
        for at_s in write(file, movie, units, 1.3):
            record.told(at_s - FRAGMENT_S - 0.05)
        movie.close()
        file.close()
        record.told(1.3)
    everything = packets(folder / "cut.mp4")
    ends = 0
    for instant in instants(record, many=40):
        synced_s = max([0.0, *instant.told])
        for left in instant.left:
            if "cut.mp4" in left.files:
                (tmp_path / "left.mp4").write_bytes(left.files["cut.mp4"][0])
                if synced_s > 0.02:  # then it is kept when the daemon starts
                    assert can_be_played(io.BytesIO(left.files["cut.mp4"][0]))
                there = {*packets(tmp_path / "left.mp4")}
                gone = [
                    at_s
                    for kind, at_s, data in everything
                    if at_s < synced_s - 0.02 and (kind, at_s, data) not in there
                ]
                assert gone == [], f"of {synced_s} s"
                ends += synced_s > 0.7
    assert ends > 10
