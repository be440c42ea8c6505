"""`appliance first-start`: makes a device that nobody has configured ready for its first phone.

A broker with an account for the device, the page by https for the whole house, and one authority for both:
what a phone trusts. Laws: it is done once; what somebody has configured is left as it is, and what was
done may be changed by its owner like anything else; wherever it ends, the next start goes on with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.broker.places import FOLDER as BROKER
from appliance.broker.told import tell
from appliance.errors import ApplianceError, ConfigError
from appliance.loading.layers import DEFAULT_FILE, Layers, read_layers
from appliance.owner.places import Places
from appliance.trust import book
from appliance.trust.authority import FOLDER as AUTHORITY
from appliance.trust.authority import Authority
from appliance.whole_file import private_folder, write_whole

BEGUN, NOTE = ".first-start", "first-start.txt"
"""Beside the configuration: that it was begun, and what came of it."""
DROP_IN = "10-first-start.toml"
"""Of conf.d: whatever an owner writes there comes after it."""
PASSWORD = "appliance.mqtt.password"  # noqa: S105 - a file's name
MODE, FOLDER_MODE = 0o644, 0o755
USUAL = ("front-door", "door")
"""Ids that every device has before it is given one."""
HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")

TEXT = """\
# Written once, at the first start of this device, which nobody had configured (first-start.txt has what was
# done). It is yours now: change it here, or in a file that comes after it.

[device]
id = "{device}"

# the broker on this device: appliance broker --help
[mqtt]
host = "localhost"
password_file = "$CREDENTIALS_DIRECTORY/mqtt.password"   # /etc/credstore/appliance.mqtt.password
websocket_url = "wss://{host}.local:8884/"
accounts_socket = "/run/appliance-accounts.sock"

# the page, for who is in the house: https://{host}.local:8443/
[http]
host = "0.0.0.0"
port = 8443
local_ca = true
"""

DOOR, DOOR_SECTIONS = "20-first-door.toml", ("contacts", "call", "buttons", "cameras", "audio")
DOOR_TEXT = """\
# A first doorbell, written once, at the first start of this device: a button between GPIO17 (pin 11) and
# ground (pin 9) rings whoever is paired first. It is yours now: change it here, or in a file that comes
# after it, such as the one that `appliance setup` writes.

[contacts.owner]
name = "Owner"

[call]
receiver = "user:owner"

[buttons.call]
pin = "GPIO17"
press = "call"

[cameras.front]
device = "0"

[audio.speaker]
playback = "default"
capture = "default"
"""
"""Nothing that is driven: nobody knows here what is at a pin."""


def is_ours(websocket_url: str, file: Path = DEFAULT_FILE) -> bool:
    """Whether pages meet this device's own authority at that broker, since the first start made it so."""
    try:
        text = (file.parent / "conf.d" / DROP_IN).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return f'\nwebsocket_url = "{websocket_url}"\n' in text


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What is done on a machine called `host`; with `links`, where mosquitto looks for configurations."""

    places: Places
    host: str
    broker: Path = BROKER
    links: Path = BROKER.parent / "conf.d"
    say: Callable[[str], None] = lambda text: print(text, flush=True)  # noqa: T201

    def run(self) -> int:
        """Do it, or say why not; the exit status. Raises ApplianceError: it is tried at the next start."""
        if not HOST.fullmatch(self.host):
            raise ApplianceError(f'"{self.host}" is no name of a machine: a-z, 0-9 and -')
        try:
            self._run()
        except OSError as error:
            where = error.filename or self.places.file.parent
            raise ApplianceError(f"{where}: {error.strerror}") from None
        return 0

    def _run(self) -> None:
        layers = read_layers(self.places.file, self.places.environ)
        if layers.faults:
            raise ConfigError([f"{origin}: {sentence}" for origin, sentence in layers.faults])
        if self._note.exists():
            self._follow_name()
            return
        if not self._begun.exists():
            if found := list(self._by_others(layers)):
                self._leave(found)
                return
            write_whole(self._begun, b"")
        device = self._device(layers)
        self._wire(layers)
        self._lay_out(device)
        self._tell(f"This device made itself ready for its first phone.\n{self._done(device)}")

    @property
    def _begun(self) -> Path:
        return self.places.file.parent / BEGUN

    @property
    def _note(self) -> Path:
        return self.places.file.parent / NOTE

    @property
    def _drop_in(self) -> Path:
        return self.places.drop_ins / DROP_IN

    # -------------------- whether it may be

    def _by_others(self, layers: Layers) -> Iterator[str]:
        """What somebody has configured, a sentence for each."""
        mqtt: Mapping[str, Any] = layers.values.get("mqtt", {})
        http: Mapping[str, Any] = layers.values.get("http", {})
        for section, values in (("mqtt", mqtt), ("http", http)):
            for key, value in values.items():
                if (section, key, value) != ("mqtt", "host", "localhost"):
                    yield f"[{section}] {key} is set, in {layers.origin((section, key))}"
        for folder in (self.broker, self.links):
            if folder.is_dir() and any(folder.iterdir()):
                yield f"there is a broker's configuration in {folder}"
        for file in self.places.stored():
            yield f"there is a secret, {file}"
        if Authority.is_in(self.places.state / AUTHORITY):
            yield f"the page has an authority already, in {self.places.state / AUTHORITY}"
        known = book.read(self.places.state / book.FILE).contacts
        if any(one.keys for one in known.values()):
            yield "a phone is paired"

    def _leave(self, found: list[str]) -> None:
        lines = "".join(f"  {sentence}\n" for sentence in found)
        self._tell(f"Somebody has configured this device, so nothing was changed:\n{lines}")

    def _device(self, layers: Layers) -> str:
        """Its id: what an owner has said, else the machine's name, so that no two are the same."""
        said = layers.values.get("device", {}).get("id")
        by_others = layers.origin(("device", "id")) not in (
            str(self._drop_in),
            str(self.places.file),
        )
        return str(said) if said and (by_others or said not in USUAL) else self.host

    # -------------------- what is done

    def _lay_out(self, device: str) -> None:
        """Each step may be done again; the configuration, by which it is in use, is the last."""
        from appliance.broker.house import House

        house = House(self.broker)
        house.new(self._hosts, device=device, pages=self._page(device))
        password = self.places.credstore / PASSWORD
        private_folder(password.parent)
        write_whole(password, f"{house.make(device)}\n".encode())
        private_folder(self.places.drop_ins, FOLDER_MODE)
        tell(self.broker, self.links)
        self._say_where(device)

    @property
    def _hosts(self) -> list[str]:
        """Under which the broker is reached."""
        return [f"{self.host}.local", "localhost"]

    def _page(self, device: str) -> bytes:
        """What the page is met with, at the broker too (PEM)."""
        authority = Authority.load_or_make(self.places.state / AUTHORITY, device, self.host)
        page, _ = authority.leaf([self.host, *self._hosts])
        return page.read_bytes()

    def _say_where(self, device: str) -> None:
        write_whole(self._drop_in, TEXT.format(device=device, host=self.host).encode(), MODE)

    def _wire(self, layers: Layers) -> None:
        """A button that rings, where nobody has said anything of what is wired and who is rung."""
        if not any(section in layers.values for section in DOOR_SECTIONS):
            private_folder(self.places.drop_ins, FOLDER_MODE)
            write_whole(self.places.drop_ins / DOOR, DOOR_TEXT.encode(), MODE)

    def _done(self, device: str) -> str:
        return (
            f"  its name: {self.host}.local, at the broker {device}\n"
            f"  a broker on it, with an account for it: {self.broker}\n"
            f"  its page, for who is in the house: https://{self.host}.local:8443/\n"
            f"  what a phone is to trust, once: https://{self.host}.local:8443/ca.crt\n"
            f"  what says so: {self._drop_in}, and {DOOR} beside it\n"
        )

    def _follow_name(self) -> None:
        """The machine has another name now: what has the old one in it, as it was written, gets that.

        Nothing else is written: the broker's configuration and its ACL, which have no name, may have been
        changed since.
        """
        from appliance.broker.house import House

        try:
            text = self._drop_in.read_text("utf-8")
        except FileNotFoundError:
            return
        found = re.search(
            r'(?ms)^id = "([^"]*)"$.*^websocket_url = "wss://([^"]*)\.local:8884/"$', text
        )
        if found is None or found[2] == self.host:
            return
        device, old = found[1], found[2]
        if text != TEXT.format(device=device, host=old):
            self.say(
                f"This machine was {old} and is {self.host} now, and {self._drop_in} has been changed since"
                " it was written: where it has the old name, phones look in vain."
            )
            return
        House(self.broker).renew(self._hosts, self._page(device))
        self._say_where(device)
        self._tell(
            f"This device was {old}.local, and has another name. Its broker's configuration,"
            f" accounts and ACL are as they were.\n{self._done(device)}"
        )

    def _tell(self, text: str) -> None:
        self.say(text)
        head = (
            "What the first start of this device did. Without this file it is looked at anew.\n\n"
        )
        write_whole(self._note, f"{head}{text}".encode(), MODE)
        self._begun.unlink(missing_ok=True)
