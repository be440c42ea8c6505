"""The list of scenarios: each is played in a house of its kind, in the order in which it is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.conformance.stage import Stage

Scene = Callable[[Stage], Awaitable[None]]

SCENES: dict[str, dict[str, Scene]] = {}
"""The scenarios of each house, by name."""


def scene(house: str = "house") -> Callable[[Scene], Scene]:
    """Enter a scenario."""

    def enter(play: Scene) -> Scene:
        SCENES.setdefault(house, {})[play.__name__] = play
        return play

    return enter
