"""The composed picture for others: subscribers, JPEG, and a file that is never half written."""

from __future__ import annotations

import asyncio
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from appliance.screen.canvas import Pixels
from appliance.screen.frames import FILE, Frames
from tests.parts.watched import Watched


def picture(light: int) -> Pixels:
    return np.full((48, 80, 3), light, np.uint8)


def light_of(jpeg: bytes | None) -> int:
    assert jpeg is not None
    image = Image.open(BytesIO(jpeg))
    assert image.format == "JPEG"
    assert image.size == (80, 48)
    return int(np.asarray(image).mean())


class Reports:
    """Whether writing the file works."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.worked = 0

    def works(self) -> None:
        self.worked += 1


def frames(directory: Path | None = None, reports: Reports | None = None) -> Frames:
    told = reports or Reports()
    return Frames(directory, told.faults.append, told.works)


async def test_a_subscriber_gets_the_present_picture_and_each_that_comes() -> None:
    it, seen = frames(), Watched[Pixels]()
    await asyncio.to_thread(it.put, picture(10))
    end = it.subscribe(seen.post)
    assert [int(one.mean()) for one in seen] == [10]
    await asyncio.to_thread(it.put, picture(20))
    await seen.until(lambda one: one[0, 0, 0] == 20)
    end()
    end()
    await asyncio.to_thread(it.put, picture(30))
    await asyncio.sleep(0)
    assert len(seen) == 2


async def test_who_was_too_slow_gets_only_the_last() -> None:
    it, seen = frames(), Watched[Pixels]()
    it.subscribe(seen.post)
    for light in range(5):
        it.put(picture(light))
    await seen.until(lambda one: one[0, 0, 0] == 4)
    assert len(seen) == 1


async def test_nobody_can_spoil_the_picture_for_the_others() -> None:
    it, seen = frames(), Watched[Pixels]()

    def spoil(one: Pixels) -> None:
        one[:] = 0

    it.subscribe(spoil)
    it.subscribe(seen.post)
    it.put(picture(50))
    assert (await seen.until(lambda one: one is not None)).mean() == 50


async def test_the_jpeg_is_that_of_the_present_picture_and_encoded_once() -> None:
    it = frames()
    assert it.latest_jpeg() is None
    assert it.latest is None
    it.put(picture(10))
    first = it.latest_jpeg()
    assert light_of(first) == 10
    assert it.latest_jpeg() is first
    it.put(picture(200))
    assert light_of(await asyncio.to_thread(it.latest_jpeg)) == 200


async def test_the_file_is_the_present_picture(tmp_path: Path) -> None:
    reports, folder = Reports(), tmp_path / "made" / "as needed"
    it = frames(folder, reports)
    for light in (10, 200):
        it.put(picture(light))
        assert light_of((folder / FILE).read_bytes()) == light
    assert [file.name for file in folder.iterdir()] == [FILE]
    assert (reports.faults, reports.worked) == ([], 2)


async def test_a_reader_keeps_a_whole_picture_while_the_next_is_written(tmp_path: Path) -> None:
    it = frames(tmp_path)
    it.put(picture(10))
    with (tmp_path / FILE).open("rb") as reading:
        it.put(picture(200))
        assert light_of(reading.read()) == 10


async def test_a_folder_that_cannot_be_written_is_told_of_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    reports = Reports()
    it = frames(tmp_path / "file", reports)
    it.put(picture(10))
    (fault,) = reports.faults
    assert str(tmp_path / "file" / FILE) in fault
    assert light_of(it.latest_jpeg()) == 10, "all else goes on"


@pytest.mark.parametrize("size", [(320, 240), (1920, 1080)])
async def test_a_jpeg_of_any_size(size: tuple[int, int]) -> None:
    it = frames()
    it.put(np.zeros((size[1], size[0], 3), np.uint8))
    assert Image.open(BytesIO(it.latest_jpeg() or b"")).size == size
