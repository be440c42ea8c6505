"""A passive buzzer: chime, ring tone and alarm as a few notes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import cycle

from gpiozero import TonalBuzzer
from gpiozero.tones import Tone

from appliance.calls.effects import Sound
from appliance.panel.pins import PinFactory

Note = tuple[float | None, float]
"""Hertz (None: silence), and for how many seconds."""

TUNES: dict[Sound, tuple[Note, ...]] = {
    Sound.CHIME: ((659.3, 0.4), (523.3, 0.8)),
    Sound.REFUSED: ((220.0, 0.25), (None, 0.1), (220.0, 0.5)),
    Sound.RINGTONE: ((880.0, 0.4), (None, 0.2), (880.0, 0.4), (None, 2.0)),
    Sound.ALARM: ((1318.5, 0.2), (None, 0.1)) * 4,
    Sound.IT_IS_RINGING: ((784.0, 0.2), (None, 0.1), (784.0, 0.3)),
    Sound.NO_ANSWER: ((784.0, 0.2), (659.3, 0.2), (523.3, 0.3)),
    Sound.NOT_NOW: ((659.3, 0.3), (523.3, 0.4)),
    Sound.DOOR_OPEN: ((523.3, 0.15), (659.3, 0.15), (1046.5, 0.4)),
}
"""What is heard; a ring tone begins anew until it is stopped. What has no tune is silent here."""

OCTAVES = 2
"""Around A4: from 110 to 1760 Hz."""


class Buzzer:
    """A `SoundOutput`. One note at a time: the sound that began last is heard.

    `failed` is told once what its driver raised, `works` when a note is played again.
    """

    def __init__(
        self,
        pin: str | int,
        *,
        factory: PinFactory,
        failed: Callable[[Exception], None],
        works: Callable[[], None] = lambda: None,
    ) -> None:
        """Claim the pin, silent. Raises what gpiozero or its driver raises. Call on the loop."""
        self._loop = asyncio.get_running_loop()
        self._failed, self._works = failed, works
        self._failing = False
        self._device = TonalBuzzer(pin, octaves=OCTAVES, pin_factory=factory)
        self._playing: Sound | None = None
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def frequency_hz(self) -> float | None:
        """The note that is heard now."""
        tone = self._device.tone
        return None if tone is None else float(tone.frequency)

    def play(self, sound: Sound) -> None:
        """Begin a sound from its first note."""
        tune = TUNES.get(sound)
        if tune is None:
            return
        self._cancel()
        self._playing = sound
        self._next(cycle(tune) if sound is Sound.RINGTONE else iter(tune))

    def stop(self, sound: Sound) -> None:
        """End a sound, if it is the one that is heard."""
        if sound is self._playing:
            self._fall_silent()

    def release(self) -> None:
        """Fall silent and give the pin back."""
        self._cancel()
        self._playing = None
        self._device.close()

    def _next(self, notes: Iterator[Note]) -> None:
        note = next(notes, None)
        if note is None:
            self._fall_silent()
            return
        frequency_hz, length_s = note
        try:
            if frequency_hz is None:
                self._end_note()
            else:
                self._device.play(Tone.from_frequency(frequency_hz))
                self._succeed()
        except Exception as error:
            # drivers raise what they like; the next sound tries again
            self._playing = None
            self._fail(error)
            return
        self._alarm = self._loop.call_later(length_s, self._next, notes)

    def _fall_silent(self) -> None:
        self._cancel()
        self._playing = None
        try:
            self._end_note()
        except Exception as error:
            self._fail(error)

    def _end_note(self) -> None:
        """And drive the line low: lgpio leaves it at whichever level it had, and a coil gets warm."""
        self._device.stop()
        self._device.pwm_device.pin.state = False

    def _fail(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            self._failed(error)

    def _succeed(self) -> None:
        if self._failing:
            self._failing = False
            self._works()

    def _cancel(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
