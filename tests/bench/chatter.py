"""Whether a press is one press: a generator of chatter on a mock pin, in played time.

1 to 20 bounces, each with 0.1 to 20 ms between its edges, at both ends of every touch.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable

from appliance import config
from appliance.calls.inputs import ButtonGestured, ButtonPressed, Input
from appliance.model import Gesture
from appliance.panel.buttons import Button
from tests.bench.table import Row
from tests.panel.chatter import Edge, burst
from tests.panel.virtual import play
from tests.panel.wires import MockWires

PIN = 17
BOUNCES = range(1, 21)
GAPS_MS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0)
MIXED = 20
"""Touches for each number of bounces whose gaps are all different."""
APART_S = 0.2


class Presses:
    """A button, what its pin went through, and what was made of it."""

    def __init__(self) -> None:
        self.posted: list[Input] = []
        self.lit: list[str] = []
        self.edges = 0
        self.of_a_touch: Counter[tuple[int, int, int]] = Counter()
        """How many touches gave so many presses, gestures and lights."""

    async def touch_all(self, touches: Iterable[tuple[list[float], list[float]]]) -> None:
        """Each touch in turn: the gaps in seconds when it closes, and when it opens."""
        wires = MockWires()
        button = Button(
            "call",
            config.Button(pin=PIN, press="call"),
            factory=wires.factory,
            post=self.posted.append,
            acknowledge=self.lit.append,
        )
        for down, up in touches:
            self.posted.clear()
            self.lit.clear()
            for edges in (burst(0.0, down, closed=True), burst(0.0, up, closed=False)):
                await self._move(wires, edges)
                await asyncio.sleep(APART_S)
            presses = self.posted.count(ButtonPressed("call"))
            gestures = sum(isinstance(one, ButtonGestured) for one in self.posted)
            wrong = gestures != self.posted.count(ButtonGestured("call", Gesture.PRESS))
            self.of_a_touch[presses, -1 if wrong else gestures, len(self.lit)] += 1
        button.release()

    async def _move(self, wires: MockWires, edges: Iterable[Edge]) -> None:
        before_s = 0.0
        for at_s, closed in edges:
            await asyncio.sleep(at_s - before_s)
            before_s = at_s
            (wires.to_ground if closed else wires.let_go)(PIN)
            self.edges += 1


def touches() -> list[tuple[list[float], list[float]]]:
    """Every number of bounces with every gap, and as many again with gaps of their own."""
    rng = random.Random(20)

    def mixed(bounces: int) -> list[float]:
        return [rng.uniform(0.0001, 0.02) for _ in range(2 * bounces)]

    even = [([gap_ms / 1e3] * 2 * n, [gap_ms / 1e3] * 2 * n) for n in BOUNCES for gap_ms in GAPS_MS]
    return even + [(mixed(n), mixed(n)) for n in BOUNCES for _ in range(MIXED)]


def run() -> list[Row]:
    """All of them; a touch is right that is one press, one gesture and one light."""
    made, presses = touches(), Presses()
    play(presses.touch_all(made))
    right = presses.of_a_touch[1, 1, 1]
    return [
        Row("touches, 1 to 20 bounces of 0.1 to 20 ms at both ends", len(made), ""),
        Row("edges on the pin", presses.edges, ""),
        Row("touches that were one press", right, "", least=len(made)),
        Row("touches that were none, or more", len(made) - right, "", most=0),
    ]
