"""Whether what was cut off can be played: told as players see it, at each length of a real file."""

from __future__ import annotations

import io

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media.base import AccessUnit
from appliance.media.boxes import boxes, can_be_played
from tests.media.test_movie import begin, looks, units, write

__all__ = ["units"]


@pytest.fixture(scope="module")
def cut_off(units: list[AccessUnit], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What the disk has of a recording of two seconds that nobody closed."""
    path = tmp_path_factory.mktemp("film") / "cut.mp4"
    file, movie = begin(path, looks(units))
    for _ in write(file, movie, units, 2.0):
        pass
    data = path.read_bytes()
    movie.close()
    file.close()
    assert can_be_played(io.BytesIO(path.read_bytes()))
    return data


def plays(data: bytes) -> bool:
    """Whether a player finds sound or pictures in it."""
    try:
        with av.open(io.BytesIO(data), "r") as film:
            return any(packet.size for packet in film.demux())
    except av.FFmpegError:
        return False


def test_what_a_player_gets_anything_of_can_be_played(cut_off: bytes) -> None:
    told = []
    for length in (0, 1, 7, 8, 28, 72, *range(80, len(cut_off), 397), len(cut_off)):
        said = can_be_played(io.BytesIO(cut_off[:length]))
        assert said or not plays(cut_off[:length]), length
        told.append(said)
    assert told == sorted(told), "from its moov on"
    assert set(told) == {True, False}


def test_what_is_no_file_of_ours_cannot_be_played(cut_off: bytes) -> None:
    for data in (
        b"",
        bytes(100_000),
        b"no film at all, and long enough",
        cut_off[:72] + bytes(5000),
    ):
        assert not can_be_played(io.BytesIO(data))
        assert not plays(data)


def test_a_box_that_is_cut_off_says_so(cut_off: bytes) -> None:
    there = [*boxes(io.BytesIO(cut_off))]
    assert [kind for kind, _ in there][:5] == [b"ftyp", b"free", b"free", b"moov", b"mdat"]
    assert all(whole for _, whole in there)
    assert [*boxes(io.BytesIO(cut_off[:-1]))] == [*there[:-1], (there[-1][0], False)]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"\0\0\0\1moov" + (20).to_bytes(8), bytes(4)),
        (b"\0\0\0\0moov", bytes(4)),
    ],
    ids=["its length in eight bytes", "up to the end"],
)
def test_lengths_of_other_kinds(head: bytes, body: bytes) -> None:
    assert can_be_played(io.BytesIO(head + body))


@pytest.mark.parametrize("size", [2, 7])
def test_a_length_that_is_none_ends_it(size: int) -> None:
    assert [*boxes(io.BytesIO(size.to_bytes(4) + b"moov" + bytes(90)))] == []


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_whatever_it_is_it_comes_to_an_end(first: bytes, more: bytes) -> None:
    sized = (len(first) + 8).to_bytes(4) + b"free" + first
    for data in (first, sized + more):
        there = [*boxes(io.BytesIO(data))]
        assert 8 * (len(there) - 1) <= len(data), "each has a head"
        assert all(whole for _, whole in there[:-1]), "only the last is cut off"
