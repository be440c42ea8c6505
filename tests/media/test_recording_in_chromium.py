"""A recording in a real browser, another program than the one that wrote it: whole, and cut off."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from playwright.async_api import Route

from appliance.media.annexb import parameter_sets
from appliance.media.base import SILENT_FRAME, PictureFormat
from appliance.media.card import Card
from appliance.media.encoding import H264Encoder
from appliance.media.movie import FRAGMENT_S, Growing, Movie
from tests.web.conftest import WITH_CONSENT, chromium

pytestmark = pytest.mark.browser

FPS = 25
SECONDS = 2
PLAY = """async (name) => {
    const video = document.querySelector("video");
    await new Promise((resolve, reject) => {
        video.onended = resolve;
        video.onerror = () => reject(new Error(video.error.message));
        video.src = "/" + name;
        video.play().catch(reject);
    });
    const quality = video.getVideoPlaybackQuality();
    return {
        duration: video.duration,
        reached: video.currentTime,
        pictures: quality.totalVideoFrames,
        size: [video.videoWidth, video.videoHeight],
    };
}"""


def record(folder: Path) -> tuple[Path, Path]:
    """Two seconds, closed and as they were a moment before."""
    path, cut = folder / "whole.mp4", folder / "cut.mp4"
    encoder, card = H264Encoder(320, 180, FPS, 300), Card(320, 180)
    file = Growing(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), str(path))
    movie: Movie | None = None
    for number in range(SECONDS * FPS):
        unit = encoder.encode(card.draw(number, "12:00:00", number / FPS), number * 40_000)
        if movie is None:
            movie = Movie(file, PictureFormat(320, 180, FPS, parameter_sets(unit.data)))
        movie.picture(unit, unit.pts_us, 40_000)
        for half in range(2):
            movie.sound(SILENT_FRAME, 2 * number + half)
    shutil.copy(path, cut)
    assert movie is not None
    movie.close()
    file.close()
    return path, cut


async def test_a_browser_plays_it_to_its_end_cut_off_or_not(tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in record(tmp_path)}
    least = {"whole.mp4": float(SECONDS), "cut.mp4": SECONDS - FRAGMENT_S - 0.1}

    async def serve(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if name in files:
            await route.fulfill(body=files[name], content_type="video/mp4")
        else:
            await route.fulfill(body="<video muted></video>", content_type="text/html")

    async with chromium(*WITH_CONSENT) as browser:
        page = await browser.new_page()
        await page.route("**/*", serve)
        await page.goto("http://recordings.test/")
        for name, least_s in least.items():
            played = await page.evaluate(PLAY, name)
            assert played["size"] == [320, 180]
            assert least_s - 0.05 <= played["reached"] <= SECONDS + 0.1
            assert played["duration"] == pytest.approx(played["reached"], abs=0.1)
            assert played["pictures"] >= least_s * FPS - 2
