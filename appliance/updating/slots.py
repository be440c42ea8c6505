"""How the two slots of this device are: what `image-build/update/slots` has told, and what it is asked.

That script is RAUC's handler and decides; it needs no Python, so that it works where nothing else does.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from appliance.errors import ApplianceError

TOLD = Path("/run/appliance-update/slots")
"""Written by the script at each start and whenever something has changed; everybody may read it."""

PROGRAM = Path("/usr/lib/appliance/slots")
PATIENCE_S = 90.0


class NoSlots(ApplianceError):
    """This device has no second slot, or nothing is known of it."""

    code = "no_slots"


class Slots(Struct, frozen=True):
    """Which slot runs (`A` or `B`), which is booted by default, and how the one is that is not the default.

    `other`: `good`, `bad` (nothing whole is in it), `new` (to be tried), `tried`, `failed`. `trial`: what
    runs is being tried. `fell_back`: this start is one after a trial that failed. `why`: why the other one
    was left, where it has failed.
    """

    current: str
    default: str
    other: str
    trial: bool = False
    fell_back: bool = False
    why: str | None = None

    def status(self) -> Mapping[str, str | bool | None]:
        """As the `status` of the local socket has it."""
        return {
            "slot": self.current,
            "default_slot": self.default,
            "other_slot": self.other,
            "trial": self.trial,
            "fell_back": self.fell_back,
            "why": self.why,
        }


NONE: Mapping[str, str | bool | None] = {
    "slot": None,
    "default_slot": None,
    "other_slot": None,
    "trial": False,
    "fell_back": False,
    "why": None,
}
"""The status of a device that has no slots."""


def understand(text: str) -> Slots:
    """Read `key=value` lines. Raises NoSlots where they are none of the script's."""
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    try:
        return Slots(
            said["current"],
            said["default"],
            said["other"],
            trial=said.get("trial") == "yes",
            fell_back=said.get("fell_back") == "yes",
            why=said.get("why") or None,
        )
    except KeyError as missing:
        raise NoSlots(f"nothing is told of the slots: {missing} is missing") from None


def told(file: Path | None = None) -> Slots | None:
    """What was told last, for who has no rights; None on a device without slots."""
    try:
        return understand((file or TOLD).read_text("utf-8", "replace"))
    except (OSError, NoSlots):
        return None


def ask(*words: str) -> str:
    """Let the script do something; what it says. Raises NoSlots with its sentence."""
    try:
        done = subprocess.run(  # noqa: S603 - our own script, and fixed words
            [PROGRAM, *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except OSError:
        raise NoSlots(
            "this system has one slot only: it is updated as it was installed, by apt or by hand"
        ) from None
    except subprocess.TimeoutExpired:
        raise NoSlots(f"{PROGRAM} does not come to an end") from None
    if done.returncode:
        raise NoSlots(done.stderr.strip().removeprefix("slots: ") or f"{PROGRAM}: {words} failed")
    return done.stdout


def status() -> Slots:
    """How the slots are now. Raises NoSlots."""
    return understand(ask("status"))
