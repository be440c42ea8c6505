"""Views as the core gives them, with people before cameras: for tests, for the eye, and for the docs.

`python -m tests.screen.gallery docs/screen.png` makes the picture of docs/screen.md;
`python -m tests.screen.gallery --all FOLDER` every scene in several sizes.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from PIL import Image, ImageDraw, ImageFilter

from appliance.model import (
    AvatarMode,
    Call,
    CallDirection,
    Callee,
    CalleeState,
    Caller,
    CallState,
    CallType,
    Layout,
    MainVideoContainer,
    Participant,
    ParticipantState,
    Receiver,
    ReceiverType,
    Situation,
    Tile,
    View,
)
from appliance.screen.canvas import Pixels
from appliance.screen.compositor import Compositor, Stage
from appliance.screen.layouts import Key, key_of

NOON = datetime(2026, 11, 21, 12, 34, 56, tzinfo=UTC)
DEVICE = "Front door"
SIZES = ((800, 480), (320, 240), (1920, 1080))

SHIRTS = ((70, 110, 160), (150, 70, 80), (60, 120, 90), (120, 90, 150), (160, 120, 60))
SKINS = ((224, 180, 150), (140, 95, 70), (240, 205, 180), (190, 140, 105), (110, 75, 55))
HAIRS = ((60, 40, 30), (25, 20, 20), (190, 150, 90), (110, 60, 40), (90, 90, 95))
WALLS = ((176, 186, 190), (205, 190, 170), (150, 170, 160), (190, 175, 190), (170, 170, 150))


@cache
def person(number: int, width: int = 640, height: int = 360) -> Pixels:
    """Somebody in a room, as a camera sees it: drawn once, and not to be written to."""
    pick = number % len(SHIRTS)
    wall = np.array(WALLS[pick]) * np.linspace(1.05, 0.75, height)[:, None]
    image = Image.fromarray(np.repeat(wall[:, None], width, axis=1).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    unit = height / 36
    window = width * (0.06 if number % 2 else 0.72), unit * 4
    pen.rectangle(
        (window[0], window[1], window[0] + 9 * unit, window[1] + 14 * unit), (225, 235, 240)
    )
    image = image.filter(ImageFilter.GaussianBlur(unit / 2))
    pen = ImageDraw.Draw(image)
    x = width / 2 + (number % 3 - 1) * 3 * unit

    def blob(dx: float, y: float, rx: float, ry: float, colour: tuple[int, int, int]) -> None:
        box = (x + (dx - rx) * unit, (y - ry) * unit, x + (dx + rx) * unit, (y + ry) * unit)
        pen.ellipse(box, fill=colour)

    blob(0, 15, 6.4, 8.4, HAIRS[pick])
    blob(0, 39, 13, 13, SHIRTS[pick])
    blob(0, 23.5, 2.6, 5, SKINS[pick])
    blob(0, 16.5, 5, 6.6, SKINS[pick])
    blob(0, 10.2, 5.2, 3, HAIRS[pick])
    for side in (-1, 1):
        blob(side * 2.1, 16, 0.5, 0.6, (40, 35, 35))
    blob(0, 20, 1.5, 0.5, (160, 80, 80))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(unit / 12)))


def document(width: int = 640, height: int = 400) -> Pixels:
    """A shared screen: a window with lines of text."""
    image = Image.new("RGB", (width, height), (236, 239, 243))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, width, height // 12), (60, 80, 110))
    for line in range(12):
        top = height * (line + 3) // 16
        across = width * (82 if line % 4 else 45) // 100
        pen.rectangle((width // 12, top, across, top + height // 40), (120, 130, 145))
    return np.asarray(image)


# -------------------- who is there

NAMES = (
    "Alice",
    "Bob Müller-Lüdenscheidt zu Großenkneten",
    "Çağla Şahin",
    "安倍 花子",
    "Carol",
    "Dmitri Иванов",
    "Eve",
    "François",
)


def tile(number: int, **about: Any) -> Tile:
    """The tile of the so-manieth participant; `video` and `screen` are the tile's, all else is theirs."""
    own = {key: about.pop(key) for key in ("video", "screen") if key in about}
    values: dict[str, Any] = {
        "uid": f"user-{number}",
        "name": NAMES[number % len(NAMES)],
        "endpoint": "page-1",
        "state": ParticipantState.CONNECTED,
    }
    return Tile(Participant(**{**values, **about}), **own)


def this_device(**about: Any) -> Tile:
    """The tile of the device itself."""
    values: dict[str, Any] = {"uid": "front-door", "name": DEVICE, "endpoint": "main"}
    return Tile(Participant(**{**values, "state": ParticipantState.CONNECTED, **about}), own=True)


def call(state: CallState = CallState.CONNECTED, **about: Any) -> Call:
    """A video call from Alice, or to the residents."""
    values: dict[str, Any] = {
        "call_id": "c1",
        "session_id": "s1",
        "direction": CallDirection.INCOMING,
        "type": CallType.VIDEO,
        "state": state,
        "caller": Caller("alice", "Alice Ångström"),
        "receiver": Receiver(ReceiverType.GROUP, "residents", "Residents"),
    }
    return Call(**{**values, **about})


def view(
    *tiles: Tile,
    layout: Layout = Layout.SPOTLIGHT,
    situation: Situation = Situation.IN_CALL,
    **about: Any,
) -> View:
    """A conversation of those, the first large."""
    values: dict[str, Any] = {
        "call": call(),
        "participant_list_visible": False,
        "picture_in_picture": False,
        "main": 0,
        **about,
    }
    return View(situation=situation, layout=layout, tiles=tiles, **values)


def idle(situation: Situation = Situation.IDLE, **about: Any) -> View:
    """Nobody calls."""
    return view(situation=situation, call=None, **{"main": None, **about})


def crowd(count: int) -> tuple[Tile, ...]:
    """So many others, each about something, and this device."""
    about: list[dict[str, Any]] = [
        {},
        {"audio_muted": True},
        {"hand_raised": True, "audio_muted": True},
        {"video_paused": True},
        {"recording": True},
    ]
    others = [tile(number, **about[number % len(about)]) for number in range(count)]
    return *others, this_device()


def pictures(view: View) -> dict[Key, Pixels]:
    """What the cameras of a view see."""
    return {
        key_of(one): document() if one.screen else person(number)
        for number, one in enumerate(view.tiles)
        if one.video
    }


def ringing_out(*callees: Callee) -> View:
    """This device calls; without callees, one user."""
    whom = call(
        CallState.OUTGOING,
        direction=CallDirection.OUTGOING,
        callees=callees or (Callee("alice", "Alice", CalleeState.RINGING),),
        receiver=Receiver(ReceiverType.GROUP, "residents", "Residents")
        if callees
        else Receiver(ReceiverType.USER, "alice", "Alice"),
    )
    return view(this_device(), situation=Situation.RINGING_OUT, call=whom)


def scenes() -> dict[str, View]:
    """Everything that a screen can show, by name."""
    four = crowd(4)
    sharing = tile(1, screen=True, screen_sharing=True)
    made = {
        "idle": idle(),
        "idle_notices": idle(Situation.BROKER_AWAY, missed_calls=3, do_not_disturb=True),
        "idle_error": idle(Situation.ERROR, missed_calls=1),
        "ringing_in": view(
            situation=Situation.RINGING_IN, call=call(CallState.INCOMING), main=None
        ),
        "ringing_out": ringing_out(),
        "ringing_group": ringing_out(
            Callee("alice", "Alice", CalleeState.RINGING),
            Callee("bob", "Bob Müller-Lüdenscheidt", CalleeState.REJECTED),
            Callee("carol", "Carol", CalleeState.OFFLINE),
            Callee("dave", "Dave", CalleeState.RINGING),
            Callee("eve", "Eve", CalleeState.BUSY),
        ),
        "connecting": view(this_device(), situation=Situation.CONNECTING),
        "spotlight_audio": view(tile(0, video=False), tile(2, video=False), this_device()),
        "screen": view(sharing, *four),
        "pip": view(*four, picture_in_picture=True),
        "list": view(*four, participant_list_visible=True, situation=Situation.RECORDING),
        "list_long": view(*crowd(11), participant_list_visible=True, layout=Layout.TILE),
        "states": view(
            tile(0, state=ParticipantState.RECONNECTING),
            tile(2, on_hold=True),
            tile(4, state=ParticipantState.CONNECTING, video_paused=True),
            this_device(audio_muted=True),
            layout=Layout.TILE,
            situation=Situation.MUTED,
        ),
        "cover": view(*crowd(2), container=MainVideoContainer(fit="cover")),
        "tile_16": view(*crowd(15), layout=Layout.TILE),
        "tile_20": view(*crowd(19), layout=Layout.TILE),
        "spotlight_12": view(*crowd(11)),
    }
    for layout in Layout:
        for count in (1, 2, 4):
            made[f"{layout}_{count}"] = view(*crowd(count)[:-1], this_device(), layout=layout)
    for mode in AvatarMode:
        paused = [replace(one, video=False) for one in four]
        made[f"avatars_{mode}"] = view(*paused, avatar_mode=mode, layout=Layout.TILE)
    return made


def composed(shown: View, width: int, height: int) -> Pixels:
    """One picture of a view."""
    return Compositor(width, height, DEVICE).compose(Stage(shown, pictures(shown)), NOON)


FOR_DOCS = ("idle_notices", "ringing_in", "spotlight_4", "tile_4", "list", "pip")


def sheet() -> Image.Image:
    """The picture of the docs: six screens, two in a row."""
    width, height, gap = 640, 384, 16
    whole = Image.new("RGB", (2 * width + 3 * gap, 3 * height + 4 * gap), (246, 247, 249))
    made = scenes()
    for place, name in enumerate(FOR_DOCS):
        picture = Image.fromarray(composed(made[name], width, height))
        row, column = divmod(place, 2)
        whole.paste(picture, (gap + column * (width + gap), gap + row * (height + gap)))
    return whole


def main(arguments: list[str]) -> None:
    """Write the docs' picture, or everything."""
    match arguments:
        case ["--all", folder]:
            for width, height in SIZES:
                for name, shown in scenes().items():
                    to = Path(folder) / f"{width}x{height}" / f"{name}.png"
                    to.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(composed(shown, width, height)).save(to)
        case [file]:
            sheet().save(file, optimize=True)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
