"""The switch under a handset: lifted or put back, told once its contact has come to rest.

Unlike a button's it is not believed at its first edge: a knock against the device makes the contact
bounce, and is to answer no call and to end none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from appliance import config
from appliance.calls.inputs import HookSwitched, Input
from appliance.errors import Refused
from appliance.model import Gesture
from appliance.panel.contacts import Contact, Wiring
from appliance.panel.pins import PinFactory

_MARGIN_S = 0.02
"""What a simulated hand waits longer than the contact needs to come to rest."""


class Rest:
    """Reads a contact as the level at which it has been quiet for `bounce_s`; pure."""

    def __init__(self, bounce_s: float, *, closed: bool) -> None:
        """Begin at rest."""
        self.deadline_s: float | None = None
        """When the contact is at rest unless another edge comes; None while it is."""
        self._bounce_s = bounce_s
        self._believed = self._level = closed

    def edge(self, at_s: float, *, closed: bool) -> list[bool]:
        """Take an edge; the level at which it was at rest before, if that is news."""
        told = self.tick(at_s)
        if closed != self._level:
            self._level = closed
            self.deadline_s = at_s + self._bounce_s
        return told

    def tick(self, now_s: float) -> list[bool]:
        """Let time pass; the level, if it is at rest and another than was believed."""
        if self.deadline_s is None or self.deadline_s > now_s:
            return []
        self.deadline_s = None
        changed, self._believed = self._believed != self._level, self._level
        return [self._level] if changed else []


class HookSwitch:
    """One handset; its contact is closed while it is lifted.

    `acknowledge` is called before each change is posted.
    """

    def __init__(
        self,
        name: str,
        section: config.Button,
        *,
        factory: PinFactory,
        post: Callable[[Input], None],
        acknowledge: Callable[[str], None],
        simulated: bool = False,
    ) -> None:
        """Claim the pin; a simulated one begins put back. Raises what gpiozero or its driver raises."""
        self._name = name
        self._bounce_s = section.bounce_ms / 1000
        self._post = post
        self._acknowledge = acknowledge
        self._hand = asyncio.Lock()
        self._contact = Contact(
            section.pin,
            lambda closed: Rest(self._bounce_s, closed=closed),
            self._tell,
            wiring=Wiring.of(section.pull, section.active_high),
            factory=factory,
            simulate_closed=False if simulated else None,
        )

    async def press(self, gesture: Gesture) -> None:
        """Lift the handset of a mock pin, or put it back, and return when that is told.

        Raises Refused for what cannot be done with a handset.
        """
        if gesture is not Gesture.PRESS:
            raise Refused("bad_gesture", f"A handset is lifted and put back: it has no {gesture}.")
        async with self._hand:
            self._contact.move(closed=not self._contact.closed)
            await asyncio.sleep(self._bounce_s + _MARGIN_S)

    def release(self) -> None:
        """Give the pin back; nothing is posted afterwards."""
        self._contact.release()

    def _tell(self, lifted: bool) -> None:
        self._acknowledge(self._name)
        self._post(HookSwitched(self._name, lifted))
