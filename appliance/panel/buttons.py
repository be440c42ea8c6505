"""The buttons: what fingers do with them, reported at the first edge and when a gesture is complete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from appliance import config
from appliance.calls.inputs import ButtonGestured, ButtonPressed, ButtonStuck, Input
from appliance.model import Gesture
from appliance.panel.contacts import Contact, Wiring
from appliance.panel.gestures import (
    DOUBLE_PRESS_S,
    STUCK_S,
    FirstEdge,
    Happening,
    Recogniser,
    Stuck,
)
from appliance.panel.pins import PinFactory

_TOUCH_S = 0.08
"""How long a finger rests on a button, and how long it is away in a double press."""

_MARGIN_S = 0.02
"""What a simulated finger adds, so that the loop's own lateness decides nothing."""


class Button:
    """One button; `acknowledge` is called at each first edge, before anything is posted."""

    def __init__(
        self,
        name: str,
        section: config.Button,
        *,
        factory: PinFactory,
        post: Callable[[Input], None],
        acknowledge: Callable[[str], None],
        simulated: bool = False,
        stuck_s: float = STUCK_S,
    ) -> None:
        """Claim the pin; nobody presses a simulated one yet. Raises what gpiozero or its driver raises."""
        self.name = name
        self._section = section
        self._bounce_s, self._stuck_s = section.bounce_ms / 1000, stuck_s
        self._bound = frozenset(
            gesture for gesture in Gesture if getattr(section, gesture.value) is not None
        )
        self._post = post
        self._acknowledge = acknowledge
        self._finger = asyncio.Lock()
        self._contact = Contact(
            section.pin,
            self._recogniser,
            self._tell,
            wiring=Wiring.of(section.pull, section.active_high),
            factory=factory,
            simulate_closed=False if simulated else None,
        )

    async def press(self, gesture: Gesture) -> None:
        """Move the mock pin as a finger would, and return when the gesture is decided.

        Two callers press one after the other: there is room for one finger only.
        """
        touch_s = max(_TOUCH_S, self._bounce_s + _MARGIN_S)
        async with self._finger:
            if gesture is Gesture.HOLD:
                touch_s += max(self._section.hold_s, self._bounce_s)
            elif Gesture.HOLD in self._bound:
                touch_s = min(touch_s, self._section.hold_s / 2)
            await self._touch(touch_s)
            if gesture is Gesture.DOUBLE_PRESS:
                await self._touch(touch_s)
            elif Gesture.DOUBLE_PRESS in self._bound:
                await asyncio.sleep(DOUBLE_PRESS_S)

    def release(self) -> None:
        """Give the pin back; nothing is posted afterwards."""
        self._contact.release()

    async def _touch(self, touch_s: float) -> None:
        """One touch, and the time that the contact takes to be believed open again."""
        try:
            self._contact.move(closed=True)
            await asyncio.sleep(touch_s)
        finally:
            self._contact.move(closed=False)
        await asyncio.sleep(max(_TOUCH_S, self._bounce_s + _MARGIN_S))

    def _recogniser(self, closed: bool) -> Recogniser:
        return Recogniser(
            self._bound,
            bounce_s=self._bounce_s,
            hold_s=self._section.hold_s,
            closed=closed,
            at_s=asyncio.get_running_loop().time(),
            stuck_s=self._stuck_s,
        )

    def _tell(self, happening: Happening) -> None:
        tell(self.name, happening, self._post, self._acknowledge)


def tell(
    name: str,
    happening: Happening,
    post: Callable[[Input], None],
    acknowledge: Callable[[str], None],
) -> None:
    """Report what was found of the button or key `name`; its first edge is acknowledged before."""
    match happening:
        case FirstEdge():
            acknowledge(name)
            post(ButtonPressed(name))
        case Stuck(stuck):
            post(ButtonStuck(name, stuck))
        case _:
            post(ButtonGestured(name, happening.gesture))
