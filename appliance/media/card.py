"""The test card: what a laptop's camera sees, drawn straight into yuv420p, only what changes each time.

From the top: the frame counter for machines, the time of day and the frame number in large digits, a
runner that crosses the picture once in two seconds, colour bars (75 %, BT.601) and a grey ramp. The card
of a rear camera has the word REAR below the counter, and its ground is rust instead of slate.

**The frame counter.** The top twelfth of the picture is a row of 32 blocks of equal width over the whole
width; block i covers the columns from i * width / 32 to (i + 1) * width / 32. White (luma 235) is 1,
black (luma 16) is 0. Blocks 0 to 23, from the left, are the frame number modulo 2**24, most significant
bit first; blocks 24 to 31 are its CRC-8 (polynomial 0x07, initial value 0xFF, not reflected, no final
xor) over those three bytes in the same order, most significant bit first. To read it: sample the middle
of each block, in the middle of the row, threshold at half of the range, compare the check. Frame number 1
has the check 0x2C; a picture that is all black or all white does not pass.
"""

from __future__ import annotations

import math
from typing import TypeAlias, cast

import av
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane

from appliance.model import CameraFacing

Pixels: TypeAlias = npt.NDArray[np.uint8]
Mask: TypeAlias = npt.NDArray[np.float64]

COUNTER_BITS = 24
CHECK_BITS = 8
BLOCKS = COUNTER_BITS + CHECK_BITS
STRIP = 12
"""The counter takes one part in so many of the height."""

BLACK, WHITE = 16, 235
PANEL, INK = 30, 214
GROUND = {CameraFacing.FRONT: (140, 120), CameraFacing.REAR: (104, 152)}
"""The colour (U, V) of everything that is not a bar: slate, and rust."""

# white, yellow, cyan, green, magenta, red, blue, black at 75 %: Y, U, V of ITU-R BT.601
BARS = (
    (180, 128, 128),
    (162, 44, 142),
    (131, 156, 44),
    (112, 72, 58),
    (84, 184, 198),
    (65, 100, 212),
    (35, 212, 114),
    (16, 128, 128),
)

#      a
#    f   b
#      g
#    e   c
#      d
SEGMENTS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")

# five columns, seven rows
REAR = (
    "####. ##### .###. ####.",
    "#...# #.... #...# #...#",
    "#...# #.... #...# #...#",
    "####. ####. ##### ####.",
    "#.#.. #.... #...# #.#..",
    "#..#. #.... #...# #..#.",
    "#...# ##### #...# #...#",
)


def check_of(number: int) -> int:
    """The CRC-8 that goes with a frame number."""
    crc = 0xFF
    for byte in (number % (1 << COUNTER_BITS)).to_bytes(COUNTER_BITS // 8, "big"):
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1) ^ (0x107 if crc & 0x80 else 0)
    return crc


def counter_row(number: int, width: int) -> Pixels:
    """One line of the counter's row, `width` pixels of luma."""
    word = (number % (1 << COUNTER_BITS)) << CHECK_BITS | check_of(number)
    bits = np.array([word >> (BLOCKS - 1 - block) & 1 for block in range(BLOCKS)], dtype=bool)
    return np.where(bits[np.arange(width) * BLOCKS // width], WHITE, BLACK).astype(np.uint8)


def read_counter(frame: av.VideoFrame) -> int | None:
    """The frame number in a decoded picture of any size, or None where the check does not hold."""
    luma = _pixels(frame.reformat(format="yuv420p").planes[0])
    strip = luma[frame.height // STRIP // 4 : frame.height * 3 // STRIP // 4]
    word = 0
    for block in range(BLOCKS):
        left, right = (frame.width * (4 * block + part) // (4 * BLOCKS) for part in (1, 3))
        word = word << 1 | bool(strip[:, left : max(right, left + 1)].mean() > (BLACK + WHITE) / 2)
    number, check = word >> CHECK_BITS, word & 0xFF
    return number if check == check_of(number) else None


def read_facing(frame: av.VideoFrame) -> CameraFacing:
    """Which camera's card a decoded picture of any size is, by the colour of its left edge."""
    _, u, v = map(_pixels, frame.reformat(format="yuv420p").planes)
    rows = slice(frame.height * 20 // 200, frame.height * 60 // 200)
    edge = slice(0, max(1, frame.width * 8 // 200))
    seen = float(u[rows, edge].mean()), float(v[rows, edge].mean())
    return min(GROUND, key=lambda facing: math.dist(GROUND[facing], seen))


def _pixels(plane: VideoPlane) -> Pixels:
    """The plane itself, not a copy."""
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    return cast("Pixels", rows[: plane.height, : plane.width])


class Card:
    """One picture that is drawn over and over; `frame` is valid until the next `draw`."""

    def __init__(self, width: int, height: int, facing: CameraFacing = CameraFacing.FRONT) -> None:
        """In pixels; both even."""
        self.frame = av.VideoFrame(width, height, "yuv420p")
        self._luma, self._u, self._v = map(_pixels, self.frame.planes)
        self._width, self._height = width, height
        self._strip = height // STRIP
        self._draw_ground(GROUND[facing])
        if facing is CameraFacing.REAR:
            self._draw_word()
        big = max(8, height // 4)
        self._clock = _Digits(self._luma, "00:00:00", big, centre_y=height * 36 // 100)
        self._number = _Digits(self._luma, "00000000", big // 3, centre_y=height * 58 // 100)
        self._lane_y, self._lane_h = height * 70 // 100, max(2, height // 60)
        self._runner_w = max(2, width // 20)
        self._runner_x = 0

    def draw(self, number: int, clock: str, seconds: float) -> av.VideoFrame:
        """Frame `number` at the time of day `clock` (HH:MM:SS); `seconds` moves the runner."""
        self._luma[: self._strip] = counter_row(number, self._width)
        self._clock.show(clock)
        self._number.show(f"{number % 10**8:08}")
        lane = self._luma[self._lane_y : self._lane_y + self._lane_h]
        lane[:, self._runner_x : self._runner_x + self._runner_w] = PANEL
        self._runner_x = int((self._width - self._runner_w) * (seconds / 2 % 1))
        lane[:, self._runner_x : self._runner_x + self._runner_w] = INK
        return self.frame

    def _draw_word(self) -> None:
        """REAR, between the counter and the clock."""
        word = np.array([[sign == "#" for sign in row] for row in REAR])
        height, dot = self._height, max(1, self._height // 120)
        large = np.kron(word, np.ones((dot, dot), dtype=bool))
        top, left = height * 13 // 100 - large.shape[0] // 2, (self._width - large.shape[1]) // 2
        self._luma[top : top + large.shape[0], left : left + large.shape[1]][large] = INK

    def _draw_ground(self, colour: tuple[int, int]) -> None:
        height, width = self._height, self._width
        rows = np.arange(height)
        self._luma[:] = (40 + rows * 30 // height).astype(np.uint8)[:, None]
        self._u[:], self._v[:] = colour
        self._u[: self._strip // 2] = self._v[: self._strip // 2] = 128
        self._luma[height * 18 // 100 : height * 66 // 100, width // 10 : width * 9 // 10] = PANEL
        self._luma[height * 70 // 100 : height * 70 // 100 + max(2, height // 60)] = PANEL
        top, bottom = height * 76 // 100 & ~1, height * 92 // 100 & ~1
        for bar, (y, u, v) in enumerate(BARS):
            left, right = (width * edge // len(BARS) & ~1 for edge in (bar, bar + 1))
            self._luma[top:bottom, left:right] = y
            self._u[top // 2 : bottom // 2, left // 2 : right // 2] = u
            self._v[top // 2 : bottom // 2, left // 2 : right // 2] = v
        ramp = BLACK + (np.arange(width) * 16 // width) * (WHITE - BLACK) // 15
        self._luma[bottom:] = ramp.astype(np.uint8)
        self._u[bottom // 2 :] = self._v[bottom // 2 :] = 128


class _Digits:
    """A line of large digits, of which only those that change are drawn."""

    def __init__(self, luma: Pixels, text: str, height: int, *, centre_y: int) -> None:
        """`height` in pixels; the line has the length of `text`, and is centred."""
        width = height * 6 // 10
        glyphs: dict[str, Mask] = {str(digit): _digit(digit, width, height) for digit in range(10)}
        glyphs[":"] = _colon(width, height)
        self._glyphs = {sign: _inked(mask) for sign, mask in glyphs.items()}
        top = centre_y - height // 2
        left = (luma.shape[1] - width * len(text)) // 2
        self._places = [
            luma[top : top + height, left + place * width : left + (place + 1) * width]
            for place in range(len(text))
        ]
        self._shown = " " * len(text)

    def show(self, text: str) -> None:
        """Draw the signs that differ from what is there."""
        for place, sign, shown in zip(self._places, text, self._shown, strict=True):
            if sign != shown:
                place[:] = self._glyphs[sign]
        self._shown = text


def _inked(mask: Mask) -> Pixels:
    return (PANEL + (INK - PANEL) * mask).astype(np.uint8)


def _digit(digit: int, width: int, height: int) -> Mask:
    """Seven segments with pointed ends, leaning a little; 0 to 1, smooth at the edges."""
    thick = height / 16
    half_w, half_h = width * 0.30, height * 0.22
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    y -= height / 2
    x -= width / 2 - y * 0.10
    flat = {"a": -2 * half_h, "g": 0.0, "d": 2 * half_h}
    upright = {"f": (-1, -1), "b": (1, -1), "e": (-1, 1), "c": (1, 1)}
    mask: Mask = np.zeros((height, width))
    for segment in SEGMENTS[digit]:
        if segment in flat:
            across, along = np.abs(y - flat[segment]), np.abs(x)
            length = half_w
        else:
            side, part = upright[segment]
            across, along = np.abs(x - side * half_w), np.abs(y - part * half_h)
            length = half_h
        inside = np.minimum(thick - across, length - thick / 4 - along - across)
        mask = np.maximum(mask, np.clip(inside + 0.5, 0, 1))
    return mask


def _colon(width: int, height: int) -> Mask:
    radius = height / 14
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    y = np.abs(y - height / 2) - height * 0.16
    distance = np.maximum(np.abs(x - width / 2), np.abs(y))
    return cast("Mask", np.clip(radius - distance + 0.5, 0, 1))
