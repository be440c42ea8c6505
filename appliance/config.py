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
    """What the device is called at the broker: its uid, and its user name there. No two devices of one
    broker share it."""
    name: str = "Door"
    """What people read: on the phone that rings, on the page."""
    board: Literal["pi", "simulated"] = "pi"
    """`simulated` has no pins, no camera and no sound card: `appliance press` presses its buttons."""


class Mqtt(Struct, frozen=True):
    """[mqtt]: the broker."""

    host: str = "localhost"
    """The broker's name or address. Any but this machine's own needs TLS."""
    port: Port = 1883
    """8883 is with TLS, 1883 without."""
    username: str | None = None
    """By default the device's id; the broker's ACL of a house wants it so."""
    password_file: str | None = None
    """Holds the password alone, mode 0600. Of the service: `$CREDENTIALS_DIRECTORY/mqtt.password`,
    which is `/etc/credstore/appliance.mqtt.password`."""
    ca_file: str | None = None
    """TLS: the authority that vouches for the broker. Without one, on port 8883, those that the system
    trusts do."""
    cert_file: str | None = None
    """TLS: the certificate of this device, if the broker asks for one."""
    key_file: str | None = None
    """And its key."""
    root: str = "appliance"
    """The first level of every topic; the same for all devices and phones of a house."""
    websocket_url: str | None = None
    """Where web pages reach the broker; `wss://` beyond this machine."""
    accounts_socket: str | None = None
    """Where the broker's accounts are made for whom this device pairs, and taken back:
    the path of `appliance-accounts.socket`."""
    plain_commands: tuple[str, ...] = ()
    """Commands that are taken over MQTT without a signature. With `unlock` in it whoever controls the
    broker opens the door."""


class Security(Struct, frozen=True):
    """[security]: whether messages without a signature are believed."""

    unsigned: Literal["refuse", "allow"] = "refuse"
    """`allow` believes messages without a signature: for trying out on a broker that you trust, and not
    for a door."""


class Contact(Struct, frozen=True):
    """[contacts.<uid>]: a person or another device, and what it may do."""

    name: str | None = None
    """What people read; by default the uid."""
    keys: tuple[str, ...] = ()
    """Public Ed25519 keys in base64url. Pairing a phone adds them by itself, in a file of its own."""
    may: tuple[Right, ...] = ()
    """The rights. A person who is to be rung needs `answer`."""


class Group(Struct, frozen=True):
    """[groups.<id>]: several uids that are rung together."""

    members: tuple[Id, ...]
    """The uids of contacts."""
    policy: Literal["first", "all"] = "first"
    """`first`: the first who answers has the call. `all`: everyone may join it."""


class CallSection(CallSettings, frozen=True):
    """[call]: whom the bell calls, and the settings of a call."""

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
    """`stun:host:port`, `turn:host:port`, `turns:host:port`."""
    username: str | None = None
    """Of a TURN server with a fixed password."""
    credential_file: str | None = None
    """Of a TURN server with a fixed password: the file that holds it."""
    secret_file: str | None = None
    """Of a TURN server that shares a secret with this device (TURN REST): each connection has a password
    of its own that is good for a day."""


class Media(Struct, frozen=True):
    """[media]: picture and encoder."""

    encoder: Literal["auto", "v4l2", "software"] = "auto"
    """`auto` is the Pi's hardware encoder where there is one (before the Pi 5), else software; `v4l2`
    is the hardware or nothing, `software` never the hardware."""
    width: Annotated[int, Meta(ge=160, le=1920)] = 1280
    """Of the picture that is sent. More than 1280x720 at 30 a second is more than browsers promise to
    decode."""
    height: Annotated[int, Meta(ge=90, le=1088)] = 720
    """Of the picture that is sent."""
    framerate: Annotated[int, Meta(ge=1, le=60)] = 30
    """Pictures a second. A weak way or a hot device gets fewer."""
    bitrate_kbps: Annotated[int, Meta(ge=50, le=10000)] = 1500
    """The most that a picture's stream takes, in kbit/s. A weak way gets less."""
    ice_servers: tuple[IceServer, ...] = ()


class Camera(Struct, frozen=True):
    """[cameras.front] [cameras.rear]: `device` is a camera's number, model or id, or test-card."""

    device: str = "0"
    """A camera's number, model (`imx708`) or id, as `rpicam-hello --list-cameras` tells them; or
    `test-card`, a picture without a camera."""


class Audio(Struct, frozen=True):
    """[audio.<mode>]: an output and its microphone; ALSA names, or tone and silence."""

    playback: str = "default"
    """The loudspeaker: an ALSA name (`aplay -L`) that takes mono at 48 kHz, as `default` and
    `plughw:CARD=Device` do; or `tone`, `silence`. With a card in its name the output comes and goes
    with the card."""
    capture: str = "default"
    """The microphone (`arecord -L`), likewise. It may be the same for several outputs."""
    echo: Literal["auto", "aec3", "duck", "off"] = "auto"
    """How the loudspeaker is kept out of the microphone: WebRTC's canceller, the microphone made quieter
    while the other side speaks, or not at all. `auto` is what the output needs and what is installed."""
    gain_control: bool = False
    """Whether a quiet voice is brought up; WebRTC's canceller does it, no other."""


class Screen(Struct, frozen=True):
    """[screen]: the display, if there is one."""

    kind: Literal["none", "kms", "window", "frames"] = "none"
    """`kms`: a display of the Pi's own, without a desktop. `window`: on a desktop. `frames`: pictures
    for the page of a simulated board."""
    width: Annotated[int, Meta(ge=160, le=3840)] = 800
    """Of the display, in pixels."""
    height: Annotated[int, Meta(ge=120, le=2160)] = 480
    """Of the display, in pixels."""
    framerate: Annotated[int, Meta(ge=1, le=60)] = 10
    """How often a second it is drawn."""
    directory: str | None = None
    """Of `frames`: where each shown picture is written as a file, besides being given to the page."""


Pull = Literal["up", "down", "none"]
"""The resistor inside the Pi that says what a pin reads while nothing is connected to it."""


GPIO_SIM = "gpio-sim"
"""The pin factory that is not gpiozero's: lines that the kernel of a computer that is no Pi simulates."""


class Panel(Struct, frozen=True):
    """[panel]: how pins are reached (by default what gpiozero finds), and what is about all of it."""

    pin_factory: str | None = None
    """How gpiozero reaches the pins: `lgpio`, `rpigpio`, `pigpio`, `native`; `gpio-sim` (lines that the
    kernel of a computer that is no Pi simulates), `mock` (none). By default what gpiozero finds."""
    buzzer: str | int | None = None
    """The pin of a passive buzzer, which plays chime, ring tone and alarm as notes."""
    max_presses: Annotated[int, Meta(ge=0, le=1000)] = 20
    """Presses that count, of one button within 10 s; four times as many of all, and five that begin a
    call. Who presses more often is passed over until nobody has pressed for 10 s. 0 is no limit."""


class Prompts(Struct, frozen=True):
    """[prompts]: what a visitor is told, and in which language."""

    language: str = "en"
    """`de`, `en`, `es`, `fr`, `it` or `nl`."""
    spoken: bool = True
    """Words after the tone; without, tone, screen and LEDs alone tell."""
    directory: str | None = None
    """A folder of own sounds, `<sound>.wav` (`ogg`, `opus`), 10 s at most, in the place of the
    project's: `chime`, `refused`, `ringtone`, `it_is_ringing`, `no_answer`, `not_now`, `door_open`."""


class Button(Struct, frozen=True):
    """[buttons.<name>]: a pin in gpiozero's spelling, and an action for each gesture.

    A `hook` is the switch under a handset: lifting it is `press`, and putting it back leaves.
    """

    pin: str | int
    """Where it is connected."""
    kind: Literal["button", "hook"] = "button"
    """`hook` is the switch under a handset: lifting it is `press`, putting it back leaves the call."""
    press: str | None = None
    """The action of a press."""
    double_press: str | None = None
    """The action of two presses in a row. A single press then waits 300 ms for the second one."""
    hold: str | None = None
    """The action of holding it for `hold_s`."""
    bounce_ms: Annotated[float, Meta(ge=0, le=1000)] = 30
    """Changes of the contact that follow another one this soon are its own bouncing."""
    hold_s: Annotated[float, Meta(gt=0, le=60)] = 1.0
    """This long is a hold."""
    pull: Pull = "up"
    """`up`: the button connects the pin to ground. `down`: to 3.3 V. `none`: there is a resistor
    outside, and `active_high` says which level is pressed."""
    active_high: bool | None = None
    """Which level is pressed; by default the one that `pull` keeps it from. The other one is for a
    contact that opens when it is pressed."""


class Keypad(Struct, frozen=True):
    """[keypads.<name>]: a matrix of keys, one character each; each row of `keys` is a text."""

    rows: tuple[str | int, ...]
    """The pins of the rows, from the top. They need no resistors."""
    columns: tuple[str | int, ...]
    """The pins of the columns, from the left."""
    keys: tuple[str, ...]
    """A text for each row, a character for each key; a space is no key."""
    actions: dict[str, str] = field(default_factory=dict)
    """What a key does; a key of a telephone sends its tone (`dtmf:<key>`) unless it says otherwise."""
    bounce_ms: Annotated[float, Meta(ge=0, le=1000)] = 30
    """As of a button."""


class Led(Struct, frozen=True):
    """[leds.<name>]: a pin (three for rgb), and the pattern of each situation that differs."""

    pin: str | int | tuple[str | int, str | int, str | int]
    """Three pins for an rgb LED: red, green, blue."""
    kind: Literal["led", "pwm", "rgb"] = "led"
    """`led` is on or off, `pwm` can be dimmed, `rgb` has colours."""
    active_high: bool = True
    """`false` where the pin takes the current: an LED from 3.3 V, or with a common anode."""
    privacy: bool = False
    """Lit whenever microphone or camera may be open, and never for anything else."""
    patterns: dict[str, str] = field(default_factory=dict)
    """A pattern for each situation that is to look otherwise than it does by default."""


class Relay(Struct, frozen=True):
    """[relays.<name>]: a pulse of `pulse_s`, or energized while a situation lasts (`on`)."""

    pin: str | int
    """The input of the relay's board, or the transistor that drives its coil."""
    pulse_s: Annotated[float, Meta(ge=0.05, le=60)] = 3.0
    """How long `unlock` energizes it. A thread of its own ends it; where the daemon is killed, systemd
    releases the relay at once; where the whole process hangs, after the watchdog's time (30 s) at most."""
    active_high: bool = True
    """`false` for boards that switch on a low level."""
    on: str | None = None
    """The situation (as of an LED) for which it is energized, instead of by `unlock`. `motion`: while a
    motion sensor sees somebody, and `pulse_s` longer. Never for longer than two minutes."""
    dtmf: Annotated[str, Meta(pattern=r"^[0-9*#A-D]{1,16}$")] | None = None
    """Digits with which a participant who may unlock opens it from a keypad."""


class InputPin(Struct, frozen=True):
    """[inputs.<name>]: a contact or sensor."""

    pin: str | int
    """Where it is connected."""
    kind: Literal["door_contact", "exit", "tamper", "motion"]
    """`door_contact` and `motion` are told as they change. `exit` opens the door from inside. `tamper`
    is told once, and kept until the next start."""
    pull: Pull | None = None
    """By default up; of a motion sensor, which drives its pin, down."""
    active_high: bool | None = None
    """Which level is on; by default low for an exit button, and high for the others."""
    left_open_s: Seconds | None = None
    """Of a door contact: after so long an open door is told, and heard, under do not disturb too: it is
    an alarm."""
    relay: str | None = None
    """Of an exit button: what it opens, by default the relay named door; empty is nothing."""


class Recording(Struct, frozen=True):
    """[recording]: where recordings lie, and how much they may take."""

    directory: str | None = None
    """By default `recordings` in the state directory."""
    max_mb: Annotated[int, Meta(ge=1)] = 500
    """Of all together. The oldest make room, never the one that is being written."""


class CallLog(Struct, frozen=True):
    """[call_log]: every ring and its outcome; by default in the state directory."""

    directory: str | None = None
    """By default below the state directory."""
    max_entries: Annotated[int, Meta(ge=0, le=10000)] = 200
    """The oldest make room, with their pictures; 0 keeps none."""


class Hooks(Struct, frozen=True):
    """[hooks]: programs that are started for events."""

    directory: str | None = None
    """The folder of the programs. One that is called as an event (`call_ended.sh`) is started for it,
    one that is called `all` for every one."""


class Plugins(Struct, frozen=True):
    """[plugins]: Python modules that are given the session."""

    modules: tuple[str, ...] = ()
    """Names of modules that have `setup(session)`."""


class Http(Struct, frozen=True):
    """[http]: the page and its endpoints."""

    host: str = "127.0.0.1"
    """Where the page is served. Beyond this machine (`0.0.0.0`) only with a certificate, which without a
    `cert_file` is of an authority of this device's own; `appliance pair` makes it."""
    port: Port = 8080
    """And at which port."""
    cert_file: str | None = None
    """TLS: the page's certificate."""
    key_file: str | None = None
    """And its key."""
    local_ca: bool = False
    """Make that authority at the start, and serve the page before anybody is paired; one that was made is
    used in any case."""
    login: Literal["remote", "always"] = "remote"
    """Who has to log in: who comes from another machine, or whoever asks."""
    origins: tuple[str, ...] = ()
    """Other origins (`https://home.example:8123`) whose pages may use this one; and the own name of a
    reverse proxy."""
    max_viewers: Annotated[int, Meta(ge=0, le=16)] = 4
    """How many may look through the camera at once without a call."""
    view_limit_s: Annotated[float, Meta(ge=0, le=86400)] = 3600
    """How long each of them may look; 0 is without limit."""
    security_contact: (
        Annotated[str, Meta(pattern=r"^(mailto:|https://|tel:)[!-~]{1,200}\Z")] | None
    ) = None
    """Where whoever has found a fault in this device tells it in private, as a URI (RFC 9116)."""


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
