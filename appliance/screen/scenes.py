"""Whole screens without a conversation: idle with its clock, ringing in, ringing out, connecting."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from appliance.model import Call, CallDirection, CallState, Situation, View
from appliance.screen import words
from appliance.screen.canvas import Canvas, Sprite, tinted
from appliance.screen.layouts import Plan, Rect
from appliance.screen.lettering import legible, length, text
from appliance.screen.marks import Mark, disc, pill, pill_height, pill_width
from appliance.screen.palette import AMBER, BLUE, GREEN, QUIET, RED, SURFACE, Colour
from appliance.screen.symbols import Symbol

MOST_CALLEES = 4
"""Of a group, whose progress is told one by one."""
FINER = 4


# -------------------- idle


def idle(canvas: Canvas, plan: Plan, view: View, name: str, now: datetime) -> None:
    """The clock, the device's name, and what is to be known: beside a small picture, if there is one."""
    gap, area = plan.gap, plan.screen
    if plan.tiles:
        area = Rect(0, 0, plan.tiles[0].rect.left, area.height)
    wide = max(1, area.width - 4 * gap)
    clock = _cropped(words.time_of_day(now), min(round(area.height * 0.36), round(wide * 0.32)))
    date_px, title_px = round(plan.text_px * 1.25), round(plan.text_px * 1.1)
    fits = length(words.day(now), date_px) <= wide
    said = words.day(now) if fits else words.short_day(now)
    date = text(said, date_px, colour=QUIET, width=wide)
    title = text(legible(name, ""), title_px, bold=True, width=wide)
    canvas.lay(title, area.middle(title.width, 0).left, 2 * gap)
    block = clock.height + 2 * gap + date.height
    top = round(area.height * 0.47) - block // 2
    canvas.lay(clock, area.middle(clock.width, 0).left, top)
    canvas.lay(date, area.middle(date.width, 0).left, top + clock.height + 2 * gap)
    _notices(canvas, plan, area, view)


def _notices(canvas: Canvas, plan: Plan, area: Rect, view: View) -> None:
    """Pills along the bottom edge; those that have no room beside the others stand above."""
    px, gap = plan.text_px, plan.gap
    wide = max(1, area.width - 4 * gap)
    rows: list[list[tuple[str, Mark, int]]] = [[]]
    for said, mark in notices(view):
        width = min(wide, pill_width(said, px, 1))
        if rows[-1] and sum(taken + gap for *_, taken in rows[-1]) + width > wide:
            rows.append([])
        rows[-1].append((said, mark, width))
    top = area.bottom - 2 * gap - pill_height(px)
    for row in rows:
        left = area.middle(sum(width for *_, width in row) + gap * (len(row) - 1), 0).left
        for said, mark, width in row:
            pill(canvas, left, top, said, px, marks=(mark,), width=width, ground=SURFACE)
            left += width + gap
        top -= pill_height(px) + gap


def notices(view: View) -> list[tuple[str, Mark]]:
    """What an idle screen tells, the gravest first."""
    said: list[tuple[str, Mark]] = []
    if view.situation is Situation.ERROR:
        said.append((words.SITUATIONS[Situation.ERROR], (Symbol.WARNING, RED)))
    if view.situation is Situation.BROKER_AWAY:
        said.append((words.SITUATIONS[Situation.BROKER_AWAY], (Symbol.OFFLINE, RED)))
    if view.missed_calls:
        said.append((words.missed(view.missed_calls), (Symbol.MISSED, AMBER)))
    if view.do_not_disturb:
        said.append((words.DO_NOT_DISTURB, (Symbol.DO_NOT_DISTURB, QUIET)))
    return said


def _cropped(digits: str, px: int) -> Sprite:
    """Digits without the room above and below them."""
    whole = text(digits, px, bold=True)
    lines = np.flatnonzero((whole.rest < 255).any(axis=(1, 2)))
    part = slice(int(lines[0]), int(lines[-1]) + 1)
    return Sprite(whole.light[part], whole.rest[part])


# -------------------- ringing


def waiting(canvas: Canvas, plan: Plan, view: View, call: Call) -> None:
    """Who calls, or whom this device calls: a large avatar, the name, and how far it is."""
    screen, gap = plan.screen, plan.gap
    uid, name, said, colour = _other(view, call)
    group = [] if view.situation is not Situation.RINGING_OUT else list(call.callees)
    group = group if len(group) > 1 else []
    side = round(min(screen.height * (0.3 if group else 0.38), screen.width * 0.4))
    ring = round(side * 0.16)
    title_px = round(plan.text_px * (1.6 if screen.width < 500 else 1.9))
    title = text(name, title_px, bold=True, width=screen.width - 4 * gap)
    below = text(said, round(plan.text_px * 1.2), colour=colour)
    line = round(plan.text_px * 1.45)
    shown = group[:MOST_CALLEES] if len(group) <= MOST_CALLEES else group[: MOST_CALLEES - 1]
    lines = len(shown) + (len(group) > len(shown))
    block = side + 2 * ring + title.height + below.height + (lines * line + gap if group else 0)
    top = max(gap // 2, (screen.height - block) // 2)
    place = Rect(screen.left, top, screen.width, side + 2 * ring)
    canvas.lay_middle(_rings(side + 2 * ring, ring, colour), place)
    canvas.lay_middle(disc(uid, name, side), place)
    canvas.lay(title, screen.middle(title.width, 0).left, place.bottom)
    top = place.bottom + title.height
    canvas.lay(below, screen.middle(below.width, 0).left, top)
    if group:
        said_of = [
            (legible(callee.name, callee.uid), words.CALLEES[callee.state]) for callee in shown
        ]
        if len(group) > len(shown):
            said_of.append((words.MORE_PEOPLE.format(count=len(group) - len(shown)), ""))
        _progress(canvas, plan, said_of, top + below.height + gap, line)


def _other(view: View, call: Call) -> tuple[str, str, str, Colour]:
    """Whose avatar, the name, what is said below it and in which colour."""
    if view.situation is Situation.RINGING_IN:
        who, said, colour = call.caller, words.rings_here(call), GREEN
        return who.uid, legible(who.name, who.uid), said, colour
    connecting = view.situation is Situation.CONNECTING
    said = words.SITUATIONS[Situation.CONNECTING] if connecting else words.rings_there(call)
    if connecting and call.direction is CallDirection.INCOMING:
        return call.caller.uid, legible(call.caller.name, call.caller.uid), said, BLUE
    answered = [callee for callee in call.callees if callee.uid == call.answered_by]
    if answered:
        return answered[0].uid, legible(answered[0].name, answered[0].uid), said, BLUE
    receiver = call.receiver
    return receiver.id, legible(receiver.name, receiver.id), said, BLUE


def _progress(
    canvas: Canvas, plan: Plan, lines: list[tuple[str, str]], top: int, step: int
) -> None:
    """One line for each callee: the name in front of the middle, its state behind."""
    middle = plan.screen.width // 2
    room = middle - 3 * plan.gap
    for name, said in lines:
        who = text(name, plan.text_px, width=room)
        how = text(said, plan.text_px, colour=QUIET, width=room) if said else None
        if how is None:
            canvas.lay(who, middle - who.width // 2, top)
        else:
            canvas.lay(who, middle - plan.gap - who.width, top)
            canvas.lay(how, middle + plan.gap, top)
        top += step


@lru_cache(maxsize=8)
def _rings(side: int, width: int, colour: Colour) -> Sprite:
    """Two soft rings around an avatar, as sound goes out from a bell."""
    mask = Image.new("L", (side * FINER, side * FINER))
    pen = ImageDraw.Draw(mask)
    for step, ink in ((0, 46), (width // 2, 105)):
        edge = step * FINER
        pen.ellipse((edge, edge, side * FINER - 1 - edge, side * FINER - 1 - edge), fill=ink)
    return tinted(mask.reduce(FINER), colour)


def is_waiting(view: View) -> bool:
    """Whether there is a call, but nobody to be shown yet."""
    if view.call is None or view.call.state is CallState.ENDED:
        return False
    if view.situation in (Situation.RINGING_IN, Situation.RINGING_OUT):
        return True
    return view.situation is Situation.CONNECTING and all(tile.own for tile in view.tiles)
