"""Keypads: keys as buttons, named `<keypad>.<key>`, read from a matrix."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from appliance import config
from appliance.calls.inputs import FaultCleared, FaultReported, Input
from appliance.errors import Refused, did_you_mean
from appliance.model import Gesture
from appliance.panel.buttons import tell
from appliance.panel.contacts import Reading
from appliance.panel.gestures import Happening, Recogniser
from appliance.panel.matrix import Crossing, Matrix
from appliance.panel.pins import PinFactory

_TOUCH_S = 0.08
_MARGIN_S = 0.02


class Keypad:
    """One keypad; `acknowledge` is called at each first edge, before anything is posted."""

    def __init__(
        self,
        name: str,
        section: config.Keypad,
        *,
        factory: PinFactory,
        post: Callable[[Input], None],
        acknowledge: Callable[[str], None],
    ) -> None:
        """Claim the pins and read them. Raises what gpiozero or its driver raises, or ValueError."""
        self._name, self._bounce_s = name, section.bounce_ms / 1000
        self._post, self._acknowledge = post, acknowledge
        self._loop = asyncio.get_running_loop()
        self._finger = asyncio.Lock()
        self._crossings = crossings(section)
        self._keys = {
            at: Reading(
                Recogniser({Gesture.PRESS}, bounce_s=self._bounce_s, hold_s=1.0),
                partial(self._tell, key),
            )
            for key, at in self._crossings.items()
        }
        self._released = False
        self._matrix = Matrix(
            section.rows,
            section.columns,
            factory=factory,
            changed=self._hand_over,
            failed=self._failed,
        )

    async def press(self, key: str, gesture: Gesture) -> None:
        """Press a key of a simulated keypad as a finger would, in real time.

        Raises Refused for a key that is not there, and for what a key does not do.
        """
        if key not in self._crossings:
            near = did_you_mean(key, self._crossings) or "."
            raise Refused("unknown_button", f'There is no key "{key}" on {self._name}{near}')
        if gesture is not Gesture.PRESS:
            raise Refused("bad_gesture", f"A key is pressed: it has no {gesture}.")
        touch_s = max(_TOUCH_S, self._bounce_s + _MARGIN_S)
        async with self._finger:
            try:
                self._matrix.hold(self._crossings[key])
                await asyncio.sleep(touch_s)
            finally:
                self._matrix.hold(None)
            await asyncio.sleep(touch_s)

    def held_up_s(self) -> float:
        """How long its thread has been in the driver; any thread."""
        return self._matrix.held_up_s()

    def release(self) -> None:
        """Give the pins back; nothing is posted afterwards."""
        self._released = True
        self._matrix.release()
        for reading in self._keys.values():
            reading.stop()

    def _hand_over(self, at_s: float, changes: Mapping[Crossing, bool]) -> None:
        """Leave the matrix's thread, with the time of its look."""
        self._loop.call_soon_threadsafe(self._take, at_s, changes)

    def _take(self, at_s: float, changes: Mapping[Crossing, bool]) -> None:
        if not self._released:
            for at, closed in changes.items():
                if at in self._keys:
                    self._keys[at].edge(at_s, closed=closed)

    def _tell(self, key: str, happening: Happening) -> None:
        tell(f"{self._name}.{key}", happening, self._post, self._acknowledge)

    def _failed(self, error: Exception | None) -> None:
        """In the matrix's thread."""
        where = f"keypads.{self._name}"
        if error is None:
            self._post(FaultCleared(where))
        else:
            why = str(error).rstrip(".") or type(error).__name__
            sentence = f"the keypad {self._name} cannot be read: {why}"
            self._post(FaultReported("pin_unavailable", sentence, where))


def crossings(section: config.Keypad) -> dict[str, Crossing]:
    """Where in the matrix each key is, as (row, column) from 0; a space is no key.

    Raises ValueError where the keys do not fit the pins.
    """
    if len(section.keys) != len(section.rows):
        raise ValueError(f"has {len(section.rows)} rows of pins and {len(section.keys)} of keys")
    found: dict[str, Crossing] = {}
    for row, keys in enumerate(section.keys):
        if len(keys) != len(section.columns):
            raise ValueError(
                f'has {len(section.columns)} columns, and "{keys}" is {len(keys)} keys'
            )
        for column, key in enumerate(keys):
            if key in found:
                raise ValueError(f"has the key {key} twice")
            if key != " ":
                found[key] = (row, column)
    return found
