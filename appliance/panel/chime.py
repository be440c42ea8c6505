"""The device's own voice: the chime for the visitor and the ring tone in the house."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from appliance.calls.effects import PlaySound, Sound, StopSound

CHIME_S = 2.0
PROMPT_S = 4.0
"""A tone, and words after it: none of the project's takes longer."""
LASTS_S: dict[Sound, float] = {
    Sound.CHIME: CHIME_S,
    Sound.REFUSED: 1.0,
    Sound.IT_IS_RINGING: PROMPT_S,
    Sound.NO_ANSWER: PROMPT_S,
    Sound.NOT_NOW: PROMPT_S,
    Sound.DOOR_OPEN: PROMPT_S,
}
"""For how long each plays that ends by itself; a ring tone lasts until it is stopped."""

PROMPTS = (Sound.IT_IS_RINGING, Sound.NO_ANSWER, Sound.NOT_NOW, Sound.DOOR_OPEN)
"""What is spoken: under a chime nobody would understand it."""


class SoundOutput(Protocol):
    """What makes a sound audible: a buzzer, a sound card, a page.

    Both are called on the loop and return at once. `play` of a sound that plays begins it anew;
    `stop` of one that does not play does nothing.
    """

    def play(self, sound: Sound) -> None:
        """Begin a sound; it goes on until `stop`."""

    def stop(self, sound: Sound) -> None:
        """End a sound."""


class SilentOutput:
    """No sound at all: for a board whose chime is only a state, which a page may play."""

    def play(self, sound: Sound) -> None:
        """Do nothing."""

    def stop(self, sound: Sound) -> None:
        """Do nothing."""


class Together:
    """Several outputs that all play the same."""

    def __init__(self, *outputs: SoundOutput) -> None:
        """One after the other, in this order."""
        self._outputs = outputs

    def play(self, sound: Sound) -> None:
        """Begin a sound on each."""
        for output in self._outputs:
            output.play(sound)

    def stop(self, sound: Sound) -> None:
        """End a sound on each."""
        for output in self._outputs:
            output.stop(sound)


class LateOutput:
    """Stands in for an output that is not ready yet, and begins what plays when it is: a press in the first
    moment after power-on is heard, too.
    """

    def __init__(self) -> None:
        """Nothing is attached."""
        self._output: SoundOutput | None = None
        self._playing: set[Sound] = set()

    def attach(self, output: SoundOutput) -> None:
        """Play through this one from now on."""
        self._output = output
        for sound in self._playing:
            output.play(sound)

    def play(self, sound: Sound) -> None:
        """Begin a sound, now or when there is something to play it."""
        self._playing.add(sound)
        if self._output is not None:
            self._output.play(sound)

    def stop(self, sound: Sound) -> None:
        """End it."""
        self._playing.discard(sound)
        if self._output is not None:
            self._output.stop(sound)


class Chime:
    """Which sounds play; `changed` is called whenever that changes.

    A prompt waits for the end of a chime, the last that was asked for.
    """

    def __init__(
        self,
        output: SoundOutput,
        *,
        changed: Callable[[], None],
        lasts_s: Mapping[Sound, float] = LASTS_S,
    ) -> None:
        """Begin silent."""
        self._output, self._changed = output, changed
        self.lasts_s = lasts_s
        """May become another when it is known better."""
        self._playing: dict[Sound, asyncio.TimerHandle | None] = {}
        self._waiting: Sound | None = None

    @property
    def playing(self) -> frozenset[Sound]:
        """What plays now."""
        return frozenset(self._playing)

    def perform(self, effect: PlaySound | StopSound) -> None:
        """Play or stop a sound: at once, but for a prompt during a chime."""
        sound = effect.sound
        if isinstance(effect, StopSound):
            self._stop(sound)
        elif sound in PROMPTS and Sound.CHIME in self._playing:
            self._waiting = sound
        else:
            self._play(sound)

    def release(self) -> None:
        """Fall silent."""
        self._waiting = None
        for sound in tuple(self._playing):
            self._stop(sound)

    def _play(self, sound: Sound) -> None:
        self._stop_timer(sound)
        timer = None
        if sound is not Sound.RINGTONE:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self.lasts_s.get(sound, CHIME_S), self._stop, sound)
        self._playing[sound] = timer
        self._output.play(sound)
        self._changed()

    def _stop(self, sound: Sound) -> None:
        if sound is self._waiting:
            self._waiting = None
        if sound in self._playing:
            self._stop_timer(sound)
            del self._playing[sound]
            self._output.stop(sound)
            self._changed()
        if sound is Sound.CHIME and self._waiting is not None:
            waited, self._waiting = self._waiting, None
            self._play(waited)

    def _stop_timer(self, sound: Sound) -> None:
        if timer := self._playing.get(sound):
            timer.cancel()
