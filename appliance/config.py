"""The configuration: what may stand in it, and reading it with every fault reported at once.

Limits stand beside their field as `msgspec.Meta`; an unknown key is a fault.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct, field

from appliance.errors import ConfigError
from appliance.model import AudioMode, CallSettings, Right

if TYPE_CHECKING:
    from appliance.loading.findings import Check

logger = logging.getLogger(__name__)

Id = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,64}$")]
Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=86400)]


class Device(Struct, frozen=True):
    """[device]: who this device is."""

    id: Id = "door"
    name: str = "Door"
    board: Literal["pi", "simulated"] = "pi"


class Mqtt(Struct, frozen=True):
    """[mqtt]: the broker."""

    host: str = "localhost"
    port: Port = 1883
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    root: str = "appliance"
    websocket_url: str | None = None
    accounts_socket: str | None = None
    """Where the broker's accounts are made for whom this device pairs; see `accounts.py`."""
    plain_commands: tuple[str, ...] = ()


class Security(Struct, frozen=True):
    """[security]: whether messages without a signature are believed."""

    unsigned: Literal["refuse", "allow"] = "refuse"


class Contact(Struct, frozen=True):
    """[contacts.<uid>]: a person or another device, and what it may do."""

    name: str | None = None
    keys: tuple[str, ...] = ()
    may: tuple[Right, ...] = ()


class Group(Struct, frozen=True):
    """[groups.<id>]: several uids that are rung together."""

    members: tuple[Id, ...]
    policy: Literal["first", "all"] = "first"


class CallSection(CallSettings, frozen=True):
    """[call]: the settings of the vocabulary, and whom the door calls."""

    receiver: str | None = None
    """Whom the bell calls: `user:<uid>` or `group:<id>`."""
    invite_receiver: str | None = None
    """Whom `invite` rings into a running session where it names nobody."""
    ring_timeout_s: Seconds = 30
    """How long an own call rings, unless it says so itself."""
    auto_answer: tuple[Id, ...] = ()
    """Contacts whose calls are taken without ringing."""
    chat_messages: tuple[Annotated[str, Meta(min_length=1, max_length=1000)], ...] = ()
    """The canned messages of the chat button, sent one after the other."""
    hang_up_confirmation: Literal["none", "hold"] = "none"
    """`hold`: a button that leaves a running call is to be held, a press is not enough."""


class IceServer(Struct, frozen=True):
    """[[media.ice_servers]]: a STUN or TURN server (W3C `RTCIceServer`)."""

    urls: tuple[str, ...]
    username: str | None = None
    credential_file: str | None = None
    secret_file: str | None = None
    """Of a TURN server that shares a secret with this device (TURN REST): each connection has a password
    of its own that is good for a day."""


class Media(Struct, frozen=True):
    """[media]: picture and encoder."""

    encoder: Literal["auto", "v4l2", "software"] = "auto"
    width: Annotated[int, Meta(ge=160, le=1920)] = 1280
    height: Annotated[int, Meta(ge=90, le=1088)] = 720
    framerate: Annotated[int, Meta(ge=1, le=60)] = 30
    bitrate_kbps: Annotated[int, Meta(ge=50, le=10000)] = 1500
    ice_servers: tuple[IceServer, ...] = ()


class Camera(Struct, frozen=True):
    """[cameras.front] [cameras.rear]: `device` is a camera's number, model or id, or test-card."""

    device: str = "0"


class Audio(Struct, frozen=True):
    """[audio.<mode>]: an output and its microphone; ALSA names, or tone and silence."""

    playback: str = "default"
    capture: str = "default"
    echo: Literal["auto", "aec3", "duck", "off"] = "auto"
    """How the loudspeaker is kept out of the microphone: WebRTC's canceller, the microphone made quieter
    while the other side speaks, or not at all. `auto` is what the output needs and what is installed."""
    gain_control: bool = False
    """Whether a quiet voice is brought up; WebRTC's canceller does it, no other."""


class Screen(Struct, frozen=True):
    """[screen]: the display, if there is one."""

    kind: Literal["none", "kms", "window", "frames"] = "none"
    width: Annotated[int, Meta(ge=160, le=3840)] = 800
    height: Annotated[int, Meta(ge=120, le=2160)] = 480
    framerate: Annotated[int, Meta(ge=1, le=60)] = 10
    directory: str | None = None
    """Of `frames`: where each shown picture is written as a file, besides being given to the page."""


Pull = Literal["up", "down", "none"]
"""The resistor inside the Pi that says what a pin reads while nothing is connected to it."""


GPIO_SIM = "gpio-sim"
"""The pin factory that is not gpiozero's: lines that the kernel of a computer that is no Pi simulates."""


class Panel(Struct, frozen=True):
    """[panel]: how pins are reached (by default what gpiozero finds), and what is about all of it."""

    pin_factory: str | None = None
    """gpiozero's name of a factory, or `gpio-sim`."""
    buzzer: str | int | None = None
    """The pin of a passive buzzer, which plays the chime and the ring tone."""
    max_presses: Annotated[int, Meta(ge=0, le=1000)] = 20
    """Of one button within 10 s, and four times as many of all; 0 is no limit."""


class Prompts(Struct, frozen=True):
    """[prompts]: what a visitor is told, and in which language."""

    language: str = "en"
    spoken: bool = True
    """Words after the tone; without, tone, screen and LEDs alone tell."""
    directory: str | None = None
    """Own files, `<sound>.wav` (`ogg`, `opus`), which take the place of the project's."""


class Button(Struct, frozen=True):
    """[buttons.<name>]: a pin in gpiozero's spelling, and an action for each gesture.

    A `hook` is the switch under a handset: lifting it is `press`, and putting it back leaves.
    """

    pin: str | int
    kind: Literal["button", "hook"] = "button"
    press: str | None = None
    double_press: str | None = None
    hold: str | None = None
    bounce_ms: Annotated[float, Meta(ge=0, le=1000)] = 30
    hold_s: Annotated[float, Meta(gt=0, le=60)] = 1.0
    pull: Pull = "up"
    active_high: bool | None = None
    """Which level is pressed; by default the one that `pull` keeps it from."""


class Keypad(Struct, frozen=True):
    """[keypads.<name>]: a matrix of keys, one character each; each row of `keys` is a text."""

    rows: tuple[str | int, ...]
    columns: tuple[str | int, ...]
    keys: tuple[str, ...]
    actions: dict[str, str] = field(default_factory=dict)
    """What a key does; a key of a telephone sends its tone (`dtmf:<key>`) unless it says otherwise."""
    bounce_ms: Annotated[float, Meta(ge=0, le=1000)] = 30


class Led(Struct, frozen=True):
    """[leds.<name>]: a pin (three for rgb), and the pattern of each situation that differs."""

    pin: str | int | tuple[str | int, str | int, str | int]
    kind: Literal["led", "pwm", "rgb"] = "led"
    active_high: bool = True
    privacy: bool = False
    """Lit whenever microphone or camera may be open, and never for anything else."""
    patterns: dict[str, str] = field(default_factory=dict)


class Relay(Struct, frozen=True):
    """[relays.<name>]: a pulse of `pulse_s`, or energized while a situation lasts (`on`)."""

    pin: str | int
    pulse_s: Annotated[float, Meta(ge=0.05, le=60)] = 3.0
    active_high: bool = True
    on: str | None = None
    dtmf: Annotated[str, Meta(pattern=r"^[0-9*#A-D]{1,16}$")] | None = None
    """Digits with which a participant who may unlock opens it from a keypad."""


class InputPin(Struct, frozen=True):
    """[inputs.<name>]: a contact or sensor."""

    pin: str | int
    kind: Literal["door_contact", "exit", "tamper", "motion"]
    pull: Pull | None = None
    """By default up; of a motion sensor, which drives its pin, down."""
    active_high: bool | None = None
    """Which level is on; by default low for an exit button, and high for the others."""
    left_open_s: Seconds | None = None
    """Of a door contact: after how long an open door is told."""
    relay: str | None = None
    """Of an exit button: what it opens, by default the relay named door; empty is nothing."""


class Recording(Struct, frozen=True):
    """[recording]: where recordings lie, and how much they may take."""

    directory: str | None = None
    max_mb: Annotated[int, Meta(ge=1)] = 500


class CallLog(Struct, frozen=True):
    """[call_log]: every ring and its outcome; by default in the state directory."""

    directory: str | None = None
    max_entries: Annotated[int, Meta(ge=0, le=10000)] = 200


class Hooks(Struct, frozen=True):
    """[hooks]: programs that are started for events."""

    directory: str | None = None


class Plugins(Struct, frozen=True):
    """[plugins]: Python modules that are given the session."""

    modules: tuple[str, ...] = ()


class Http(Struct, frozen=True):
    """[http]: the page and its endpoints."""

    host: str = "127.0.0.1"
    port: Port = 8080
    cert_file: str | None = None
    key_file: str | None = None
    local_ca: bool = False
    """Make a certificate authority of this device's own, where there is none, and use it without a
    `cert_file`; one that was made is used in any case."""
    login: Literal["remote", "always"] = "remote"
    """Who has to log in: who comes from another machine, or whoever asks."""
    origins: tuple[str, ...] = ()
    max_viewers: Annotated[int, Meta(ge=0, le=16)] = 4
    """How many may look through the camera at once without a call,"""
    view_limit_s: Annotated[float, Meta(ge=0, le=86400)] = 3600
    """and each for how long; 0 is without limit."""


class Update(Struct, frozen=True):
    """[update]: where a device with two slots finds its updates, and what it does by night."""

    url: str | None = None
    """Of a bundle whose contents change, by https; without one nothing is looked for."""
    nightly: Literal["install", "check", "off"] = "install"


class Config(Struct, frozen=True):
    """Everything that can be configured."""

    device: Device = Device()
    mqtt: Mqtt = Mqtt()
    security: Security = Security()
    contacts: dict[Id, Contact] = field(default_factory=dict)
    groups: dict[Id, Group] = field(default_factory=dict)
    call: CallSection = CallSection()
    media: Media = Media()
    cameras: dict[Literal["front", "rear"], Camera] = field(default_factory=dict)
    audio: dict[AudioMode, Audio] = field(default_factory=dict)
    screen: Screen = Screen()
    panel: Panel = Panel()
    prompts: Prompts = Prompts()
    buttons: dict[Id, Button] = field(default_factory=dict)
    keypads: dict[Id, Keypad] = field(default_factory=dict)
    leds: dict[Id, Led] = field(default_factory=dict)
    relays: dict[Id, Relay] = field(default_factory=dict)
    inputs: dict[Id, InputPin] = field(default_factory=dict)
    recording: Recording = Recording()
    call_log: CallLog = CallLog()
    hooks: Hooks = Hooks()
    plugins: Plugins = Plugins()
    http: Http = Http()
    update: Update = Update()


def load(
    file: FilePath | None = None,
    environ: Mapping[str, str] = os.environ,
    checks: Sequence[Check] = (),
) -> Config:
    """Read the configuration from `file` (by default /etc/appliance/appliance.toml) and `environ`.

    `checks` are those that belong to an edge, beside our own. Warnings go to the log.
    Raises ConfigError with every fault there is, each as `file: path: sentence`.
    """
    from appliance.loading.reading import read  # it needs the classes above

    result = read(file, environ, checks)
    for warning in result.warnings:
        logger.warning("%s", warning)
    if result.faults:
        raise ConfigError(list(result.faults))
    return result.config
