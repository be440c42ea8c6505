"""Letters: fonts, names as they can be shown, and lines of text as sprites.

The font is Source Sans Pro, from a package of its own, since Pillow's has no umlauts. What it lacks
(Chinese, Japanese, Korean, Arabic ..) is taken from the system's fonts, where there are some; what
no font has is left out, and of whom nothing is left the uid is shown.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from itertools import groupby
from math import ceil
from pathlib import Path

import font_source_sans_pro
from PIL import Image, ImageDraw, ImageFont

from appliance.screen.canvas import Sprite, tinted
from appliance.screen.palette import INK, Colour

MOST_LETTERS = 120
"""Of a name; more than any screen has room for."""
REGULAR, BOLD = "SourceSansPro-Regular.ttf", "SourceSansPro-Semibold.ttf"
SYSTEM_FONTS = (
    "opentype/noto/NotoSansCJK-Regular.ttc",
    "truetype/droid/DroidSansFallbackFull.ttf",
    "truetype/wqy/wqy-microhei.ttc",
    "truetype/dejavu/DejaVuSans.ttf",
    "truetype/freefont/FreeSans.ttf",
    "opentype/unifont/unifont.otf",
)
"""Below /usr/share/fonts, as Debian's packages lay them; the first that has a letter draws it."""
SYSTEM_FOLDER = Path("/usr/share/fonts")
NO_LETTER = "\uffff"
"""By Unicode never a letter: what a font draws for it, it draws for all that it lacks."""
SAMPLE_PX = 24


def text(
    words: str, px: int, *, bold: bool = False, colour: Colour = INK, width: int | None = None
) -> Sprite:
    """A line of text, at most `width` wide: what is longer ends with an ellipsis."""
    return _line(words, px, bold, colour, width)


def legible(name: str | None, instead: str) -> str:
    """A name as it can be shown: one line, and only what some font has; `instead` where that is nothing."""
    folded = unicodedata.normalize("NFC", (name or "")[:MOST_LETTERS])
    shown = "".join(
        " " if letter.isspace() else letter
        for letter in folded
        if letter.isspace() or _is_drawn(letter)
    )
    return " ".join(shown.split()) or instead


def initials(name: str) -> str:
    """Two letters of a name in an alphabet, one of a name in Chinese, Japanese or Korean."""
    words = [word for word in name.split() if word[0].isalnum()]
    if not words:
        return ""
    if unicodedata.east_asian_width(words[0][0]) == "W":
        return words[0][0]
    # ß and its like have capitals of two letters, of which one is enough
    return "".join(word[0].upper()[0] for word in (words[0], *words[1:][-1:]))


def length(words: str, px: int, *, bold: bool = False) -> float:
    """How wide a line is, in pixels."""
    return sum(_font(file, px).getlength(run) for file, run in _runs(words, bold=bold))


@lru_cache(maxsize=64)  # some twenty are on a picture; each minute makes another, of up to 100 KB
def _line(words: str, px: int, bold: bool, colour: Colour, width: int | None) -> Sprite:
    if width is not None:
        words = _shortened(words, px, bold, width)
    ascent, descent = _font(_own(bold=bold), px).getmetrics()
    mask = Image.new("L", (max(1, ceil(length(words, px, bold=bold))), ascent + descent))
    pen, x = ImageDraw.Draw(mask), 0.0
    for file, run in _runs(words, bold=bold):
        pen.text((x, ascent), run, fill=255, font=_font(file, px), anchor="ls")
        x += _font(file, px).getlength(run)
    return tinted(mask, colour)


def _shortened(words: str, px: int, bold: bool, width: int) -> str:
    if length(words, px, bold=bold) <= width:
        return words
    fits, too_long = 0, len(words)
    while too_long - fits > 1:
        tried = (fits + too_long) // 2
        if length(words[:tried].rstrip() + "…", px, bold=bold) <= width:
            fits = tried
        else:
            too_long = tried
    return words[:fits].rstrip() + "…"


# -------------------- which font


def _runs(words: str, *, bold: bool) -> Iterator[tuple[Path, str]]:
    """The line in parts, each with the font that has its letters."""
    regular, wanted = _own(bold=False), _own(bold=bold)

    def file(letter: str) -> Path:
        found = _font_for(letter)
        return wanted if found is None or found == regular else found

    for one, letters in groupby(words, file):
        yield one, "".join(letters)


def _own(*, bold: bool) -> Path:
    return Path(font_source_sans_pro.font_directory) / (BOLD if bold else REGULAR)


def _is_drawn(letter: str) -> bool:
    """Whether it can be; controls (those that turn the direction, too) are not, whatever a font says."""
    return not unicodedata.category(letter).startswith("C") and _font_for(letter) is not None


@lru_cache(maxsize=4096)
def _font_for(letter: str) -> Path | None:
    """The first font that has a letter; the two weights of our own have the same letters."""
    return next((file for file in _fonts() if _has(_font(file, SAMPLE_PX), letter)), None)


@lru_cache(maxsize=1)
def _fonts() -> tuple[Path, ...]:
    found = (SYSTEM_FOLDER / name for name in SYSTEM_FONTS)
    return _own(bold=False), *(file for file in found if file.is_file())


def _has(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    return bytes(font.getmask(letter)) != bytes(font.getmask(NO_LETTER))


@lru_cache(maxsize=64)
def _font(file: Path, px: int) -> ImageFont.FreeTypeFont:
    # from memory, so that no file stays open
    return ImageFont.truetype(BytesIO(_content(file)), px)


@lru_cache(maxsize=8)
def _content(file: Path) -> bytes:
    return file.read_bytes()
