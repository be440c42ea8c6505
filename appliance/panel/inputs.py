"""The inputs that are no buttons: door contact, exit button, tamper switch, motion sensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from appliance import config
from appliance.calls.inputs import Input, InputSwitched
from appliance.panel.contacts import Contact, Wiring
from appliance.panel.gestures import Debounce
from appliance.panel.pins import PinFactory

BOUNCE_S = 0.05
"""Reeds, switches and sensors are slower than fingers notice, and none is faster than this."""

InputState = Literal["on", "off"]

_WIRED: dict[str, Wiring] = {
    # loops to ground that are closed while all is well, so that a cut wire is seen: on is open
    "door_contact": Wiring("up", active_high=True),
    "tamper": Wiring("up", active_high=True),
    "exit": Wiring("up", active_high=False),
    # sensors that drive the pin high
    "motion": Wiring("down", active_high=True),
}
"""How each kind is wired, unless its section says otherwise; the contact is "closed" while it is on."""


class Level:
    """Reads a contact as a level behind its chatter; pure."""

    def __init__(self, *, closed: bool) -> None:
        """Begin at rest."""
        self._contact = Debounce(BOUNCE_S, closed=closed)

    @property
    def deadline_s(self) -> float | None:
        """When the chatter is over, unless another edge comes."""
        return self._contact.quiet_at_s

    def edge(self, at_s: float, *, closed: bool) -> list[bool]:
        """Take an edge; the level, each time that it changed."""
        told = self.tick(at_s)
        if self._contact.edge(at_s, closed=closed):
            told.append(self._contact.closed)
        return told

    def tick(self, now_s: float) -> list[bool]:
        """Let time pass; the level, if it is another than was believed."""
        due_s = self._contact.quiet_at_s
        changed = due_s is not None and due_s <= now_s and self._contact.rest()
        return [self._contact.closed] if changed else []


class InputPin:
    """One input. On means: the door is open, the button pressed, the case open, somebody moves."""

    def __init__(
        self,
        name: str,
        section: config.InputPin,
        *,
        factory: PinFactory,
        post: Callable[[Input], None],
        simulated: bool = False,
    ) -> None:
        """Claim the pin; a simulated one begins with all well. Raises what gpiozero raises.

        What is on already is told, but of an exit button: nobody pressed it just now.
        """
        self._name, self._kind, self._post = name, section.kind, post
        usual = _WIRED[section.kind]
        active_high = usual.active_high if section.active_high is None else section.active_high
        self._contact = Contact(
            section.pin,
            lambda closed: Level(closed=closed),
            self._tell,
            wiring=Wiring(section.pull or usual.pull, active_high),
            factory=factory,
            simulate_closed=False if simulated else None,
        )
        if self.on and section.kind != "exit":
            self._tell(on=True)

    @property
    def on(self) -> bool:
        """What the pin says at this moment."""
        return self._contact.closed

    @property
    def state(self) -> InputState:
        """The same in a word."""
        return "on" if self.on else "off"

    def move(self, *, on: bool) -> None:
        """Let the contact or sensor of a mock pin change."""
        self._contact.move(closed=on)

    def release(self) -> None:
        """Give the pin back; nothing is posted afterwards."""
        self._contact.release()

    def _tell(self, on: bool) -> None:
        self._post(InputSwitched(self._name, self._kind, on))
