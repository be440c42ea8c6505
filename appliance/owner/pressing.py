"""The part of `appliance setup` that is about pins: each button is pressed once, an LED blinks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from gpiozero import DigitalOutputDevice

from appliance.actions import parse_action
from appliance.config import Config
from appliance.loading.pins import HEADER, gpio
from appliance.owner.dialog import Dialog
from appliance.owner.learning import Lines, free_lines, learnable, users, watched
from appliance.panel.pins import PinFactory
from appliance.service.doctor.machine import Machine

BLINKS, BLINK_S = 3, 0.3
ID = re.compile(r"[a-z0-9_-]{1,64}")
PLACES = {number: place for place, number in HEADER.items()}

Learned = Mapping[str, tuple[str, str | None]]
"""Each button that is new or has moved: its pin, and what a press of it does, where it is new."""


def learned(config: Config, factory: PinFactory, machine: Machine, dialog: Dialog) -> Learned:
    """Have buttons pressed, those that are configured too: one that is pressed elsewhere moves there."""
    for name, button in config.buttons.items():
        dialog.say(f"The button {name} is at {button.pin} already.")
    buttons = Buttons(config)
    if buttons.at:
        dialog.say("Where one is wired elsewhere: press it, and say its name. It moves there.")
    actions: dict[str, str] = {}
    with watched(factory, free_lines(config, machine)) as lines:
        if lines.stuck:
            dialog.say(
                f"note: {_names(lines.stuck)} {'is' if len(lines.stuck) == 1 else 'are'} at ground"
                " already, and not watched: nothing that is pressed is wired there, or it is stuck."
            )
        while (line := _pressed(lines, dialog, first=not buttons.pressed)) is not None:
            name = dialog.ask("  What is it called", buttons.likely(line), buttons.wrong(line))
            if sentence := buttons.put(name, line):
                dialog.say(f"  {sentence}")
            if name not in config.buttons:
                usual = actions.get(name, name if name in ("answer", "unlock") else "call")
                actions[name] = dialog.ask("  What does a press of it do", usual, _wrong_action)
    return {name: (pin, actions.get(name)) for name, pin in buttons.changed()}


class Buttons:
    """Which button is at which GPIO: as it is configured, and as it is told. No two are at the same."""

    def __init__(self, config: Config) -> None:
        """Those that can be learned are where they are configured; nothing was pressed yet."""
        self.at = learnable(config)
        self.pressed: set[str] = set()
        self._before = dict(self.at)
        self._fixed = {name: one.pin for name, one in config.buttons.items() if name not in self.at}

    def likely(self, line: int) -> str:
        """What the button there is called, where that can be guessed."""
        first = "" if self.pressed else next(iter(self.at), "call")
        return self._there(line) or first

    def wrong(self, line: int) -> Callable[[str], str | None]:
        """What is wrong with a name of the button there."""
        there = self._there(line)

        def sentence(word: str) -> str | None:
            if not ID.fullmatch(word):
                return "a name has letters a-z, digits, _ and -"
            if word in self._fixed:
                return f"{word} is a button already, at {self._fixed[word]}, and of another kind"
            if word in self.pressed and line not in (self.at[word], self._before.get(word)):
                return f"{word} is a button already: you have pressed it at GPIO{self.at[word]}"
            if there in self._before and word not in self.at:
                return f"GPIO{line} is the button {there}, which is to be somewhere: press it there first"
            return None

        return sentence

    def put(self, name: str, line: int) -> str:
        """It is there; a sentence where it was elsewhere. What was configured there takes its place."""
        there, before = self._there(line), self.at.get(name)
        self.pressed.add(name)
        if there == name:
            return ""
        sentence = "" if before is None else f"It was at GPIO{before} until now."
        if there is not None:
            self.pressed.discard(there)
            del self.at[there]  # it was only another name, said just now
            if there in self._before and before is not None:
                self.at[there] = before
                sentence += f" There is {there} from now on."
        self.at[name] = line
        return sentence

    def changed(self) -> Iterator[tuple[str, str]]:
        """Each that is not where it was configured, and its pin."""
        for name, line in self.at.items():
            if line != self._before.get(name):
                yield name, f"GPIO{line}"

    def _there(self, line: int) -> str | None:
        return next((name for name, one in self.at.items() if one == line), None)


def _pressed(lines: Lines, dialog: Dialog, *, first: bool) -> int | None:
    """The line that somebody's button is on; None: there is none (more)."""
    which = "the bell's button" if first else "another button"
    while True:
        found = dialog.until(
            f"Press {which} now, one that connects its pin to ground; or Enter for none. ",
            lines.waker,
            lines.pressed,
        )
        if found is None:
            return None
        if len(found) == 1:
            dialog.say(f"  It is at GPIO{found[0]} (pin {PLACES[found[0]]}).")
            return found[0]
        dialog.say(f"  {_names(found)} have moved at once: once more, please.")


def shown(
    config: Config, factory: PinFactory, machine: Machine, dialog: Dialog
) -> Iterator[tuple[str, str, str]]:
    """Each LED and relay that is new or has moved: its section, its name, its pin."""
    used = users(config, machine)
    # three pins of one are moved by hand
    single = {name: led.pin for name, led in config.leds.items() if not isinstance(led.pin, tuple)}
    for name, now in (single if config.leds else {"status": ""}).items():
        question = f"The pin of the LED {name}"
        if not now:
            question = "The pin of an LED that shows how things are, or Enter for none"
        while (pin := _pin_of(question, str(now), used, dialog)) != str(now):
            _blink(factory, pin, dialog)
            if dialog.yes("  Did it blink?", default=True):
                _move(used, f"leds.{name}", pin)
                yield "leds", name, pin
                break
            question = f"  Which pin is it at, or Enter for {now or 'none'}"
    driven = {name: relay.pin for name, relay in config.relays.items()}
    for name, now in (driven or {"door": ""}).items():
        question = f"The pin of the relay {name}"
        if not now:
            question = "The pin of the relay that opens the door, or Enter for none"
        if (pin := _pin_of(question, str(now), used, dialog)) != str(now):
            dialog.say("  It is not tried here: `appliance ctl unlock` does, when somebody looks.")
            _move(used, f"relays.{name}", pin)
            yield "relays", name, pin


def _pin_of(question: str, now: str, used: Mapping[int, str], dialog: Dialog) -> str:
    """The pin that is typed, which nobody else has; or, in whatever spelling, the one that it has now."""

    def wrong(text: str) -> str | None:
        number = gpio(text)
        if text == now or (number is not None and number == gpio(now)):
            return None
        if number is None:
            return "such as GPIO18"
        return f"{text} is in use by {used[number]}: a free one first" if number in used else None

    said = dialog.ask(question, now, wrong)
    return now if gpio(said) == gpio(now) else said


def _move(used: dict[int, str], what: str, pin: str) -> None:
    for number in [number for number, who in used.items() if who == what]:
        del used[number]
    if (to := gpio(pin)) is not None:
        used[to] = what


def _blink(factory: PinFactory, pin: str, dialog: Dialog) -> None:
    try:
        light = DigitalOutputDevice(pin, pin_factory=factory)
    except Exception as error:  # each driver fails in its own way
        dialog.say(f"  {pin} cannot be had: {error}")
        return
    try:
        light.blink(BLINK_S, BLINK_S, n=BLINKS, background=False)
    finally:
        light.close()


def _wrong_action(word: str) -> str | None:
    try:
        parse_action(word)
    except ValueError as error:
        return str(error)
    return None


def _names(lines: frozenset[int] | list[int]) -> str:
    return ", ".join(f"GPIO{one}" for one in sorted(lines))
