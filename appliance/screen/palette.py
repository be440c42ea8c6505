"""The colours of the screen: a quiet dark ground, and one colour for each person."""

from __future__ import annotations

from typing import TypeAlias
from zlib import crc32

Colour: TypeAlias = tuple[int, int, int]

GROUND_TOP: Colour = (24, 31, 42)
GROUND_BOTTOM: Colour = (11, 15, 21)
SURFACE: Colour = (33, 41, 53)
BEHIND: Colour = (6, 8, 11)
"""What a contained picture leaves of its tile."""
INK: Colour = (245, 247, 250)
QUIET: Colour = (168, 180, 196)
PILL: Colour = (8, 11, 16)
BLUE: Colour = (74, 158, 255)
GREEN: Colour = (46, 184, 110)
AMBER: Colour = (255, 190, 70)
RED: Colour = (235, 75, 80)

# each dark enough for white letters (a contrast of 4.5 and more, WCAG 2.2), and told apart at a glance
PEOPLE: tuple[Colour, ...] = (
    (178, 58, 72),
    (173, 78, 0),
    (73, 115, 28),
    (0, 121, 82),
    (0, 118, 128),
    (20, 108, 168),
    (66, 90, 196),
    (112, 76, 190),
    (146, 62, 164),
    (172, 52, 124),
    (86, 104, 122),
)


def colour_of(uid: str) -> Colour:
    """The same person has the same colour everywhere, after every start."""
    return PEOPLE[crc32(uid.encode()) % len(PEOPLE)]


def between(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second mixed into the first."""
    red, green, blue = (
        round(one + (other - one) * share) for one, other in zip(first, second, strict=True)
    )
    return red, green, blue
