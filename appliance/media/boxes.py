"""The outermost boxes of an MP4 that may have been cut off: whether it can be played at all.

A player needs its `moov`, and finds it wherever it stands (ISO/IEC 14496-12, 4.2). In a file of ours it
comes with the first half second (`movie.py`): what was cut off before has a name and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

HEAD_BYTES, LARGE_BYTES = 8, 16


def can_be_played(file: BinaryIO) -> bool:
    """Whether a `moov` is there, as a whole. Raises OSError."""
    return any(kind == b"moov" and whole for kind, whole in boxes(file))


def boxes(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """The kind of each, in order, and whether all of it is there; what is no box ends it.

    Raises OSError.
    """
    ends = file.seek(0, 2)
    at = 0
    while at + HEAD_BYTES <= ends:
        file.seek(at)
        head = file.read(LARGE_BYTES)
        size, kind, least = int.from_bytes(head[:4]), head[4:8], HEAD_BYTES
        if size == 1:  # it did not fit into the first four
            size, least = int.from_bytes(head[8:]), LARGE_BYTES
        elif size == 0:  # up to the end
            size = ends - at
        if size < least:
            return
        yield kind, at + size <= ends
        at += size
