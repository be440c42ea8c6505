"""The panel as an edge of the core: what the visitor touches, sees and hears, and the door.

A part whose pin cannot be had is reported and left out; the others work. What answers a finger
(LED, and the chime that the core asks for) needs nothing but this device.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import ClassVar, Literal, Self

from appliance import config
from appliance.calls.effects import (
    Effect,
    LightPrivacy,
    PlaySound,
    PulseRelay,
    Sound,
    StopSound,
)
from appliance.calls.inputs import FaultCleared, FaultReported, Input, InputSwitched, RelayChanged
from appliance.errors import Refused, did_you_mean
from appliance.model import Gesture, Notice, Situation
from appliance.panel.buttons import Button
from appliance.panel.buzzer import Buzzer
from appliance.panel.chime import Chime, LateOutput, SilentOutput, SoundOutput, Together
from appliance.panel.claims import Claims, failed, give_back
from appliance.panel.door import MOTION, Relay
from appliance.panel.hookswitch import HookSwitch
from appliance.panel.indicators import Indicator
from appliance.panel.inputs import InputPin
from appliance.panel.keypads import Keypad
from appliance.panel.pins import PinFactory, open_factory
from appliance.panel.privacy import PrivacyLight, PrivacyLights
from appliance.panel.reaching import WHERE, Reaching
from appliance.panel.status import PanelStatus, led_status, read_part

log = logging.getLogger(__name__)

WATCH_S = 0.05
"""The least time between two states that a watcher is given."""


_Threads = Mapping[str, Relay | None] | Mapping[str, Keypad | None]


class Board:
    """The panel; `async with` claims its pins and gives them back, every relay released."""

    EFFECTS: ClassVar[tuple[type[Effect], ...]] = (PlaySound, StopSound, PulseRelay, LightPrivacy)

    def __init__(
        self,
        board: Literal["pi", "simulated"],
        *,
        panel: config.Panel,
        buttons: Mapping[str, config.Button],
        leds: Mapping[str, config.Led],
        relays: Mapping[str, config.Relay],
        inputs: Mapping[str, config.InputPin],
        keypads: Mapping[str, config.Keypad] | None = None,
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
        self._keypad_sections = keypads or {}
        self._post = post
        self._sound = sound or SilentOutput()
        self._chime = Chime(self._sound, changed=self._changed)
        self._privacy = PrivacyLights(self._post, self._changed)
        self.capturing: Callable[[], bool] = lambda: False
        """Whether microphone or camera may be open yet; asked at the end, and after it from a thread."""
        self._factory = factory
        self._stack = AsyncExitStack()
        self._buttons: dict[str, Button | HookSwitch | None] = {}
        self._leds: dict[str, Indicator | None] = {}
        self._relays: dict[str, Relay | None] = {}
        self._inputs: dict[str, InputPin | None] = {}
        self._keypads: dict[str, Keypad | None] = {}
        self._moving: frozenset[str] = frozenset()
        """The motion sensors that see somebody."""
        self._watchers: set[asyncio.Event] = set()
        self._open = False
        self._notice: Notice | None = None
        self._shown: tuple[Situation, tuple[int, ...]] = Situation.IDLE, ()
        """What the situation is, for a part whose pin comes late."""

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        # given back last, whenever they came: what uses them is silent by then, and looks no more
        pins = await self._stack.enter_async_context(AsyncExitStack())
        claims = Claims(pins, self._post, self._changed)
        await self._reach(pins, claims)
        buttons, leds, relays, inputs = self._sections
        of_privacy = {name: led for name, led in leds.items() if led.privacy}
        shown = {name: led for name, led in leds.items() if not led.privacy}
        # what is dangerous comes to rest first, and what answers a finger comes before the finger
        self._relays = claims.all("relays", relays, self._relay)
        self._leds = claims.all("leds", shown, self._led)
        self._privacy.use(claims.all("leds", of_privacy, self._privacy_light))
        self._chime = Chime(self._output(claims), changed=self._changed)
        self._stack.callback(self._chime.release)
        self._stack.callback(lambda: self._privacy.close(leave=self.capturing()))
        self._buttons = claims.all("buttons", buttons, self._button)
        self._keypads = claims.all("keypads", self._keypad_sections, self._keypad)
        self._inputs = claims.all("inputs", inputs, self._input)
        self._open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        await self._stack.aclose()
        for parts in (self._relays, self._leds, self._buttons, self._inputs, self._keypads):
            parts.update(dict.fromkeys(parts))
        self._changed()

    # -------------------- what the core and the outside ask

    def perform(self, effect: Effect) -> None:
        """Play or stop a sound, pulse a relay, light what tells of open devices: done at the return."""
        match effect:
            case PlaySound() | StopSound():
                self._chime.perform(effect)
            case PulseRelay(relay):
                self._pulse(relay)
            case LightPrivacy(on):
                self._privacy.light(on=on)

    def capture_forbidden(self) -> str | None:
        """Why neither microphone nor camera may be open now: an LED that is to tell of it is dark."""
        return self._privacy.forbidden()

    def show(self, situation: Situation, counts: Sequence[int] = ()) -> None:
        """Let LEDs and the relays that follow a situation show it; `counts` number what is wrong."""
        self._shown = situation, tuple(counts)
        for led in self._leds.values():
            if led is not None:
                led.show(situation, counts)
        for relay in self._relays.values():
            if relay is not None:
                relay.show(situation)

    def sounds_last(self, lasts_s: Mapping[Sound, float]) -> None:
        """From now on each sound that ends by itself takes so long."""
        self._chime.lasts_s = lasts_s

    def tell(self, notice: Notice | None) -> None:
        """Let the LEDs tell the visitor something, or nothing more."""
        for led in self._leds.values():
            if led is not None:
                led.tell(notice)
        if notice is not self._notice:
            self._notice = notice
            self._changed()

    async def press(self, button: str, gesture: Gesture = Gesture.PRESS) -> None:
        """Press a button of the simulated board as a finger would, in real time; a press of a
        handset lifts it, or puts it back.

        Returns when the gesture is decided. Raises Refused on a real board, where only fingers
        press buttons, and for a button that is not there.
        """
        if not self._simulated:
            raise Refused("not_simulated", "The buttons of a real board are pressed by hand.")
        keypad, _, key = button.partition(".")
        there = self._keypads if key and keypad in self._keypads else self._buttons
        name = keypad if there is self._keypads else button
        if name not in there:
            near = did_you_mean(button, self._buttons) or "."
            raise Refused("unknown_button", f'There is no button "{button}"{near}')
        match there[name]:
            case None:
                raise Refused("pin_unavailable", f"The button {button} has no working pin.")
            case Keypad() as found:
                await found.press(key, gesture)
            case Button() | HookSwitch() as found:
                await found.press(gesture)

    def heartbeats(self) -> Mapping[str, Callable[[], float]]:
        """For each part with a thread of its own, how many seconds that has been held up: none while
        its pin cannot be had.
        """
        kinds: tuple[tuple[str, _Threads], ...]
        kinds = ("relay", self._relays), ("keypad", self._keypads)
        return {
            f"{kind} {name}": partial(_held_up_s, parts, name)
            for kind, parts in kinds
            for name in parts
        }

    def status(self) -> PanelStatus:
        """What the panel shows and senses at this moment, read from its pins."""
        return {
            "leds": {
                name: led_status(led)
                for name, led in {**self._leds, **self._privacy.lights}.items()
            },
            "relays": {
                name: read_part(relay, lambda it: it.state) for name, relay in self._relays.items()
            },
            "inputs": {
                name: read_part(pin, lambda it: it.state) for name, pin in self._inputs.items()
            },
            "chime": "playing" if self._chime.playing else "silent",
            "sounds": sorted(self._chime.playing),
            "notice": self._notice,
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

    async def _reach(self, stack: AsyncExitStack, claims: Claims) -> None:
        """Have pins to claim: now, or as soon as there are any. They are given back with `stack`."""
        if self._factory is not None:
            claims.use(self._factory)
            return
        reaching = Reaching(lambda: open_factory(self._board, self._panel.pin_factory), self._post)

        def use(pins: PinFactory) -> None:
            stack.callback(give_back, WHERE, lambda: self._privacy.give_back(pins, self.capturing))
            claims.use(pins)

        async def keep_trying() -> None:
            use(await reaching.keep_trying())

        if (pins := reaching.try_once()) is not None:
            use(pins)
        elif not reaching.hopeless:
            tasks = await self._stack.enter_async_context(asyncio.TaskGroup())
            self._stack.callback(tasks.create_task(keep_trying(), name="reach for pins").cancel)

    def _relay(self, name: str, section: config.Relay, pins: PinFactory) -> Relay:
        relay = Relay(name, section, factory=pins, post=self._report)
        relay.show(self._shown[0])
        relay.sense(motion=bool(self._moving))
        return relay

    def _led(self, name: str, section: config.Led, pins: PinFactory) -> Indicator:
        led = Indicator(
            section,
            factory=pins,
            failed=lambda error: failed(self._post, f"leds.{name}", section.pin, error),
            changed=self._changed,
            works=lambda: self._post(FaultCleared(f"leds.{name}")),
        )
        led.show(*self._shown)  # of what was shown before its pin could be had
        led.tell(self._notice)
        return led

    def _privacy_light(self, name: str, section: config.Led, pins: PinFactory) -> PrivacyLight:
        return PrivacyLight(section, factory=pins)

    def _keypad(self, name: str, section: config.Keypad, pins: PinFactory) -> Keypad:
        return Keypad(name, section, factory=pins, post=self._report, acknowledge=self._acknowledge)

    def _output(self, claims: Claims) -> SoundOutput:
        """Where sounds go: with a buzzer, there too, and be its pin to be had only later."""
        pin = self._panel.buzzer
        if pin is None:
            return self._sound
        where, heard = "panel.buzzer", LateOutput()

        def make(name: str, buzzer: str | int, factory: PinFactory) -> Buzzer:
            made = Buzzer(
                buzzer,
                factory=factory,
                failed=lambda error: failed(self._post, where, pin, error),
                works=lambda: self._post(FaultCleared(where)),
            )
            heard.attach(made)
            return made

        claims.all("panel", {"buzzer": pin}, make)
        return Together(self._sound, heard)

    def _button(self, name: str, section: config.Button, pins: PinFactory) -> Button | HookSwitch:
        kind = HookSwitch if section.kind == "hook" else Button
        return kind(
            name,
            section,
            factory=pins,
            post=self._report,
            acknowledge=self._acknowledge,
            simulated=self._simulated,
        )

    def _input(self, name: str, section: config.InputPin, pins: PinFactory) -> InputPin:
        return InputPin(name, section, factory=pins, post=self._report, simulated=self._simulated)

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
        if isinstance(it, InputSwitched) and it.kind == MOTION:
            self._sense(it)
        if isinstance(it, RelayChanged | InputSwitched):
            self._loop.call_soon_threadsafe(self._changed)

    def _sense(self, report: InputSwitched) -> None:
        """Somebody moves, or nobody any more."""
        self._moving = self._moving | {report.input} if report.on else self._moving - {report.input}
        for relay in self._relays.values():
            if relay is not None:
                relay.sense(motion=bool(self._moving))

    def _changed(self) -> None:
        for news in self._watchers:
            news.set()


def _held_up_s(parts: _Threads, name: str) -> float:
    part = parts[name]
    return 0.0 if part is None else part.held_up_s()
