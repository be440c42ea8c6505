"""The test card, and its frame counter through scaling and hard compression."""

from __future__ import annotations

import av
import numpy as np
import pytest

from appliance.media.card import (
    BLOCKS,
    INK,
    Card,
    check_of,
    counter_row,
    read_counter,
    read_facing,
)
from appliance.media.encoding import H264Encoder
from appliance.model import CameraFacing


def test_the_counter_is_what_its_documentation_says() -> None:
    row = counter_row(1, 320)
    bits = [int(row[10 * block + 5] > 128) for block in range(BLOCKS)]
    assert bits == [0] * 23 + [1] + [0, 0, 1, 0, 1, 1, 0, 0], "most significant first; check 0x2C"
    assert check_of(1) == 0x2C


@pytest.mark.parametrize("number", [0, 1, 0x123456, 2**24 - 1, 2**24 + 7])
@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (322, 182), (160, 90)])
def test_the_counter_survives_the_encoder_and_scaling(number: int, size: tuple[int, int]) -> None:
    card = Card(*size)
    frame = card.draw(number, "23:59:59", 0.5)
    assert read_counter(frame) == number % 2**24
    kbps = 300 if size[0] > 400 else 100
    unit = H264Encoder(*size, 30, kbps).encode(frame, 0)
    decoder = av.CodecContext.create("h264", "r")
    decoded = [*decoder.decode(av.Packet(unit.data)), *decoder.decode(None)]
    assert [read_counter(picture) for picture in decoded] == [number % 2**24]
    assert (
        read_counter(decoded[0].reformat(width=426, height=240, format="rgb24")) == number % 2**24
    )


@pytest.mark.parametrize("grey", [16, 128, 235])
def test_a_picture_without_a_counter_has_none(grey: int) -> None:
    plain = np.full((270, 320), grey, np.uint8)
    assert read_counter(av.VideoFrame.from_ndarray(plain, format="yuv420p")) is None


def test_a_broken_counter_is_noticed() -> None:
    frame = Card(320, 180).draw(77, "00:00:00", 0)
    picture = frame.to_ndarray()
    picture[:15, 10:20] = 255 - picture[:15, 10:20]
    assert read_counter(av.VideoFrame.from_ndarray(picture, format="yuv420p")) is None


def test_drawing_only_what_changes_gives_the_same_picture_as_drawing_all() -> None:
    used, fresh = Card(640, 360), Card(640, 360)
    for number in range(40):
        used.draw(number, f"12:00:{number:02}", number / 30)
    again = used.draw(1234, "08:15:42", 1.9).to_ndarray()
    assert np.array_equal(again, fresh.draw(1234, "08:15:42", 1.9).to_ndarray())
    assert not np.array_equal(again, used.draw(1234, "08:15:43", 1.9).to_ndarray()), (
        "the clock shows"
    )


@pytest.mark.parametrize("facing", list(CameraFacing))
@pytest.mark.parametrize("size", [(1280, 720), (320, 180), (160, 90)])
def test_the_cards_of_two_cameras_can_be_told_apart(
    size: tuple[int, int], facing: CameraFacing
) -> None:
    frame = Card(*size, facing).draw(4711, "12:34:56", 0.5)
    unit = H264Encoder(*size, 30, 200).encode(frame, 0)
    decoder = av.CodecContext.create("h264", "r")
    decoded = [*decoder.decode(av.Packet(unit.data)), *decoder.decode(None)]
    assert [read_facing(picture) for picture in (frame, *decoded)] == [facing, facing]
    assert [read_counter(picture) for picture in decoded] == [4711]


def test_the_rear_card_has_its_word() -> None:
    front, rear = (Card(640, 360, facing).draw(1, "00:00:00", 0) for facing in CameraFacing)
    band = slice(360 // 12, 360 * 18 // 100)
    written = [int((card.to_ndarray()[band, :640] == INK).sum()) for card in (front, rear)]
    assert written[0] == 0
    assert written[1] > 300
