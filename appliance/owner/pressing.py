"""The part of `appliance setup` that is about pins: each button is pressed once, an LED blinks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpiozero import DigitalOutputDevice

from appliance.actions import parse_action
from appliance.config import Config
from appliance.loading.pins import HEADER, gpio
from appliance.owner.dialog import Dialog
from appliance.owner.learning import Lines, free_lines, watched
from appliance.panel.pins import PinFactory
from appliance.service.doctor.machine import Machine

BLINKS, BLINK_S = 3, 0.3
ID = re.compile(r"[a-z0-9_-]{1,64}")
PLACES = {number: place for place, number in HEADER.items()}


def learned(
    config: Config, factory: PinFactory, machine: Machine, dialog: Dialog
) -> Iterator[tuple[str, str, str]]:
    """Each new button: its name, its pin, and what a press of it does."""
    for name, button in config.buttons.items():
        dialog.say(f"The button {name} is at {button.pin} already.")
    with watched(factory, free_lines(config, machine)) as lines:
        if lines.stuck:
            dialog.say(
                f"note: {_names(lines.stuck)} {'is' if len(lines.stuck) == 1 else 'are'} at ground"
                " already, and not watched: nothing that is pressed is wired there, or it is stuck."
            )
        taken = dict.fromkeys(config.buttons, "")
        while (line := _pressed(lines, dialog, first=not taken)) is not None:
            default = "call" if not taken else ""
            name = dialog.ask("  What is it called", default, lambda word: _wrong_name(word, taken))
            usual = name if name in ("call", "answer", "unlock") else "call"
            action = dialog.ask("  What does a press of it do", usual, _wrong_action)
            taken[name] = f"GPIO{line}"
            yield name, f"GPIO{line}", action


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


def shown(config: Config, factory: PinFactory, dialog: Dialog) -> Iterator[tuple[str, str, str]]:
    """Each LED and relay that is new: its section, its name, its pin."""
    if not config.leds:
        pin = _pin_of(
            config, dialog, "The pin of an LED that shows how things are, or Enter for none"
        )
        while pin:
            _blink(factory, pin, dialog)
            if dialog.yes("  Did it blink?", default=True):
                yield "leds", "status", pin
                break
            pin = _pin_of(config, dialog, "  Which pin is it at, or Enter for none")
    if not config.relays:
        pin = _pin_of(config, dialog, "The pin of the relay that opens the door, or Enter for none")
        if pin:
            dialog.say("  It is not tried here: `appliance ctl unlock` does, when somebody looks.")
            yield "relays", "door", pin


def _pin_of(config: Config, dialog: Dialog, question: str) -> str:
    del config
    return dialog.ask(
        question,
        wrong=lambda text: None if not text or gpio(text) is not None else "such as GPIO18",
    )


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


def _wrong_name(word: str, taken: dict[str, str]) -> str | None:
    if word in taken:
        return f"{word} is a button already"
    return None if ID.fullmatch(word) else "a name has letters a-z, digits, _ and -"


def _wrong_action(word: str) -> str | None:
    try:
        parse_action(word)
    except ValueError as error:
        return str(error)
    return None


def _names(lines: frozenset[int] | list[int]) -> str:
    return ", ".join(f"GPIO{one}" for one in sorted(lines))
