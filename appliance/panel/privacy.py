"""The LEDs that tell of open devices: lit before microphone or camera open, dark once they are closed.

Laws: one is lit for nothing else and follows no situation; that it is lit is read back from its pin;
where one of them is not lit, `forbidden` says so to whoever is about to open a device; and one that is lit
outlives the board while a driver hangs that may see or hear still.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from appliance import config
from appliance.calls.inputs import FaultCleared, FaultReported, Input, PrivacyLost
from appliance.panel.indicators import claim
from appliance.panel.pins import PinFactory

log = logging.getLogger(__name__)

LOOK_S = 0.5
"""How often a lit one is looked at: that long somebody may be filmed in the dark at most."""


class PrivacyLight:
    """One of them."""

    def __init__(self, section: config.Led, *, factory: PinFactory) -> None:
        """Claim the pins, dark. Raises what gpiozero or its driver raises."""
        self._device: Any = claim(section, factory)
        self.left = False
        """Whether it stays as it is when it is released."""

    @property
    def lit(self) -> bool:
        """What the pin says at this moment."""
        return bool(self._device.is_active)

    @property
    def pattern(self) -> str:
        """The same as the pattern of any other LED."""
        return "on" if self.lit else "off"

    def light(self, *, on: bool) -> None:
        """Light it, or let it go dark. Raises what its driver raises, or OSError where it does not."""
        if on:
            self._device.on()
        else:
            self._device.off()
        if self.lit is not on:
            raise OSError("the pin stays where it was")

    def release(self) -> None:
        """Go dark and give the pins back."""
        if not self.left:
            self._device.close()


class PrivacyLights:
    """All of them. On the loop."""

    def __init__(
        self, post: Callable[[Input], None], changed: Callable[[], None], look_s: float = LOOK_S
    ) -> None:
        """None yet; `changed` is called when light has come or gone."""
        self._post, self._changed, self._look_s = post, changed, look_s
        self._lights: dict[str, PrivacyLight | None] = {}
        self._wanted = self._lost = False
        self._failing: set[str] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._left: list[PrivacyLight] = []

    @property
    def lights(self) -> dict[str, PrivacyLight | None]:
        """By their names; None are those without a working pin."""
        return self._lights

    def use(self, lights: dict[str, PrivacyLight | None]) -> None:
        """These there are from now on."""
        self._lights = lights

    def light(self, *, on: bool) -> None:
        """Light them all, or let them go dark; what does not is reported."""
        self._wanted, self._lost = on, False
        self._stop()
        self._bring_about()
        if on and self._lights:
            self._alarm = asyncio.get_running_loop().call_later(self._look_s, self._look)

    def forbidden(self) -> str | None:
        """Why no device may be open now; None where all is well, or there is no such LED.

        One that should be lit and is not is tried once more.
        """
        if not self._lights or (self._wanted and self._all_lit()):
            return None
        if self._wanted and self._bring_about():
            return None
        dark = ", ".join(name for name in self._lights if not self._is_lit(name))
        return f"nobody is filmed or heard while the privacy LED {dark} is dark"

    def close(self, *, leave: bool = False) -> None:
        """Their pins are about to be given back; not those of `leave`, which stay as they are."""
        self._stop()
        self._left = [light for light in self._lights.values() if light is not None and leave]
        for light in self._left:
            light.left = True
        self._wanted = False
        self._lights = dict.fromkeys(self._lights)

    def give_back(self, pins: PinFactory, capturing: Callable[[], bool]) -> None:
        """Close the pins of all: at once, or when those that were left are needed no more.

        That may be never, if a driver hangs for good: then they end with the process, as its devices do.
        """
        if self._left:
            wait = partial(_give_back_late, self._left, pins, capturing)
            threading.Thread(target=wait, name="privacy LED", daemon=True).start()
        else:
            pins.close()

    def _stop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _look(self) -> None:
        """Notice one that has gone dark by itself, and try to light it."""
        self._alarm = asyncio.get_running_loop().call_later(self._look_s, self._look)
        dark = not self._all_lit() and not self._bring_about()
        if dark and not self._lost:
            self._post(PrivacyLost())
        self._lost = dark

    def _bring_about(self) -> bool:
        """Let every one be as it is wanted; whether they are."""
        done = [self._set(name, light) for name, light in self._lights.items()]
        self._changed()
        return all(done)

    def _set(self, name: str, light: PrivacyLight | None) -> bool:
        where = f"leds.{name}"
        try:
            if light is None:
                raise OSError("it has no working pin")  # noqa: TRY301 - told as what drivers raise
            light.light(on=self._wanted)
        except Exception as error:
            # drivers raise what they like
            if name not in self._failing:
                self._failing.add(name)
                wish = "lit" if self._wanted else "dark"
                why = str(error).rstrip(".") or type(error).__name__
                sentence = f"the privacy LED {name} cannot be {wish}: {why}"
                self._post(FaultReported("privacy_led_failed", sentence, where))
            return False
        if name in self._failing:
            self._failing.remove(name)
            self._post(FaultCleared(where))
        return True

    def _all_lit(self) -> bool:
        return all(self._is_lit(name) for name in self._lights)

    def _is_lit(self, name: str) -> bool:
        light = self._lights[name]
        try:
            return light is not None and light.lit
        except Exception:
            # a driver that has lost its pin cannot say that there is light
            return False


def _give_back_late(
    left: Sequence[PrivacyLight], pins: PinFactory, capturing: Callable[[], bool]
) -> None:
    log.warning("the privacy LED stays lit: a driver of camera or microphone has not come back")
    while capturing():
        time.sleep(LOOK_S)
    for light in left:
        light.left = False
        light.release()
    pins.close()
