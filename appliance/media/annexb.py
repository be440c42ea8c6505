"""What the bytes of an H.264 stream tell without being decoded (ITU-T H.264, annex B)."""

from __future__ import annotations

START = b"\x00\x00\x01"
SPS, PPS = 7, 8
SLICES = range(1, 6)
HIGH_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128)


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


def picture_size(sets: bytes) -> tuple[int, int] | None:
    """Width and height in pixels that the SPS among `sets` tells; None where there is none to be read."""
    at = sets.find(START)
    while at >= 0:
        end = sets.find(START, at + 3)
        unit = sets[at + 3 : end if end >= 0 else len(sets)]
        if unit and unit[0] & 0x1F == SPS:
            try:
                return _size_of(_Bits(unit[1:].replace(b"\x00\x00\x03", b"\x00\x00")))
            except IndexError:
                return None
        at = end
    return None


class _Bits:
    """Reads what is written bit by bit. Raises IndexError at the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def bits(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | self._data[self._at // 8] >> (7 - self._at % 8) & 1
            self._at += 1
        return value

    def number(self) -> int:
        """An unsigned Exp-Golomb code (H.264, 9.1)."""
        zeros = 0
        while not self.bits(1):
            zeros += 1
        return (1 << zeros) - 1 + self.bits(zeros)


def _size_of(sps: _Bits) -> tuple[int, int] | None:
    """H.264, 7.3.2.1.1. None where there are scaling lists, which no camera has."""
    profile = sps.bits(24) >> 16
    sps.number()
    chroma, high = 1, profile in HIGH_PROFILES
    if high:
        chroma = sps.number()
        if chroma == 3:
            sps.bits(1)
        sps.number()
        sps.number()
        if sps.bits(2) & 1:
            return None
    sps.number()
    order = sps.number()
    if order == 0:
        sps.number()
    elif order == 1:
        sps.bits(1)
        for _ in range(2):
            sps.number()
        for _ in range(sps.number()):
            sps.number()
    sps.number()
    sps.bits(1)
    width, height = 16 * (sps.number() + 1), 16 * (sps.number() + 1)
    frames_only = sps.bits(1)
    if not frames_only:
        height *= 2
        sps.bits(1)
    sps.bits(1)
    if sps.bits(1):
        across, down = (2 if chroma in (1, 2) else 1), (2 if chroma == 1 else 1) * (2 - frames_only)
        width -= across * (sps.number() + sps.number())
        height -= down * (sps.number() + sps.number())
    return width, height
