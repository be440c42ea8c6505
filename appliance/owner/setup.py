"""`appliance setup`: pins, camera and sound, asked for with what is there, tried, and written to conf.d.

At a terminal it is a conversation; with any answer on its command line it asks nothing and waits for
nobody. Nothing is written before all of it is known to be right.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from appliance.actions import parse_action
from appliance.config import Button, Config
from appliance.errors import ApplianceError, ConfigError
from appliance.loading.findings import Check
from appliance.loading.pins import gpio
from appliance.loading.reading import read
from appliance.owner import dropin, hearing, pressing
from appliance.owner.dialog import Dialog
from appliance.owner.left import left
from appliance.owner.places import Places, stopped
from appliance.panel.pins import open_factory
from appliance.service.doctor.cameras import cameras
from appliance.service.doctor.examination import examine
from appliance.service.doctor.findings import table
from appliance.service.doctor.machine import Machine, ThisMachine
from appliance.service.doctor.pins import pins
from appliance.service.doctor.sound import sound

WRITTEN, NOT_WRITTEN = 0, 1
FIRST_BUTTON = "call"
ELSEWHERE = "picamera2 is what finds them; `rpicam-hello --list-cameras` says more"


class Answers(Struct, frozen=True):
    """What the command line says: each button, LED and relay as `NAME=PIN`, a button with `:ACTION`."""

    id: str | None = None
    name: str | None = None
    pin_factory: str | None = None
    buttons: tuple[str, ...] = ()
    leds: tuple[str, ...] = ()
    relays: tuple[str, ...] = ()
    camera: str | None = None
    playback: str | None = None
    capture: str | None = None
    receiver: str | None = None

    @property
    def any(self) -> bool:
        """Whether something was said."""
        return any(getattr(self, name) for name in self.__struct_fields__)


def set_up(
    places: Places,
    checks: Sequence[Check],
    answers: Answers,
    *,
    replace: bool = False,
    dialog: Dialog | None = None,
    machine: Machine | None = None,
) -> int:
    """Ask, try, check, write; the exit status. Raises ApplianceError and ConfigError.

    `replace`: keys that stand elsewhere are overruled without a question.
    """
    talks = not answers.any and sys.stdin.isatty()
    if not answers.any and not talks:
        raise ApplianceError(
            "nobody is here to be asked: say it with --button call=GPIO17 and the like"
        )
    dialog = dialog or Dialog(sys.stdin.fileno() if talks else -1, sys.stdout)
    values = said(answers, dropin.present(places))
    if talks:
        config = read(places.file, places.environ, checks).config
        with stopped(places):
            values = _asked(config, values, machine or ThisMachine(), dialog)
        # before anything can be found wrong with it: nothing that was said is lost
        dialog.say(f"\n{dropin.to_toml(values)}")
    if not _may_be_written(places, values, dialog, replace=replace, talks=talks):
        dialog.say("Nothing was changed.")
        return NOT_WRITTEN
    if faults := dropin.checked(places, values, checks):
        raise ConfigError(faults)
    if talks and not dialog.yes(f"Write this to {places.drop_ins / dropin.NAME}?", default=True):
        dialog.say("Nothing was changed.")
        return NOT_WRITTEN
    file = dropin.write(places, values)
    dialog.say(
        f"{file} is written, and no file has a fault that it had not before. It counts from the next start:"
        " sudo systemctl restart appliance && sudo appliance doctor"
    )
    if missing := left(read(places.file, places.environ, checks).config, places):
        dialog.say(missing)
    return WRITTEN


# -------------------- what was said on the command line


def said(answers: Answers, before: Mapping[str, Any]) -> dropin.Values:
    """What setup wrote before, with the answers laid over it. Raises ApplianceError for a spelling."""
    values: dropin.Values = dict(before)
    _put(values, ("device", "id"), answers.id)
    _put(values, ("device", "name"), answers.name)
    _put(values, ("panel", "pin_factory"), answers.pin_factory)
    _put(values, ("call", "receiver"), answers.receiver)
    _put(values, ("cameras", "front", "device"), answers.camera)
    _put(values, ("audio", "speaker", "playback"), answers.playback)
    _put(values, ("audio", "speaker", "capture"), answers.capture)
    for text in answers.buttons:
        name, pin, action = _parts(text)
        put_button(values, name, pin, action or name)
    for section, texts in (("leds", answers.leds), ("relays", answers.relays)):
        for text in texts:
            name, pin, rest = _parts(text)
            if rest:
                raise ApplianceError(f"{text} is not NAME=PIN")
            _put(values, (section, name, "pin"), pin)
    return values


def put_button(values: dropin.Values, name: str, pin: str, action: str) -> None:
    """A button, its pin, and what a press of it does; raises ApplianceError for an action there is not."""
    try:
        parse_action(action)
    except ValueError as error:
        raise ApplianceError(f"the button {name}: {error}") from None
    _put(values, ("buttons", name, "pin"), pin)
    _put(values, ("buttons", name, "press"), action)


def _parts(text: str) -> tuple[str, str, str]:
    name, equals, rest = text.partition("=")
    pin, _, action = rest.partition(":")
    if not equals or not name or gpio(pin) is None:
        raise ApplianceError(
            f"{text} is not NAME=PIN with a pin of the header, such as call=GPIO17 or unlock=GPIO5:unlock"
        )
    return name, pin, action


def _put(values: dropin.Values, path: tuple[str, ...], value: Any) -> None:
    if value in (None, ""):
        return
    for part in path[:-1]:
        inner = values.get(part)
        values[part] = values = dict(inner) if isinstance(inner, Mapping) else {}
    values[path[-1]] = value


# -------------------- what is asked


def _asked(
    config: Config, values: dropin.Values, machine: Machine, dialog: Dialog
) -> dropin.Values:
    looks = {"pins": pins, "camera": cameras, "sound": sound}
    dialog.say(f"What there is here:\n\n{table(examine(config, machine, looks))}\n")
    _put(
        values,
        ("device", "name"),
        _changed(dialog, "The device's name, for people", config.device.name),
    )
    factory = open_factory(config.device.board, config.panel.pin_factory)
    try:
        for name, (pin, action) in pressing.learned(config, factory, machine, dialog).items():
            _put(values, ("buttons", name, "pin"), pin)
            _put(values, ("buttons", name, "press"), action)
            config = _at(config, name, pin)
        for section, name, pin in pressing.shown(config, factory, machine, dialog):
            _put(values, (section, name, "pin"), pin)
    finally:
        factory.close()
    _put(values, ("cameras", "front", "device"), _camera(config, machine, dialog))
    for key, device in hearing.tried(config, machine, dialog).items():
        _put(values, ("audio", "speaker", key), device)
    return values


def _at(config: Config, name: str, pin: str) -> Config:
    """The same with a button at that pin."""
    button = structs.replace(config.buttons.get(name, Button(pin)), pin=pin)
    return structs.replace(config, buttons={**config.buttons, name: button})


def _changed(dialog: Dialog, question: str, default: str) -> str | None:
    """The answer, where it is another than what counts already."""
    answer = dialog.ask(question, default)
    return None if answer == default else answer


def _camera(config: Config, machine: Machine, dialog: Dialog) -> str | None:
    try:
        known = machine.cameras()
    except Exception as error:  # whatever a driver says
        dialog.say(f"Cameras cannot be looked for: {error}; {ELSEWHERE}.")
        known = ()
    options = [(str(number), str(one.get("Model", ""))) for number, one in enumerate(known)]
    now = config.cameras["front"].device if "front" in config.cameras else ""
    default = now or (options[0][0] if options else "none")
    answer = dialog.choose(
        "The camera that sees the visitor",
        [*options, ("test-card", "a picture, no camera")],
        default,
    )
    return None if answer in (now, "none") else answer


# -------------------- may it be written


def _may_be_written(
    places: Places, values: dropin.Values, dialog: Dialog, *, replace: bool, talks: bool
) -> bool:
    """Say which keys of somebody's are overruled, and which overrule; ask, where somebody is there."""
    found = dropin.clashes(places, values)
    for clash in found:
        which = "is laid over that" if clash.wins else "would have no effect"
        dialog.say(
            f"note: {clash.path} is {clash.theirs!r} in {clash.file}: {clash.ours!r} of setup {which}."
        )
    if not any(clash.wins for clash in found) or replace:
        return True
    if talks:
        return dialog.yes("Shall setup's count from now on?", default=True)
    raise ApplianceError("these keys are set by hand; --replace lays setup's over them")
