"""What stands on a picture or instead of it: labels, marks and avatars."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from appliance.model import AvatarMode, Participant, ParticipantState, Situation
from appliance.screen import words
from appliance.screen.canvas import Canvas, Sprite, sprite, tinted
from appliance.screen.layouts import Placed, Rect
from appliance.screen.lettering import initials, text
from appliance.screen.palette import (
    AMBER,
    BLUE,
    INK,
    PILL,
    RED,
    SURFACE,
    Colour,
    between,
    colour_of,
)
from appliance.screen.symbols import Symbol, symbol

FINER = 4
LEAST_LABEL_PX = 12
"""Smaller letters nobody reads: a tile that has no room for larger ones has no label."""
SEE_THROUGH = 190
Mark = tuple[Symbol, Colour]


# -------------------- pills: a short text with symbols before it


def pill(
    canvas: Canvas,
    left: int,
    top: int,
    words: str,
    px: int,
    *,
    marks: tuple[Mark, ...] = (),
    width: int,
    ground: Colour = PILL,
    from_right: bool = False,
) -> Rect:
    """Draw one, at most `width` wide; `left` is its right edge with `from_right`. Its place."""
    pad, side, height = _pill_measures(px)
    before = len(marks) * (side + pad // 2)
    room = width - 2 * pad - before
    letters = text(words, px, bold=True, width=room) if words and room > px else None
    inside = before - (pad // 2 if letters is None else 0) + (letters.width if letters else 0)
    whole = Rect(left, top, inside + 2 * pad, height)
    if from_right:
        whole = Rect(left - whole.width, top, whole.width, height)
    canvas.lay(_pill(whole.width, height, ground), whole.left, whole.top)
    x = whole.left + pad
    for which, colour in marks:
        canvas.lay(symbol(which, side, colour), x, whole.top + (height - side) // 2)
        x += side + pad // 2
    if letters is not None:
        canvas.lay(letters, x, whole.top + (height - letters.height) // 2)
    return whole


def pill_width(words: str, px: int, marks: int) -> int:
    """How wide one is that is given all the room it wants."""
    pad, side, _ = _pill_measures(px)
    return 2 * pad + marks * (side + pad // 2) + text(words, px, bold=True).width


def pill_height(px: int) -> int:
    """How high one with letters of that size is."""
    return _pill_measures(px)[2]


def _pill_measures(px: int) -> tuple[int, int, int]:
    """The room at the ends, a symbol's side, the height."""
    return round(px * 0.55), px, round(px * 1.6)


@lru_cache(maxsize=64)
def _pill(width: int, height: int, colour: Colour) -> Sprite:
    mask = Image.new("L", (width * FINER, height * FINER))
    box = (0, 0, width * FINER - 1, height * FINER - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, height * FINER / 3, fill=SEE_THROUGH)
    return tinted(mask.reduce(FINER), colour)


# -------------------- a tile's label


def marks_of(participant: Participant) -> tuple[Mark, ...]:
    """What is to be known about somebody at a glance."""
    marks: list[Mark] = []
    if participant.recording:
        marks.append((Symbol.RECORDING, RED))
    if participant.hand_raised:
        marks.append((Symbol.HAND, AMBER))
    if participant.audio_muted:
        marks.append((Symbol.MUTED, RED))
    if participant.screen_sharing:
        marks.append((Symbol.SCREEN, BLUE))
    return tuple(marks)


def label(canvas: Canvas, placed: Placed, text_px: int) -> None:
    """The name and marks at the bottom left of a tile."""
    tile, rect = placed.tile, placed.rect
    px = label_px(rect, text_px)
    if px < LEAST_LABEL_PX:
        return
    name = words.YOU if tile.own else words.person(tile.participant)
    if tile.screen:
        name = words.SCREEN_OF.format(name=name)
    marks = ((Symbol.SCREEN, BLUE),) if tile.screen else marks_of(tile.participant)
    if not placed.label:
        name = ""
    if not (name or marks):
        return
    margin = px // 2
    top = rect.bottom - margin - pill_height(px)
    pill(canvas, rect.left + margin, top, name, px, marks=marks, width=rect.width - 2 * margin)


def label_px(rect: Rect, text_px: int) -> int:
    """How large letters on a tile are."""
    return min(text_px, max(LEAST_LABEL_PX if rect.height > 60 else 0, round(rect.height * 0.11)))


def state(canvas: Canvas, rect: Rect, participant: Participant, text_px: int) -> None:
    """Why somebody is neither seen nor heard: at the top left of the tile; who was there is dimmed."""
    said = words.state_of(participant)
    if said is None:
        return
    if participant.state is not ParticipantState.CONNECTING:
        canvas.dim(rect)
    px = label_px(rect, text_px)
    if px < LEAST_LABEL_PX:
        return
    which = Symbol.HOLD if said == words.SITUATIONS[Situation.ON_HOLD] else Symbol.RECONNECTING
    margin = px // 2
    place = rect.left + margin, rect.top + margin
    pill(canvas, *place, said, px, marks=((which, INK),), width=rect.width - 2 * margin)


# -------------------- avatars


def avatar(canvas: Canvas, placed: Placed, mode: AvatarMode, text_px: int) -> None:
    """What stands for somebody without a picture, over a whole tile."""
    tile, rect = placed.tile, placed.rect
    uid, name = tile.participant.uid, words.person(tile.participant)
    colour = colour_of(uid)
    free = _above_label(rect, text_px)
    if tile.screen:
        canvas.fill(rect, SURFACE)
        side = round(min(free.width, free.height) * 0.5)
        canvas.lay_middle(symbol(Symbol.SCREEN, max(8, side), BLUE), free)
    elif mode is AvatarMode.FULLSCREEN:
        canvas.fill(rect, colour)
        canvas.lay_middle(letters(name, min(rect.width, rect.height)), free)
    else:
        canvas.fill(rect, between(SURFACE, colour, 0.22))
        side = max(8, round(min(free.width, free.height) * 0.56))
        shape = disc(uid, name, side) if mode is AvatarMode.CIRCLE else square(uid, name, side)
        canvas.lay_middle(shape, free)


def _above_label(rect: Rect, text_px: int) -> Rect:
    """The room for an avatar: on a small tile what the label leaves, on a large one it is in no way."""
    px = label_px(rect, text_px)
    taken = pill_height(px) + px // 2 if px >= LEAST_LABEL_PX else 0
    room = max(1, rect.height - taken)
    return rect if rect.height > 6 * taken else Rect(rect.left, rect.top, rect.width, room)


@lru_cache(maxsize=64)
def disc(uid: str, name: str, side: int) -> Sprite:
    """A round avatar."""
    return _badge(uid, name, side, side / 2)


@lru_cache(maxsize=64)
def square(uid: str, name: str, side: int) -> Sprite:
    """A square avatar, its corners a little rounded."""
    return _badge(uid, name, side, side / 8)


def _badge(uid: str, name: str, side: int, radius: float) -> Sprite:
    mask = Image.new("L", (side * FINER, side * FINER))
    box = (0, 0, side * FINER - 1, side * FINER - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius * FINER, fill=255)
    painted = Canvas(np.full((side, side, 3), colour_of(uid), np.uint8))
    painted.lay_middle(letters(name, side), Rect(0, 0, side, side))
    result = Image.fromarray(painted.pixels)
    result.putalpha(mask.reduce(FINER))
    return sprite(result)


def letters(name: str, side: int) -> Sprite:
    """The initials for an avatar of that size; a person where a name has none."""
    short = initials(name)
    if short:
        return text(short, max(8, round(side * 0.42)), bold=True)
    return symbol(Symbol.PERSON, max(8, round(side * 0.6)))
