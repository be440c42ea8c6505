"""What libcamera has in its memory, as a frame."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.media.pixels import PACKED, copied


def test_planes_are_copied_without_the_padding_of_their_rows() -> None:
    width, height, stride = 6, 4, 16
    luma = np.full((height, stride), 7, np.uint8)
    luma[:, :width] = np.arange(height * width).reshape(height, width)
    blue, red = np.full((2, stride // 2), 9, np.uint8), np.full((2, stride // 2), 9, np.uint8)
    blue[:, :3], red[:, :3] = 100, 200
    data = np.concatenate([luma.ravel(), blue.ravel(), red.ravel()])
    frame = copied(data, "YUV420", (width, height), stride)
    seen = frame.to_ndarray(format="yuv420p")
    assert seen[:height].ravel().tolist() == list(range(height * width))
    assert set(seen[height:].ravel().tolist()) == {100, 200}
    data[:] = 0
    assert frame.to_ndarray(format="yuv420p").any(), "a copy"


@pytest.mark.parametrize("form", sorted(PACKED))
def test_what_packs_all_of_a_pixel_into_one_plane_becomes_yuv420p(form: str) -> None:
    """Pure red, green and blue come out as such, whichever order the format has."""
    colours = {"R": (255, 0, 0), "G": (0, 255, 0), "B": (0, 0, 255)}
    for name, (red, green, blue) in colours.items():
        y, u, v = {"R": (81, 90, 240), "G": (145, 54, 34), "B": (41, 240, 110)}[name]
        # libcamera's names are of the little-endian word: BGR888 has red first in memory
        pixel = {
            "YUYV": (y, u, y, v),
            "UYVY": (u, y, v, y),
            "BGR888": (red, green, blue) * 2,
            "RGB888": (blue, green, red) * 2,
            "XBGR8888": (red, green, blue, 0) * 2,
            "XRGB8888": (blue, green, red, 0) * 2,
        }[form]
        row = list(pixel) * 16 + [99] * 8
        data = np.array(row * 16, np.uint8)
        frame = copied(data, form, (32, 16), len(row))
        assert (frame.format.name, frame.width, frame.height) == ("yuv420p", 32, 16)
        seen = frame.to_ndarray(format="rgb24").reshape(-1, 3).mean(axis=0)
        assert np.abs(seen - np.array(colours[name])).max() < 12
