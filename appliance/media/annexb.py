"""What the bytes of an H.264 stream tell without being decoded (ITU-T H.264, annex B)."""

from __future__ import annotations

START = b"\x00\x00\x01"
SPS, PPS = 7, 8
SLICES = range(1, 6)


def parameter_sets(data: bytes) -> bytes:
    """The SPS and PPS at the beginning of an access unit, with start codes; empty where it has none.

    They are what a file's header wants to know before the first picture.
    """
    sets = b""
    at = data.find(START)
    while at >= 0 and at + 3 < len(data):
        kind = data[at + 3] & 0x1F
        if kind in SLICES:
            break  # what follows is the picture, and long
        end = data.find(START, at + 3)
        if kind in (SPS, PPS):
            sets += b"\x00" + data[at : end if end >= 0 else len(data)].rstrip(b"\x00")
        at = end
    return sets
