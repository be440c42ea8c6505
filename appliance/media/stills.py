"""Single pictures: raw ones for a screen, JPEG for people."""

from __future__ import annotations

import threading
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

if TYPE_CHECKING:
    from appliance.media.base import Rgb

JPEG_WIDTH = 640
JPEG_QSCALE = 4
"""Of 2 (best) to 31: what others call a quality of 80, some 30 KB at this size."""
FF_QP2LAMBDA = 118
"""libavutil's unit of quality."""


class _Own(threading.local):
    """Of a thread: a frame's converter is one for all threads, and two at once end the process."""

    def __init__(self) -> None:
        self.converter = VideoReformatter()


_own = _Own()


def rgb(frame: VideoFrame, converter: VideoReformatter | None = None) -> Rgb:
    """Height x width x 3, a copy.

    To prepare a converter for a size takes several times as long as a picture. Whoever converts many of one
    size has one for them, and never two threads at it; else it is this thread's, which the last size fits.
    """
    picture = (converter or _own.converter).reformat(frame, format="rgb24")
    return cast("Rgb", np.ascontiguousarray(picture.to_ndarray()))


def jpeg(frame: VideoFrame, width: int = JPEG_WIDTH) -> bytes:
    """A JPEG of at most this width, and of the same proportions."""
    width = min(width, frame.width) & ~1
    height = max(2, round(frame.height * width / frame.width) & ~1)
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuvj420p"
    codec.time_base = Fraction(1, 25)
    codec.thread_count = 1
    codec.options = {"flags": "+qscale", "global_quality": str(JPEG_QSCALE * FF_QP2LAMBDA)}
    small = VideoReformatter().reformat(frame, width=width, height=height, format="yuvj420p")
    small.pts = None
    return b"".join(bytes(packet) for packet in [*codec.encode(small), *codec.encode(None)])
