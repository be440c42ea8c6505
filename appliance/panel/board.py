"""The panel as an edge of the core: what the visitor touches, sees and hears, and the door.

A part whose pin cannot be had is reported and left out; the others work. What answers a finger
(LED, and the chime that the core asks for) needs nothing but this device.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import ClassVar, Literal, Protocol, Self, TypedDict, TypeVar

from gpiozero import GPIOZeroError

from appliance import config
from appliance.calls.effects import Effect, PlaySound, PulseRelay, StopSound
from appliance.calls.inputs import FaultCleared, FaultReported, Input, InputSwitched, RelayChanged
from appliance.errors import Refused, did_you_mean
from appliance.model import Gesture, Situation
from appliance.panel.buttons import Button
from appliance.panel.chime import Chime, SilentOutput, SoundOutput
from appliance.panel.door import Relay, RelayState
from appliance.panel.hookswitch import HookSwitch
from appliance.panel.indicators import Indicator
from appliance.panel.inputs import InputPin, InputState
from appliance.panel.pins import PinFactory, PinsUnavailableError, open_factory

log = logging.getLogger(__name__)

RETRY_S = 3.0
"""How soon a pin that could not be had is claimed again."""
WATCH_S = 0.05
"""The least time between two states that a watcher is given."""


class LedStatus(TypedDict):
    """An LED: the pattern it shows, and whether there is light; None where it has failed."""

    pattern: str | None
    lit: bool | None


class PanelStatus(TypedDict):
    """The whole panel, read from its pins; what has failed, or is closed, is None."""

    leds: dict[str, LedStatus]
    relays: dict[str, RelayState | None]
    inputs: dict[str, InputState | None]
    chime: Literal["playing", "silent"]


class _Releasable(Protocol):
    def release(self) -> None:
        """Give the pins back."""


Part = TypeVar("Part", bound=_Releasable)
Section = TypeVar("Section")
Read = TypeVar("Read")


class Board:
    """The panel; `async with` claims its pins and gives them back, every relay released."""

    EFFECTS: ClassVar[tuple[type[Effect], ...]] = (PlaySound, StopSound, PulseRelay)

    def __init__(
        self,
        board: Literal["pi", "simulated"],
        *,
        panel: config.Panel,
        buttons: Mapping[str, config.Button],
        leds: Mapping[str, config.Led],
        relays: Mapping[str, config.Relay],
        inputs: Mapping[str, config.InputPin],
        post: Callable[[Input], None],
        sound: SoundOutput | None = None,
        factory: PinFactory | None = None,
    ) -> None:
        """Note what there is to be; nothing is claimed yet.

        `sound` makes chime and ring tone audible; without it they are a state only. `factory` are
        pins that somebody else opened and will close, such as those of a test bench.
        """
        self._board, self._panel = board, panel
        self._simulated = board == "simulated"
        self._sections = buttons, leds, relays, inputs
        self._post = post
        self._chime = Chime(sound or SilentOutput(), changed=self._changed)
        self._factory = factory
        self._stack = AsyncExitStack()
        self._buttons: dict[str, Button | HookSwitch | None] = {}
        self._leds: dict[str, Indicator | None] = {}
        self._relays: dict[str, Relay | None] = {}
        self._inputs: dict[str, InputPin | None] = {}
        self._again: dict[str, asyncio.TimerHandle] = {}
        """Parts whose pin could not be had, and when they are tried again."""
        self._watchers: set[asyncio.Event] = set()
        self._open = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._stack.callback(self._chime.release)
        pins = self._pins()
        buttons, leds, relays, inputs = self._sections
        # what is dangerous comes to rest first, and what answers a finger comes before the finger
        self._relays = self._claim("relays", relays, pins, self._relay)
        self._leds = self._claim("leds", leds, pins, self._led)
        self._buttons = self._claim("buttons", buttons, pins, self._button)
        self._inputs = self._claim("inputs", inputs, pins, self._input)
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        for alarm in self._again.values():
            alarm.cancel()
        await self._stack.aclose()
        for parts in (self._relays, self._leds, self._buttons, self._inputs):
            parts.update(dict.fromkeys(parts))
        self._changed()

    # -------------------- what the core and the outside ask

    def perform(self, effect: Effect) -> None:
        """Play or stop a sound, or pulse a relay: done when this returns."""
        match effect:
            case PlaySound() | StopSound():
                self._chime.perform(effect)
            case PulseRelay(relay):
                self._pulse(relay)

    def show(self, situation: Situation) -> None:
        """Let LEDs and the relays that follow a situation show it."""
        for led in self._leds.values():
            if led is not None:
                led.show(situation)
        for relay in self._relays.values():
            if relay is not None:
                relay.show(situation)

    async def press(self, button: str, gesture: Gesture = Gesture.PRESS) -> None:
        """Press a button of the simulated board as a finger would, in real time; a press of a
        handset lifts it, or puts it back.

        Returns when the gesture is decided. Raises Refused on a real board, where only fingers
        press buttons, and for a button that is not there.
        """
        if not self._simulated:
            raise Refused("not_simulated", "The buttons of a real board are pressed by hand.")
        if button not in self._buttons:
            near = did_you_mean(button, self._buttons) or "."
            raise Refused("unknown_button", f'There is no button "{button}"{near}')
        if (found := self._buttons[button]) is None:
            raise Refused("pin_unavailable", f"The button {button} has no working pin.")
        await found.press(gesture)

    def status(self) -> PanelStatus:
        """What the panel shows and senses at this moment, read from its pins."""
        return {
            "leds": {name: _led_status(led) for name, led in self._leds.items()},
            "relays": {
                name: _read(relay, lambda it: it.state) for name, relay in self._relays.items()
            },
            "inputs": {name: _read(pin, lambda it: it.state) for name, pin in self._inputs.items()},
            "chime": "playing" if self._chime.playing else "silent",
        }

    async def watch(self) -> AsyncGenerator[PanelStatus, None]:
        """The status now and whenever it has changed, until the board closes; see `WATCH_S`."""
        news = asyncio.Event()
        self._watchers.add(news)
        seen: PanelStatus | None = None
        try:
            while self._open:
                news.clear()
                if (status := self.status()) != seen:
                    seen = status
                    yield status
                    await asyncio.sleep(WATCH_S)
                else:
                    await news.wait()
        finally:
            self._watchers.discard(news)

    # -------------------- claiming pins

    def _pins(self) -> PinFactory | None:
        if self._factory is not None:
            return self._factory
        try:
            factory = open_factory(self._board, self._panel.pin_factory)
        except PinsUnavailableError as error:
            self._post(FaultReported(error.code, f"{error}.", where="panel.pin_factory"))
            return None
        self._stack.callback(self._give_back, "panel.pin_factory", factory.close)
        return factory

    def _claim(
        self,
        kind: str,
        sections: Mapping[str, Section],
        pins: PinFactory | None,
        make: Callable[[str, Section, PinFactory], Part],
    ) -> dict[str, Part | None]:
        """Make the parts of a kind; None for those whose pin cannot be had, which are reported."""
        parts: dict[str, Part | None] = dict.fromkeys(sections)
        if pins is None:
            return parts
        for name, section in sections.items():

            def claim(name: str = name, section: Section = section) -> Part:
                part = parts[name] = make(name, section, pins)
                return part

            self._take(f"{kind}.{name}", getattr(section, "pin", None), claim)
        return parts

    def _take(self, where: str, pin: object, claim: Callable[[], Part], told: str = "") -> None:
        """Claim one part; what another program has, or a chip that does not answer, is tried again.

        `told` is the fault that has been reported so far.
        """
        try:
            part = claim()
        except Exception as error:
            # gpiozero and each driver have errors of their own, plain Exceptions among them
            if str(error) != told:
                self._failed(where, pin, error)
            if not isinstance(error, ValueError | GPIOZeroError):  # those are of the configuration
                self._again[where] = self._loop.call_later(
                    RETRY_S, self._take, where, pin, claim, str(error)
                )
            return
        self._stack.callback(self._give_back, where, part.release)
        if told:
            self._post(FaultCleared(where))
            self._changed()

    def _relay(self, name: str, section: config.Relay, pins: PinFactory) -> Relay:
        return Relay(name, section, factory=pins, post=self._report)

    def _led(self, name: str, section: config.Led, pins: PinFactory) -> Indicator:
        return Indicator(
            section,
            factory=pins,
            failed=lambda error: self._failed(f"leds.{name}", section.pin, error),
            changed=self._changed,
            works=lambda: self._post(FaultCleared(f"leds.{name}")),
        )

    def _button(self, name: str, section: config.Button, pins: PinFactory) -> Button | HookSwitch:
        kind = HookSwitch if section.kind == "hook" else Button
        return kind(name, section, factory=pins, post=self._report, acknowledge=self._acknowledge)

    def _input(self, name: str, section: config.InputPin, pins: PinFactory) -> InputPin:
        return InputPin(name, section, factory=pins, post=self._report, simulated=self._simulated)

    def _failed(self, where: str, pin: object, error: Exception) -> None:
        why = str(error).rstrip(".") or type(error).__name__
        sentence = f"{where}: pin {pin} cannot be used: {why}."
        self._post(FaultReported("pin_unavailable", sentence, where=where))

    def _give_back(self, where: str, release: Callable[[], None]) -> None:
        """Let one part go; its driver's fault must not keep the others from being let go."""
        try:
            release()
        except Exception:
            log.exception("%s was not given back cleanly", where)

    # -------------------- what happens

    def _acknowledge(self, button: str) -> None:
        """Answer a finger: with the LED that has the button's name, else with `status`, else all.

        So one that tells of camera and microphone tells the truth while there is another to answer.
        """
        named = self._leds.get(button) or self._leds.get("status")
        for led in [named] if named is not None else self._leds.values():
            if led is not None:
                led.acknowledge()

    def _pulse(self, name: str) -> None:
        relay = self._relays.get(name)
        if relay is not None and not relay.follows:
            log.info("the relay %s is energized", name)  # who opened, and when, is asked later
            relay.pulse()
            return
        if name not in self._relays:
            sentence = f'There is no relay "{name}"{did_you_mean(name, self._relays) or "."}'
        elif relay is None:
            sentence = f"The relay {name} has no working pin."
        else:
            sentence = f"The relay {name} follows a situation and is not pulsed."
        self._post(FaultReported("relay_unavailable", sentence, where=f"relays.{name}"))

    def _report(self, it: Input) -> None:
        """Post what a part reports, from whichever thread it comes."""
        self._post(it)
        if isinstance(it, RelayChanged | InputSwitched):
            self._loop.call_soon_threadsafe(self._changed)

    def _changed(self) -> None:
        for news in self._watchers:
            news.set()


def _led_status(led: Indicator | None) -> LedStatus:
    return {
        "pattern": led.pattern if led is not None else None,
        "lit": _read(led, lambda it: it.lit),
    }


def _read(part: Part | None, read: Callable[[Part], Read]) -> Read | None:
    """What a part's pin says; None where it has none, or its driver has lost it."""
    if part is None:
        return None
    try:
        return read(part)
    except Exception:
        log.exception("A pin of the panel cannot be read")
        return None
