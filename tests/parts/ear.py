"""A loudspeaker of chimes and signals that keeps what it was given."""

from __future__ import annotations

from appliance.calls.effects import Sound


class Ear:
    """What is heard at the door."""

    def __init__(self) -> None:
        self.heard: list[Sound] = []

    def play(self, sound: Sound) -> None:
        self.heard.append(sound)

    def stop(self, sound: Sound) -> None:
        """It ends."""
