"""What must hold between the values of a configuration, once each is right by itself."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import math
import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path as FilePath
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from appliance.actions import DTMF_DIGITS, parse_action
from appliance.commands import COMMANDS
from appliance.config import Button, Config, Http, IceServer, Mqtt
from appliance.errors import did_you_mean
from appliance.loading.extensions import hooks, plugins
from appliance.loading.findings import Check, Finding, Path, one_of
from appliance.loading.panel import SITUATIONS, inputs, leds, pin_factory, pins, relays
from appliance.model import CONTROLS, QUIET_HOURS, Notice, ReceiverType, Right
from appliance.prompts import ENDINGS, LANGUAGES
from appliance.state_directory import state_directory
from appliance.trust.authority import FOLDER as AUTHORITY
from appliance.trust.authority import lacks_authority

NEVER_PLAIN = ("generate_token", "start_session")
KEY_BYTES = 32
SECRETS = ("password_file", "key_file", "credential_file")
"""The files that nobody else is to read."""
BLOCKS, BLOCKS_PER_S = 3_600, 108_000
"""Of 16 by 16 pixels, what level 3.1 of H.264 carries (ITU-T H.264, table A-1)."""
TLS_PORT = 8883
"""IANA's secure-mqtt: a broker at this port is spoken to with TLS, whatever else is configured."""


Kind = Literal["led", "pwm", "rgb"]


def patterns(parse: Callable[[str, Kind], object]) -> Check:
    """The check of LED patterns; the panel's `parse(text, kind)` raises ValueError."""

    def check(config: Config) -> Iterator[Finding]:
        for name, led in config.leds.items():
            for situation, text in led.patterns.items():
                path: Path = ("leds", name, "patterns", situation)
                yield from one_of(path, situation, (*SITUATIONS, *Notice))
                try:
                    parse(text, led.kind)
                except ValueError as error:
                    yield Finding(path, str(error))

    return check


def prompts(length_s: Callable[[FilePath], float], sounds: Collection[str]) -> Check:
    """The check of prompts: `sounds` are their names; `length_s(file)` raises ValueError."""

    def check(config: Config) -> Iterator[Finding]:
        yield from one_of(("prompts", "language"), config.prompts.language, LANGUAGES)
        if config.prompts.directory is None:
            return
        path: Path = ("prompts", "directory")
        folder = FilePath(config.prompts.directory)
        if not folder.is_dir():
            yield Finding(path, f"there is no folder {folder}")
            return
        for file in sorted(folder.iterdir()):
            if file.suffix not in ENDINGS:
                continue
            if file.stem not in sounds:
                near = did_you_mean(file.stem, sounds) or f": {', '.join(sounds)}"
                yield Finding(path, f"{file.name} is no sound{near}", warning=True)
                continue
            try:
                length_s(file)
            except ValueError as error:
                yield Finding(path, str(error))

    return check


def people(config: Config) -> Iterator[Finding]:
    """Who is named must be known, and be allowed what the configuration expects of them."""
    contacts, groups = config.contacts, config.groups
    if config.device.id in contacts:
        yield Finding(("contacts", config.device.id), "is this device's own id")
    for name, group in groups.items():
        for at, uid in enumerate(group.members):
            yield from one_of(("groups", name, "members", at), uid, contacts, "contact")
    for at, uid in enumerate(config.call.auto_answer):
        yield from one_of(("call", "auto_answer", at), uid, contacts, "contact")
    if config.call.main_video != "dominant_speaker":
        names = ["dominant_speaker", *contacts]
        yield from one_of(("call", "main_video"), config.call.main_video, names, "contact")
    if config.call.receiver is not None:
        kind, _, name = config.call.receiver.partition(":")
        yield from _receiver(config, ("call", "receiver"), kind, name)


def keys(config: Config) -> Iterator[Finding]:
    """A contact's keys are Ed25519 public keys in base64url; without one it is no use yet."""
    for uid, contact in config.contacts.items():
        for at, key in enumerate(contact.keys):
            if not _is_key(key):
                sentence = "is not a public Ed25519 key: 43 characters of base64url"
                yield Finding(("contacts", uid, "keys", at), sentence)
        if not contact.keys and config.security.unsigned == "refuse":
            sentence = (
                "has no keys yet: neither rung nor believed until it is paired (`appliance pair`)"
            )
            yield Finding(("contacts", uid), sentence, warning=True)


def openers(config: Config) -> Iterator[Finding]:
    """Who may open the door has one that can be opened."""
    for uid, contact in config.contacts.items():
        if Right.UNLOCK in contact.may and not config.relays:
            sentence = '"unlock" opens nothing: there is no [relays.door]'
            yield Finding(("contacts", uid, "may"), sentence, warning=True)


def buttons(config: Config) -> Iterator[Finding]:
    """Actions are spelled right, and have somebody to call or something to open."""
    for name, button in config.buttons.items():
        actions = {"press": button.press, "double_press": button.double_press, "hold": button.hold}
        if button.kind == "hook":
            for gesture in ("double_press", "hold"):
                if actions[gesture]:
                    yield Finding(("buttons", name, gesture), "is nothing that a handset can do")
        elif not any(actions.values()):
            yield Finding(("buttons", name), "does nothing: no press, no hold", warning=True)
        if button.pull == "none" and button.active_high is None:
            yield Finding(("buttons", name, "active_high"), _FLOATS)
        for gesture, text in actions.items():
            if text:
                yield from _action(config, ("buttons", name, gesture), text)
        if config.call.hang_up_confirmation == "hold" and _cannot_leave(button):
            sentence = 'with [call] hang_up_confirmation = "hold" a press leaves no running call'
            yield Finding(("buttons", name, "hold"), sentence, warning=True)


def _cannot_leave(button: Button) -> bool:
    """Its press would leave a call, and what holding it does would not."""
    try:
        press, hold = (parse_action(text or "call") for text in (button.press, button.hold))
    except ValueError:
        return False  # which is told elsewhere
    return button.kind != "hook" and press.leaves and bool(button.hold) and not hold.leaves


_FLOATS = 'is wanted with pull = "none": nothing else says which level is pressed'


def keypads(config: Config) -> Iterator[Finding]:
    """The keys fit the pins, and each does something."""
    for name, keypad in config.keypads.items():
        path: Path = ("keypads", name)
        if len(keypad.keys) != len(keypad.rows):
            sentence = f"has {len(keypad.rows)} rows of pins and {len(keypad.keys)} of keys"
            yield Finding((*path, "keys"), sentence)
        for at, row in enumerate(keypad.keys):
            if len(row) != len(keypad.columns):
                sentence = f"has {len(row)} keys for {len(keypad.columns)} columns"
                yield Finding((*path, "keys", at), sentence)
        keys = "".join(keypad.keys).replace(" ", "")
        for key in dict.fromkeys(keys):
            if keys.count(key) > 1:
                yield Finding((*path, "keys"), f"has the key {key} twice")
            if key not in keypad.actions and key not in DTMF_DIGITS:
                yield Finding((*path, "keys"), f"the key {key} does nothing", warning=True)
        for key, text in keypad.actions.items():
            yield from one_of((*path, "actions", key), key, keys, "key")
            yield from _action(config, (*path, "actions", key), text)


def _action(config: Config, path: Path, text: str) -> Iterator[Finding]:
    try:
        action = parse_action(text)
    except ValueError as error:
        yield Finding(path, str(error))
        return
    if action.receiver is not None:
        yield from _receiver(config, path, action.receiver.type, action.receiver.id)
    elif action.verb == "call" and config.call.receiver is None:
        yield Finding(path, "calls nobody: [call] names no receiver", warning=True)
    elif action.verb == "switch_camera" and "rear" not in config.cameras:
        yield Finding(path, "switches to nothing: there is no [cameras.rear]", warning=True)
    elif action.verb == "unlock" and "door" not in config.relays:
        yield Finding(path, "opens nothing: there is no [relays.door]", warning=True)


def call_settings(config: Config) -> Iterator[Finding]:
    """The settings whose values the vocabulary describes in words."""
    call = config.call
    yield from one_of(("call", "accept_video"), call.accept_video, ["auto", "ask"])
    fit = call.main_video_container.fit
    yield from one_of(("call", "main_video_container", "fit"), fit, ["contain", "cover"])
    for at, control in enumerate(call.enabled_controls):
        yield from one_of(("call", "enabled_controls", at), control, CONTROLS)
    if not (math.isfinite(call.idle_timeout_s) and call.idle_timeout_s > 0):
        yield Finding(("call", "idle_timeout_s"), "is to be above 0")
    if not re.fullmatch(QUIET_HOURS, call.quiet_hours):
        yield Finding(("call", "quiet_hours"), 'is not spelled like "22:00-07:00"')


def mqtt(config: Config) -> Iterator[Finding]:
    """The broker's topics, its plain commands, and whether others can read along."""
    broker = config.mqtt
    if not re.fullmatch(r"[^+#\s/\x00]+(/[^+#\s/\x00]+)*", broker.root):
        yield Finding(("mqtt", "root"), "is no topic: no + or #, no space, no empty level")
    for at, name in enumerate(broker.plain_commands):
        path: Path = ("mqtt", "plain_commands", at)
        yield from one_of(path, name, COMMANDS, "command")
        if name in NEVER_PLAIN:
            yield Finding(path, f"{name} is never taken plain")
        if name == "unlock":
            sentence = "unlock: whoever controls the broker can open the door"
            yield Finding(path, sentence, warning=True)
    yield from _in_plain_text(broker)
    if broker.accounts_socket is not None and not broker.accounts_socket.startswith("/"):
        yield Finding(("mqtt", "accounts_socket"), "is to be a whole path, from / on")


def _in_plain_text(broker: Mqtt) -> Iterator[Finding]:
    """Only this machine may be spoken to without TLS; there is no key that says otherwise."""
    encrypted = broker.ca_file or broker.cert_file or broker.port == TLS_PORT
    if not (encrypted or _is_local(broker.host)):
        sentence = (
            f"{broker.host} is more than this machine, and would be spoken to in plain text, password"
            f" and all: that needs TLS (ca_file, or port = {TLS_PORT} with an authority that this"
            " system trusts)"
        )
        yield Finding(("mqtt", "host"), sentence)
    if (url := broker.websocket_url) is not None:
        parts = _parts_of(url)
        if parts is None or parts.scheme not in ("ws", "wss") or not parts.hostname:
            yield Finding(
                ("mqtt", "websocket_url"), "is not spelled like wss://broker.example:8884/"
            )
        elif parts.username is not None or parts.password is not None:
            yield Finding(
                ("mqtt", "websocket_url"), "has a password in it, and every page is told it"
            )
        elif parts.scheme == "ws" and not _is_local(parts.hostname):
            sentence = f"{parts.hostname} is more than this machine: that needs wss://"
            yield Finding(("mqtt", "websocket_url"), sentence)


def _parts_of(url: str) -> SplitResult | None:
    """None where it is no address: a bracket that is not closed, a port that is no number."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def origins(config: Config) -> Iterator[Finding]:
    """Whose pages are let in: scheme, host and port, and nothing behind them."""
    for origin in config.http.origins:
        parts = _parts_of(origin)
        if (
            parts is None
            or parts.scheme not in ("http", "https")
            or not parts.hostname
            or origin.rstrip("/") != f"{parts.scheme}://{parts.netloc}"
        ):
            sentence = f'"{origin}" is no origin, which is spelled like https://home.example:8123'
            yield Finding(("http", "origins"), sentence)


def updates(config: Config) -> Iterator[Finding]:
    """Where bundles are: over TLS, so that nobody on the way says that there is nothing newer."""
    if (url := config.update.url) is None:
        return
    parts = _parts_of(url)
    if parts is None or parts.scheme != "https" or not parts.hostname:
        yield Finding(("update", "url"), "is not spelled like https://updates.example/door.raucb")


def certificates(config: Config) -> Iterator[Finding]:
    """A certificate comes with its key; the page leaves this machine only with both, or an authority."""
    sections: list[tuple[str, Mqtt | Http]] = [("mqtt", config.mqtt), ("http", config.http)]
    for name, section in sections:
        if bool(section.cert_file) != bool(section.key_file):
            has, lacks = ("cert", "key") if section.cert_file else ("key", "cert")
            yield Finding((name, f"{has}_file"), f"is of no use without {lacks}_file")
    if lacks_authority(config.http, state_directory() / AUTHORITY):
        sentence = (
            f"{config.http.host} is more than this machine: the page is not served before `appliance pair`"
            " has made a certificate authority of this device's own (local_ca = true: at the start),"
            " unless cert_file and key_file are set"
        )
        yield Finding(("http", "host"), sentence, warning=True)


def pictures(config: Config) -> Iterator[Finding]:
    """Pictures that are larger, or more, than those who look promise to decode."""
    media = config.media
    blocks = math.ceil(media.width / 16) * math.ceil(media.height / 16)
    if blocks <= BLOCKS and blocks * media.framerate <= BLOCKS_PER_S:
        return
    key = "height" if blocks > BLOCKS else "framerate"
    sentence = (
        f"{media.width}x{media.height} at {media.framerate}/s is more than H.264 level 3.1, to which"
        " browsers bind themselves (1280x720 at 30/s): Chromium decodes it all the same, others may not"
    )
    yield Finding(("media", key), sentence, warning=True)


def files(config: Config) -> Iterator[Finding]:
    """The files that are named are there."""
    named: list[tuple[Path, str | None]] = [
        (("mqtt", key), getattr(config.mqtt, key))
        for key in ("password_file", "ca_file", "cert_file", "key_file")
    ]
    named += [(("http", key), getattr(config.http, key)) for key in ("cert_file", "key_file")]
    servers: tuple[IceServer, ...] = config.media.ice_servers
    for at, server in enumerate(servers):
        for key in ("credential_file", "secret_file"):
            named.append((("media", "ice_servers", at, key), getattr(server, key)))
    for path, name in named:
        if name and name.startswith("$"):
            variable = name.split("/", maxsplit=1)[0]
            sentence = f"{variable} is not set here, so the file was not looked for"
            yield Finding(path, sentence, warning=True)
        elif name and not FilePath(name).is_file():
            yield Finding(path, f"there is no file {name}")
        elif name and path[-1] in SECRETS and FilePath(name).stat().st_mode & 0o007:
            sentence = f"everybody on this machine can read {name}: chmod 600, or 640 for a group"
            yield Finding(path, sentence, warning=True)


def ice_servers(config: Config) -> Iterator[Finding]:
    """What stands under each server makes sense together."""
    for at, server in enumerate(config.media.ice_servers):
        path: Path = ("media", "ice_servers", at)
        for url in server.urls:
            if not url.startswith(("stun:", "turn:", "turns:")):
                yield Finding((*path, "urls"), f"{url} begins with none of stun:, turn:, turns:")
        relays = any(url.startswith("turn") for url in server.urls)
        if server.secret_file and (server.username or server.credential_file):
            sentence = "takes the place of username and credential_file, which are there too"
            yield Finding((*path, "secret_file"), sentence)
        if relays and not (server.secret_file or (server.username and server.credential_file)):
            sentence = "a TURN server wants secret_file, or username and credential_file"
            yield Finding((*path, "urls"), sentence)


def recordings(config: Config) -> Iterator[Finding]:
    """The folder of the recordings is there, or can be made."""
    folder = config.recording.directory
    if not folder or folder.startswith("$"):
        return
    nearest = FilePath(folder)
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    path: Path = ("recording", "directory")
    if not nearest.is_dir():
        yield Finding(path, f"{nearest} is no folder")
    elif not os.access(nearest, os.W_OK | os.X_OK):
        # who checks may be somebody else than the service
        yield Finding(path, f"{nearest} cannot be written by who asks now", warning=True)


TEST_CARD = "test-card"
SOUNDS = ("tone", "silence")


def cameras(config: Config) -> Iterator[Finding]:
    """Two cameras are two devices, and each has a name."""
    used: dict[str, str] = {}
    for name, camera in config.cameras.items():
        path: Path = ("cameras", name, "device")
        if not camera.device.strip():
            yield Finding(path, "is empty: a camera's number, model or id, or test-card")
        elif camera.device in used and camera.device != TEST_CARD:
            sentence = f'"{camera.device}" is the device of cameras.{used[camera.device]} already'
            yield Finding(path, sentence, warning=True)
        used[camera.device] = name
    fastest = 30 * 1920 * 1088
    media = config.media
    if media.encoder == "v4l2" and media.width * media.height * media.framerate > fastest:
        sentence = f"{media.width}x{media.height} at {media.framerate}/s is more than it can encode"
        yield Finding(("media", "encoder"), sentence, warning=True)


def sounds(config: Config) -> Iterator[Finding]:
    """An ALSA device has a name, and a simulated board has none of them."""
    for mode, audio in config.audio.items():
        for end, name in (("playback", audio.playback), ("capture", audio.capture)):
            path: Path = ("audio", mode, end)
            if name in SOUNDS:
                continue
            if not re.fullmatch(r"\S(.*\S)?", name):
                yield Finding(path, "is no ALSA device: it has no name, or space around it")
            elif config.device.board == "simulated":
                if end == "capture":
                    sentence = f'a simulated board has no "{name}"; "tone" and "silence" work'
                    yield Finding(path, sentence, warning=True)
            elif near := did_you_mean(name, SOUNDS):
                yield Finding(path, f"{name} is taken for an ALSA device{near}", warning=True)
            elif name.startswith("hw:"):
                sentence = f'few cards have mono at 48 kHz as it is; "plug{name}" converts'
                yield Finding(path, sentence, warning=True)


def echo(installed: Callable[[], bool]) -> Check:
    """The check of echo cancelling; media's `installed()` tells whether WebRTC's canceller is there."""

    def check(config: Config) -> Iterator[Finding]:
        for mode, audio in config.audio.items():
            if audio.echo == "aec3" and not installed():
                sentence = (
                    "WebRTC's echo canceller is not installed (the extra `echo`): the microphone "
                    "is made quieter instead while the other side speaks"
                )
                yield Finding(("audio", mode, "echo"), sentence, warning=True)
            if audio.gain_control and (audio.echo in ("duck", "off") or not installed()):
                sentence = "has no effect without WebRTC's echo canceller"
                yield Finding(("audio", mode, "gain_control"), sentence, warning=True)

    return check


CHECKS: tuple[Check, ...] = (
    cameras,
    pictures,
    sounds,
    people,
    keys,
    openers,
    buttons,
    keypads,
    pin_factory,
    leds,
    inputs,
    relays,
    pins,
    call_settings,
    mqtt,
    certificates,
    updates,
    origins,
    files,
    ice_servers,
    recordings,
    hooks,
    plugins,
)
"""The checks that need nothing but the vocabulary."""


def _receiver(config: Config, path: Path, kind: str, name: str) -> Iterator[Finding]:
    """A receiver is a contact or a group, and somebody in it may answer."""
    if kind == ReceiverType.USER:
        known = [*config.contacts]
        rung = [name]
    elif kind == ReceiverType.GROUP:
        known = [*config.groups]
        rung = [*config.groups[name].members] if name in config.groups else []
    else:
        yield Finding(path, f'"{kind}:{name}" is to be user:<uid> or group:<id>')
        return
    yield from one_of(path, name, known, "contact" if kind == ReceiverType.USER else "group")
    if name in known:
        contacts = [config.contacts[uid] for uid in rung if uid in config.contacts]
        if not any(Right.ANSWER in contact.may for contact in contacts):
            sentence = f"nobody behind {kind}:{name} has the right to answer"
            yield Finding(path, sentence, warning=True)


def _is_key(text: str) -> bool:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(raw) == KEY_BYTES and "=" not in text


def _is_local(host: str) -> bool:
    """Whether a host is this machine's loopback."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"  # names below it may be asked of a DNS server
