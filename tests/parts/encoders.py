"""How many encoders of video are made in this process, by whomever: by ours and by aiortc's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import av

VIDEO = frozenset({"libx264", "h264_omx", "h264_v4l2m2m", "libvpx", "libvpx-vp9"})


class _Watched:
    """The class `av.CodecContext`, as seen by who makes one by it."""

    def __init__(self, made: Counter[str]) -> None:
        self._made = made
        self._really = av.CodecContext

    def create(self, codec: Any, mode: Any = None, **more: Any) -> Any:
        if mode == "w" and codec in VIDEO:
            self._made[codec] += 1
        return self._really.create(codec, mode, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._really, name)


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count them by their names in FFmpeg while the block lasts."""
    made: Counter[str] = Counter()
    with mock.patch.object(av, "CodecContext", _Watched(made)):
        yield made
