"""The list of participants: a panel with everybody, and what each is about."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw

from appliance.model import Participant, Tile
from appliance.screen import words
from appliance.screen.canvas import Canvas, Sprite, tinted
from appliance.screen.layouts import Plan, Rect
from appliance.screen.lettering import text
from appliance.screen.marks import disc, marks_of
from appliance.screen.palette import AMBER, QUIET, SURFACE
from appliance.screen.symbols import symbol

FINER = 4


def panel(canvas: Canvas, plan: Plan, place: Rect, tiles: tuple[Tile, ...]) -> None:
    """Draw the list into its place; those who have no room are counted in the last line."""
    people = [tile for tile in tiles if not tile.screen]
    px, gap = plan.text_px, plan.gap
    canvas.lay(_ground(place.width, place.height, 2 * gap), place.left, place.top)
    inner = place.inset(round(1.5 * gap))
    title = text(words.PARTICIPANTS, px, bold=True, colour=QUIET, width=inner.width - 2 * px)
    canvas.lay(title, inner.left, inner.top)
    count = text(str(len(people)), px, bold=True, colour=QUIET)
    canvas.lay(count, inner.right - count.width, inner.top)
    row = round(px * 2.6)
    first = inner.top + title.height + gap
    room = max(1, (inner.bottom - first) // row)
    shown = people if len(people) <= room else people[: room - 1]
    for line, tile in enumerate(shown):
        _row(canvas, Rect(inner.left, first + line * row, inner.width, row), tile, px)
    if len(shown) < len(people):
        rest = words.MORE_PEOPLE.format(count=len(people) - len(shown))
        more = text(rest, px, colour=QUIET, width=inner.width)
        top = first + len(shown) * row
        canvas.lay(more, inner.left, top + (row - more.height) // 2)


def _row(canvas: Canvas, place: Rect, tile: Tile, px: int) -> None:
    person = tile.participant
    name = f"{words.person(person)} ({words.YOU.lower()})" if tile.own else words.person(person)
    side = round(px * 1.9)
    canvas.lay(
        disc(person.uid, words.person(person), side),
        place.left,
        place.top + (place.height - side) // 2,
    )
    right = place.right
    for which, colour in reversed(marks_of(person)):
        right -= px
        canvas.lay(symbol(which, px, colour), right, place.top + (place.height - px) // 2)
        right -= px // 3
    left = place.left + side + px // 2
    _name(canvas, Rect(left, place.top, max(1, right - left), place.height), name, person, px)


def _name(canvas: Canvas, place: Rect, name: str, person: Participant, px: int) -> None:
    """The name, and below it what keeps somebody away."""
    if place.width < px:
        return
    said = words.state_of(person)
    who = text(name, px, width=place.width)
    if said is None:
        canvas.lay(who, place.left, place.top + (place.height - who.height) // 2)
        return
    how = text(said, round(px * 0.8), colour=AMBER, width=place.width)
    top = place.top + (place.height - round((who.height + how.height) * 0.9)) // 2
    canvas.lay(who, place.left, top)
    canvas.lay(how, place.left, top + round(who.height * 0.85))


@lru_cache(maxsize=4)
def _ground(width: int, height: int, radius: int) -> Sprite:
    mask = Image.new("L", (width * FINER, height * FINER))
    box = (0, 0, width * FINER - 1, height * FINER - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius * FINER, fill=255)
    return tinted(mask.reduce(FINER), SURFACE)
