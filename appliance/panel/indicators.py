"""The LEDs: each shows its pattern of the present situation, and answers a press at once.

One timer per LED on the loop, no thread: what an LED shows is a pure function of time, so that a
timer that comes late shows what is right then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from gpiozero import LED, PWMLED, RGBLED

from appliance import config
from appliance.model import Notice, Situation
from appliance.panel.patterns import Pattern, Rgb, patterns_for
from appliance.panel.pins import PinFactory

ACKNOWLEDGE_S = 0.15
"""How long an LED answers a press: long enough to be seen, short enough to go unnoticed in a ring."""

RETRY_S = 3.0
"""How soon an LED whose driver raised is written again."""

Light = tuple[float, Rgb]
"""A level, and the colour of full light."""

_WHITE: Rgb = (1.0, 1.0, 1.0)


class Indicator:
    """One LED.

    `failed` is told what its driver raised while something was shown, `works` when it does again;
    `changed` is called when another pattern is shown, or light has come or gone.
    """

    def __init__(
        self,
        section: config.Led,
        *,
        factory: PinFactory,
        failed: Callable[[Exception], None],
        changed: Callable[[], None],
        works: Callable[[], None] = lambda: None,
    ) -> None:
        """Claim the pins, dark. Raises what gpiozero or its driver raises. Call on the loop."""
        self._loop = asyncio.get_running_loop()
        self._patterns = patterns_for(section.kind, section.patterns)
        self._failed, self._changed, self._works = failed, changed, works
        self._device = claim(section, factory)
        self._situation = Situation.IDLE
        self._counts: tuple[int, ...] = ()
        self._notice: Notice | None = None
        self._failing = False
        self._since_s = self._loop.time()
        self._answering_until_s = self._since_s
        self._answer = 1.0
        self._shown: Light = (0.0, _WHITE)
        self._alarm: asyncio.TimerHandle | None = None
        self.pattern: str = self._patterns[self._situation].text
        """The spelling of what is shown: of the situation's pattern, or `on` or `off` as an answer."""
        self._told = self.pattern, self.lit
        self._refresh()

    @property
    def lit(self) -> bool:
        """Whether there is light now, read back from the pin."""
        return bool(self._device.is_active)

    def show(self, situation: Situation, counts: Sequence[int] = ()) -> None:
        """Show the pattern of a situation from its beginning, unless it is shown already.

        `counts` are the numbers of what is wrong, for a pattern that counts.
        """
        if (situation, tuple(counts)) != (self._situation, self._counts):
            before = self._pattern
            anew = situation is not self._situation and self._notice is None
            self._situation, self._counts = situation, tuple(counts)
            if anew or self._pattern != before:
                self._since_s = self._loop.time()
            self._refresh()

    def tell(self, notice: Notice | None) -> None:
        """Show a notice's pattern instead of the situation's, until there is none."""
        if notice is not self._notice:
            self._notice, self._since_s = notice, self._loop.time()
            self._refresh()

    @property
    def _pattern(self) -> Pattern:
        return self._patterns[self._notice or self._situation].counting(self._counts)

    def acknowledge(self) -> None:
        """Answer a press: full light, or dark for a moment where there is much light already."""
        if self._loop.time() >= self._answering_until_s:
            self._answer = 0.0 if self._shown[0] >= 0.5 else 1.0
        self._answering_until_s = self._loop.time() + ACKNOWLEDGE_S
        self._refresh()

    def release(self) -> None:
        """Go dark and give the pins back."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._device.close()

    def _refresh(self) -> None:
        """Show what is right now, and come back when that changes."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self.pattern, light, wait_s = self._now()
        try:
            self._write(light)
            self._tell()
        except Exception as error:
            # drivers raise what they like; it is tried again, and told once until it works
            if not self._failing:
                self._failing = True
                self._failed(error)
            self._alarm = self._loop.call_later(RETRY_S, self._refresh)
            return
        if self._failing:
            self._failing = False
            self._works()
        if wait_s is not None:
            self._alarm = self._loop.call_later(wait_s, self._refresh)

    def _now(self) -> tuple[str, Light, float | None]:
        """What is to be seen now, by name and as light, and the seconds for which it lasts."""
        now_s = self._loop.time()
        # a timer may be early by the clock's resolution
        if (left_s := self._answering_until_s - now_s) > 1e-6:
            return "on" if self._answer else "off", (self._answer, _WHITE), left_s
        pattern = self._pattern
        level, wait_s = pattern.at(now_s - self._since_s)
        return pattern.text, (level, pattern.colour), wait_s

    def _write(self, light: Light) -> None:
        if light != self._shown:
            level, colour = light
            parts = tuple(level * part for part in colour)
            self._device.value = parts if isinstance(self._device, RGBLED) else level
            self._shown = light

    def _tell(self) -> None:
        told = self.pattern, self.lit
        if told != self._told:
            self._told = told
            self._changed()


def claim(section: config.Led, factory: PinFactory) -> Any:
    """The LED of a section, dark: a device of gpiozero. Raises what that raises, or ValueError."""
    pins = section.pin if isinstance(section.pin, tuple) else (section.pin,)
    if len(pins) != (3 if section.kind == "rgb" else 1):
        wanted = "three pins, [red, green, blue]" if section.kind == "rgb" else "one pin"
        raise ValueError(f"an LED of kind {section.kind} has {wanted}")
    device = {"led": LED, "pwm": PWMLED, "rgb": RGBLED}[section.kind]
    return device(*pins, active_high=section.active_high, pin_factory=factory)
