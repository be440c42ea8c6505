"""Pictures as libcamera lays them out in memory, copied into frames that encoders take."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame

Pixels: TypeAlias = npt.NDArray[np.uint8]

# libcamera's name, FFmpeg's, bytes per pixel; what packs all of a pixel into one plane
PACKED = {
    "YUYV": ("yuyv422", 2),
    "UYVY": ("uyvy422", 2),
    "BGR888": ("rgb24", 3),
    "RGB888": ("bgr24", 3),
    "XBGR8888": ("rgb0", 4),
    "XRGB8888": ("bgr0", 4),
}
PLANAR = "YUV420"
"""What the hardware encoder, libx264 and a JPEG want."""


def copied(data: Pixels, form: str, size: tuple[int, int], stride: int) -> VideoFrame:
    """A copy of what libcamera has in its memory, as yuv420p."""
    width, height = size
    if form == PLANAR:
        frame = VideoFrame(width, height, "yuv420p")
        at = 0
        for part, plane in enumerate(frame.planes):
            shrink = 1 if part == 0 else 2
            rows, step = height // shrink, stride // shrink
            _fill(frame, part, data[at : at + rows * step].reshape(rows, step)[:, : plane.width])
            at += rows * step
        return frame
    name, pixel = PACKED[form]
    frame = VideoFrame(width, height, name)
    _fill(frame, 0, data[: height * stride].reshape(height, stride)[:, : width * pixel])
    return frame.reformat(format="yuv420p")


def _fill(frame: VideoFrame, part: int, rows: Pixels) -> None:
    plane = frame.planes[part]
    target = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    target[: rows.shape[0], : rows.shape[1]] = rows
