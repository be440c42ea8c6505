"""Which sound cards there are, and which an ALSA name is about: asked of the kernel, nothing is opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from appliance.media.pcm import Direction

CARDS = re.compile(
    r"(?P<kind>hw|plughw|sysdefault|default|front|surround\d\d|iec958|spdif|hdmi|dmix|dsnoop|usbstream)"
    r":(CARD=)?(?P<card>[^,=]+)(,(DEV=)?(?P<device>\d+))?(,.*)?"
)
"""The names of ALSA's own configuration that have a card in them: hw:1,0, plughw:CARD=Device,DEV=0."""


class SoundCards:
    """The cards of the kernel."""

    def __init__(self, nodes: Path = Path("/dev/snd"), about: Path = Path("/proc/asound")) -> None:
        """`nodes` is where the devices' nodes are, `about` where the kernel tells of its cards."""
        self._nodes, self._about = nodes, about

    def seen(self) -> frozenset[str]:
        """Something that is another whenever a card has come or gone: the nodes there are."""
        return frozenset(self._names(self._nodes))

    def any(self) -> bool:
        """Whether there is a card at all."""
        return any(name.startswith("control") for name in self.seen())

    def has(self, name: str, direction: Direction) -> bool | None:
        """Whether the device of that name is there; None where the name does not say which card it is."""
        found = CARDS.fullmatch(name)
        if found is None:
            return None
        number = self._number(found["card"])
        nodes = self.seen()
        if number is None or f"controlC{number}" not in nodes:
            return False
        if found["kind"] not in ("hw", "plughw"):
            return True
        letter = "p" if direction is Direction.PLAYBACK else "c"
        return f"pcmC{number}D{found['device'] or 0}{letter}" in nodes

    def _number(self, card: str) -> int | None:
        """Of a card by its number or its id."""
        if card.isdecimal():
            return int(card)
        for name in self._names(self._about):
            number = name.removeprefix("card")
            if number.isdecimal() and self._id(name) == card:
                return int(number)
        return None

    def _id(self, name: str) -> str:
        try:
            return (self._about / name / "id").read_text(encoding="ascii").strip()
        except OSError:  # it has gone meanwhile
            return ""

    @staticmethod
    def _names(folder: Path) -> Iterator[str]:
        try:
            yield from (path.name for path in folder.iterdir())
        except OSError:  # where there has never been a card, there is no folder
            return
